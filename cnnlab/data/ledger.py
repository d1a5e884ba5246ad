"""The ledger of test openings: which model was measured on which images, over all runs.

``$CNNLAB_HOME/data/ledger`` holds one file for each model and set of test images (``openings``)
and each distinct set once (``images``). Files are named by what they say, written whole and never
changed: any number of processes record at the same time without a lock and none is lost, the same
opening again is no second one, and nothing here depends on a run folder that may be deleted.

Images are known by the first 64 bits of their file's SHA-256, so 1,000 different sets of 100,000
take 0.8 GB, and looking 100,000 images up in all of them takes 4 s of a processor. That one of
them meets another among 10⁸ by chance has a probability of 10⁵ · 10⁸ / 2⁶⁴ < 10⁻⁶. A picture that
was encoded again is another image here.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from cnnlab import files, hashing, places
from cnnlab.config import InputError, home
from cnnlab.data import tables

KEY = np.dtype("<u8")


@dataclass(frozen=True)
class Opening:
    """The first time that a model was measured on a set of test images.

    Attributes:
        at: When, ISO 8601 in UTC.
        by: The notebook or program that opened them.
        model_id: The model's, from its contract.
        run: The run's name.
        run_id: Its id, which tells runs of one name apart.
        created: When the run was.
        dataset: What the data are called; "" where the run did not record it.
        images: The set's digest, from ``digest``.
        count: Different images in it.
    """

    at: str
    by: str
    model_id: str
    run: str
    run_id: str
    created: str
    dataset: str
    images: str
    count: int

    @property
    def path(self) -> Path:
        """The one file for this model and these images."""
        name = hashing.digest(f"{self.model_id} {self.images}".encode())[:40]
        return folder() / "openings" / f"{name}.json"


def folder() -> Path:
    """Return where the ledger lies; another ``CNNLAB_HOME`` has another."""
    return home() / "data" / "ledger"


def test_images(run_folder: Path) -> np.ndarray:
    """Return what stands for each test image of a run, by its split and manifest.

    Args:
        run_folder: Holds ``splits.csv`` and ``manifest.csv``.

    Returns:
        uint64 (N,), in the split's order; equal files have equal numbers.

    Raises:
        InputError: A file is missing or damaged, or the split names an image that the manifest
            does not list.
    """
    listed = run_folder / "manifest.csv"
    hashes = dict(_columns(listed, "path", "sha256"))
    sides = list(_columns(run_folder / "splits.csv", "path", "split"))
    try:
        found = [int(hashes[path][:16], 16) for path, side in sides if side == "test"]
    except (KeyError, ValueError):
        raise InputError(
            f"{listed} has no SHA-256 for some of the test images: "
            "run the notebook that writes it, the first, again."
        ) from None
    return np.array(found, KEY)


def digest(images: np.ndarray) -> str:
    """Return the SHA-256 (hex) that names a set of images, whatever their order and copies."""
    return hashing.digest(_packed(images))


def record(opening: Opening, images: np.ndarray) -> None:
    """Write an opening into the ledger, unless it stands there.

    Args:
        opening: ``images`` and ``count`` are those of ``images``.
        images: From ``test_images``.

    Raises:
        InputError: It cannot be written, so the test set must stay sealed.
    """
    stored = _path(opening.images)
    files.remove_all_abandoned(folder())
    try:
        if hashing.digest(_content(stored)) != opening.images:
            stored.parent.mkdir(parents=True, exist_ok=True)
            files.write(stored, _packed(images))
        if _opening(opening.path) is None:
            opening.path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps(asdict(opening), indent=2, ensure_ascii=False)
            files.write(opening.path, text + "\n")
    except OSError as error:
        raise InputError(
            f"Cannot record in {folder()} that run {opening.run!r} opens its test set: "
            f"{places.reason(error)}. Make room there or make it writable, then run again."
        ) from None


def openings() -> tuple[list[Opening], list[str]]:
    """Return the openings by their time, and a sentence with the cure for each damaged one."""
    known, damaged = [], []
    place = folder() / "openings"
    try:
        paths = sorted(place.glob("*.json")) if place.exists() else []
    except OSError as error:
        return [], [f"{_shown(place)} cannot be read ({error.strerror}): make it readable."]
    for path in paths:
        found = _opening(path)
        if found is None:
            damaged.append(
                f"{_shown(path)} is damaged, so one opening is not counted: restore it from a "
                "copy, or remove it."
            )
        elif not _whole(found):
            damaged.append(_unknown_images(found.images))
        else:
            known.append(found)
    return sorted(known, key=order), damaged


def order(opening: Opening) -> tuple[str, str]:
    """Return what openings are sorted by: their time, then the model."""
    return opening.at, opening.model_id


def images_of(images: str) -> np.ndarray:
    """Return a recorded set, uint64 (N,), ascending and different.

    Args:
        images: Its digest.

    Raises:
        InputError: It is missing or damaged.
    """
    path = _path(images)
    content = _content(path)
    if hashing.digest(content) != images:
        raise InputError(_unknown_images(images))
    return np.frombuffer(content, KEY)


def contains(images: np.ndarray, stored: np.ndarray) -> np.ndarray:
    """Return which of ``images`` are in a recorded set, bool (N,).

    Args:
        images: uint64 (N,), in any order.
        stored: From ``images_of``.
    """
    if not len(stored):
        return np.zeros(len(images), bool)
    places = np.searchsorted(stored, images).clip(max=len(stored) - 1)
    return stored[places] == images


def _packed(images: np.ndarray) -> bytes:
    return np.unique(images.astype(KEY)).tobytes()


def _path(images: str) -> Path:
    return folder() / "images" / f"{images}.u64"


def _whole(opening: Opening) -> bool:
    """Return whether the file of an opening's images has its length."""
    path = _path(opening.images)
    return path.is_file() and path.stat().st_size == opening.count * KEY.itemsize


def _unknown_images(images: str) -> str:
    return (
        f"{_shown(_path(images))} is missing or damaged, so who saw these images is unknown: "
        "restore it from a copy, or remove it and open a page of the run that recorded it."
    )


def _content(path: Path) -> bytes:
    """Return a file's bytes; none where it cannot be read, which no digest but one matches."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _opening(path: Path) -> Opening | None:
    """Return what a file says; None where it is missing, half or not what its name promises."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        found = Opening(**{field.name: entry[field.name] for field in fields(Opening)})
    except (OSError, ValueError, KeyError, TypeError):
        return None
    texts = [value for key, value in asdict(found).items() if key != "count"]
    typed = isinstance(found.count, int) and all(isinstance(text, str) for text in texts)
    return found if typed and found.path.name == path.name else None


def _shown(path: Path) -> str:
    """Return a path as pages may show it: from the home on."""
    return path.relative_to(home()).as_posix()


def _columns(path: Path, first: str, second: str) -> Iterator[tuple[str, str]]:
    """Yield two columns of a table, row by row."""
    try:
        rows = tables.rows(path)
        head = next(rows)
        one, two = head.index(first), head.index(second)
        yield from ((row[one], row[two]) for row in rows)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, IndexError):
        raise InputError(f"{path} is damaged: expected {first} and {second} in it.") from None

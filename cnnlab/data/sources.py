"""Where images come from: the generated shapes, a fetched dataset, or a folder of class folders."""

import hashlib
import json
import os
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from cnnlab.config import InputError, Settings, home
from cnnlab.data import catalogue, shapes

SHAPES = "shapes"
LAYOUTS = (("train", "test"), ("train", "validation", "test"), ("train", "validation"))
SPLIT_NAMES = {"train", "validation", "test"}
EXPECTED = (
    "expected FOLDER/<class>/*, or FOLDER/train/<class>/* with test or validation or both beside it"
)


@dataclass(frozen=True)
class Source:
    """A folder of labelled images.

    ``splits`` is ``("",)`` for ``root/<class>/*``; for ``root/<split>/<class>/*`` it names the
    splits, training first. ``truth`` is the folder of known boxes, masks and faults, if any.
    """

    name: str
    root: Path
    splits: tuple[str, ...]
    truth: Path | None

    def folder(self, split: str, label: str) -> Path:
        """Return where the images of one class of one split lie."""
        return self.root / split / label


def resolve(settings: Settings, *, progress: bool = False) -> Source:
    """Return the source that the settings mean; generate the shapes on their first use.

    Args:
        settings: ``source`` is ``"shapes"``, a public dataset such as ``"flowers"`` or the path of
            a folder; ``shapes_train``, ``shapes_test`` and ``seed`` say which shapes.
        progress: Show a bar while generating.

    Raises:
        InputError: There is no such folder, or it does not hold one folder per class, the same
            in every split; or the dataset was not fetched yet.

    Example:
        >>> resolve(make_settings("quick", source="photos/flowers")).splits
        ('train', 'test')
    """
    asked = settings.data.source
    if asked == SHAPES:
        return _shapes(settings, progress)
    if asked in catalogue.DATASETS:
        root = catalogue.fetched(asked)
    else:
        root = Path(os.path.expanduser(asked))  # where nobody has that name, as it is
    # Path("") would be the current folder; a path that may not be looked at does not exist here.
    if not asked.strip() or not os.path.exists(root):
        raise InputError(
            f"There is no data folder {asked!r}: expected {SHAPES!r}, a folder's path or "
            f"one of {', '.join(catalogue.DATASETS)}."
        )
    if not root.is_dir():
        raise InputError(f"{root} is a file: {EXPECTED}.")
    root = root.resolve()
    source = Source(root.name, root, _splits(root), None)
    class_names(source)
    return source


def class_names(source: Source) -> list[str]:
    """Return the labels in the order that every later result uses: sorted.

    Raises:
        InputError: Fewer than two classes, classes that differ between splits, or a class
            folder without files or one that cannot be listed.
    """
    labels = {split: _folders(source.root / split) for split in source.splits}
    first = labels[source.splits[0]]
    for split, found in labels.items():
        if found != first:
            raise InputError(_difference(source, split, first, found))
    if len(first) < 2:
        found_one = f"only one class folder, {first[0]}" if first else "no class folders"
        raise InputError(
            f"{source.root / source.splits[0]} has {found_one}; a classifier needs at least two: "
            f"{EXPECTED}."
        )
    for split in source.splits:
        for label in first:
            folder = source.folder(split, label)
            if len(_visible(folder)) == len(_folders(folder)):
                raise InputError(
                    f"The class folder {folder} holds no file of its own: add images or delete it."
                )
    return first


def _shapes(settings: Settings, progress: bool) -> Source:
    """Return the generated dataset; its folder is named by everything that decides its files."""
    parameters = {
        "train_per_class": settings.data.shapes_train,
        "test_per_class": settings.data.shapes_test,
        "seed": settings.seed,
    }
    text = json.dumps({"version": shapes.VERSION, **parameters}, sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    folder = home() / "data" / "raw" / f"shapes-{digest}"
    if not folder.exists():
        shapes.generate(folder, progress=progress, **parameters)
    root, truth = folder / "images", folder / "truth"
    if not (root.is_dir() and truth.is_dir()):
        raise InputError(f"{folder} is incomplete: delete it, and it will be generated anew.")
    return Source(SHAPES, root, LAYOUTS[0], truth)


def _splits(root: Path) -> tuple[str, ...]:
    """Return the split folders below ``root``, or ``("",)`` if its folders are the classes."""
    found = _folders(root)
    if not found:
        raise InputError(f"{root} has no class folders: {EXPECTED}.")
    for layout in LAYOUTS:
        if set(found) == set(layout):
            return layout
    # A class may be called "train" (beside "ship"), but then it has images, not folders, in it.
    if any(name.lower() in SPLIT_NAMES and _folders(root / name) for name in found):
        raise InputError(f"{root} has the folders {', '.join(found)}: {EXPECTED}.")
    return ("",)


def _folders(folder: Path) -> list[str]:
    """Return the names of the visible real folders in ``folder``, sorted."""
    return sorted(entry.name for entry in _visible(folder) if entry.is_dir(follow_symlinks=False))


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that are not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"Cannot list {folder}: {error.strerror}.") from None


def _difference(source: Source, split: str, first: list[str], found: list[str]) -> str:
    """Return the message that names the classes which only one of two splits has."""
    reference = source.splits[0]
    parts = [
        f"only in {name}: {', '.join(sorted(extra))}"
        for name, extra in ((reference, set(first) - set(found)), (split, set(found) - set(first)))
        if extra
    ]
    alike = {unicodedata.normalize("NFC", name) for name in first} == {
        unicodedata.normalize("NFC", name) for name in found
    }
    hint = " These names look alike but are spelt in other characters." if alike else ""
    return f"The classes of {source.root} differ between splits ({'; '.join(parts)}).{hint}"

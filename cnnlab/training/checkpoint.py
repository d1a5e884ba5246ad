"""Checkpoints: one sealed file holds all that a training needs to go on after a whole epoch.

Two files take turns, ``checkpoint-0.npz`` after even epochs and ``checkpoint-1.npz`` after odd
ones, so the epoch before is still there when the newest file is damaged. Each is written beside
its place, flushed to disk and moved onto it (``files.replacing``). Its zip comment is the SHA-256
of every byte before that comment, which leaves it a plain NumPy archive; nothing is pickled.

A checkpoint belongs to one training: it carries a fingerprint of the network, its first weights,
the arguments, the code, the versions and the machine's devices and cores, and no other training
uses it.
"""

import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import files, hashing, places
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.models import weights_digest
from cnnlab.training.environment import origin

SEAL = 64  # bytes of a SHA-256 in hexadecimal
BLOCK = 1 << 20  # bytes hashed at a time
SLOTS = ("checkpoint-0.npz", "checkpoint-1.npz")


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        rows: The history, one dict an epoch; the stage and whether to stop follow from it.
        weights: Of the copy that is trained, after the last epoch.
        optimizer: The state of its optimizer.
        average: The state of the moving average of its weights; empty where there is none.
        best: The weights of the best epoch; empty if that is the last one.
        seconds: Time spent so far, in all processes together.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    weights: list[np.ndarray] = field(default_factory=list)
    optimizer: list[np.ndarray] = field(default_factory=list)
    average: list[np.ndarray] = field(default_factory=list)
    best: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def judged(self) -> list[np.ndarray]:
        """The weights that the last epoch was judged with: the averages, where there are some."""
        return self.average[: len(self.weights)] or self.weights


GROUPS = ("weights", "optimizer", "average", "best")


def fingerprint(model: keras.Model, **arguments: Any) -> str:
    """Return what identifies a training that is about to start, SHA-256 in hexadecimal.

    Args:
        model: With its first weights.
        **arguments: Whatever else decides the result, as plain JSON values.
    """
    parts = {
        "network": model.to_json(),
        "weights": weights_digest(model),
        "origin": origin(),
        "arguments": arguments,
    }
    return hashing.json_digest(parts)


def save(folder: Path, progress: Progress, mark: str) -> None:
    """Write the checkpoint of the epoch that just ended; the one before it stays.

    Args:
        folder: Made if missing.
        progress: At least one row.
        mark: The training's ``fingerprint``.

    Raises:
        InputError: The file cannot be written: the disk is full, or read-only.
    """
    record = {"mark": mark, "rows": progress.rows, "seconds": progress.seconds}
    arrays = {"record": np.array(json.dumps(record))}
    for name in GROUPS:
        arrays |= {f"{name}-{i:04d}": array for i, array in enumerate(getattr(progress, name))}
    epoch = len(progress.rows)
    try:
        files.make_folder(folder)
        with files.replacing(folder / SLOTS[epoch % 2]) as unfinished:
            np.savez(unfinished, allow_pickle=False, **arrays)
            _seal(unfinished)
    except OSError as error:
        size = sum(array.nbytes for array in arrays.values()) / 1e6
        raise InputError(
            f"Cannot write the checkpoint of epoch {epoch} in {folder}: {places.reason(error)}. "
            f"It takes {size:.0f} MB. Make room and train again: what was saved before is kept, "
            f"and the training resumes after epoch {epoch - 1}."
        ) from error


def load(folder: Path, mark: str) -> Progress | None:
    """Return the state after the last epoch that was saved whole; say so in one line.

    Args:
        folder: Where ``save`` wrote; need not exist.
        mark: The training's ``fingerprint``; checkpoints of another one are not used.

    Returns:
        How far the training has come, or None: it starts at its first epoch.
    """
    files.remove_abandoned(folder)  # by a process that was killed while it wrote
    found = [folder / name for name in SLOTS if (folder / name).exists()]
    own = []
    for path in found:
        if not _is_whole(path):
            print(f"{folder.name}/{path.name} is damaged: its SHA-256 is another. It is not used.")
            continue
        with np.load(path, allow_pickle=False) as archive:
            record = json.loads(str(archive["record"]))
        if record["mark"] == mark:
            own.append((len(record["rows"]), path, record))
    if not own:
        if found:
            print(f"No checkpoint in {folder.name}/ is of this training: it starts at epoch 1.")
        return None
    epoch, path, record = max(own, key=lambda each: each[0])
    with np.load(path, allow_pickle=False) as archive:
        names = sorted(archive.files)
        groups = {
            group: [archive[name] for name in names if name.startswith(f"{group}-")]
            for group in GROUPS
        }
    print(f"Epochs 1 to {epoch} come from {folder.name}/{path.name}.", flush=True)
    return Progress(record["rows"], seconds=record["seconds"], **groups)


def forget(folder: Path) -> None:
    """Delete the checkpoints in ``folder``: the next training there starts at its first epoch."""
    for name in SLOTS:
        (folder / name).unlink(missing_ok=True)


def _seal(path: Path) -> None:
    """Make the SHA-256 of a zip file's bytes its comment."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = bytes(SEAL)  # the file gets its final length and last fields
    digest = _digest(path)
    with path.open("r+b") as file:
        file.seek(-SEAL, 2)
        file.write(digest)


def _is_whole(path: Path) -> bool:
    """Whether the file's last bytes are the SHA-256 of the others."""
    if path.stat().st_size <= SEAL:
        return False
    with path.open("rb") as file:
        file.seek(-SEAL, 2)
        return file.read() == _digest(path)


def _digest(path: Path) -> bytes:
    """Return the SHA-256, hexadecimal, of all bytes but the last 64."""
    size = path.stat().st_size - SEAL
    with path.open("rb") as file:
        parts = (file.read(min(BLOCK, size - start)) for start in range(0, size, BLOCK))
        return hashing.stream_digest(parts).encode()

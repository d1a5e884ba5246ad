"""The result of a finished fold, kept in a file: who evaluates again need not train again."""

import zipfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from cnnlab import files, hashing
from cnnlab.config import Settings
from cnnlab.training.environment import origin
from cnnlab.training.trainer import deciding


@dataclass(frozen=True)
class Result:
    """What one fold gave: probabilities float32 (M, C) of what it held out, and its cost."""

    probabilities: np.ndarray
    seconds: float
    epochs: int


def save(path: Path, result: Result, fingerprint: str) -> None:
    """Write a result; a crash leaves the old file or the new, no other. Its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as temporary:
        np.savez(temporary, fingerprint=fingerprint, **vars(result))


def load(path: Path, fingerprint: str) -> Result | None:
    """Return what ``save`` wrote with this fingerprint; None if that is nothing, or damaged."""
    try:
        # Opened here, because NumPy leaves a file open that is no archive.
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as found:
            if str(found["fingerprint"]) != fingerprint:
                return None
            return Result(found["probabilities"], float(found["seconds"]), int(found["epochs"]))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None


def fingerprint(settings: Settings, content: str, *indices: np.ndarray) -> str:
    """Return the SHA-256 of everything that decides a fold's probabilities.

    Args:
        settings: The protocol, the root seed, ``fold_epochs`` and ``validation_fraction``, by which
            a fold's slice for early stopping is cut. The number of folds is in ``indices``.
        content: Names the images, see ``trainer.content_digest``.
        indices: int64 (n,) each: units, and the fold's training and held-out positions.
    """
    facts = {
        "settings": deciding(settings),
        "seed": settings.seed,
        "epochs": settings.evaluation.fold_epochs,
        "validation_fraction": settings.data.validation_fraction,
        "content": content,
        "origin": origin(),
    }
    parts = (f"|{len(each)}|".encode() + np.asarray(each, np.int64).tobytes() for each in indices)
    return hashing.stream_digest(chain([hashing.canonical_json(facts).encode()], parts))

"""What decides a training besides its arguments: code, versions, devices and cores."""

import os
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from cnnlab import __version__, hashing
from cnnlab.engine import keras, tf

PACKAGE = Path(__file__).resolve().parents[1]
ROOMS = (
    "augment", "config", "engine.py", "features", "hashing.py", "data", "images", "models",
    "statistics", "training",
)  # fmt: skip


@cache
def origin() -> dict[str, Any]:
    """Return it as plain JSON values: where two differ, so may the last bits of the weights.

    The code is that of every room a training passes through, as one SHA-256.
    """
    versions = [__version__, *(each.__version__ for each in (tf, keras, np, sklearn))]
    devices = [device.device_type for device in tf.config.list_physical_devices()]
    return {"code": code(PACKAGE), "versions": versions, "devices": devices, "cores": cores()}


def cores() -> int:
    """Return how many cores this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return len(usable(0)) if usable else os.cpu_count() or 1


def code(package: Path) -> str:
    """Return the SHA-256 over names and bytes of the Python files in ``ROOMS``."""
    rooms = (package / room for room in ROOMS)
    files = (sorted(room.rglob("*.py")) if room.is_dir() else [room] for room in rooms)
    return hashing.stream_digest(
        f"{hashing.file_digest(file)}  {file.relative_to(package).as_posix()}\n".encode()
        for file in chain.from_iterable(files)
    )

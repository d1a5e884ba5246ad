"""What decides a training besides its arguments: code, versions, devices and cores."""

import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from cnnlab import __version__
from cnnlab.engine import keras, tf

PACKAGE = Path(__file__).resolve().parents[1]
ROOMS = ("augment", "config", "engine.py", "data", "images", "models", "training")


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
    digest = hashlib.sha256()
    for room in ROOMS:
        path = package / room
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{content}  {file.relative_to(package).as_posix()}\n".encode())
    return digest.hexdigest()

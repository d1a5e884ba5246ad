"""A run's JSON files: plain values, one writer at a time."""

import fcntl
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import files
from cnnlab.config import InputError

SETTINGS = "settings.json"  # a second record of a run's settings, which nothing changes later


def write_json(path: Path, data: Any) -> None:
    """Write JSON; NumPy values become plain ones, NaN and infinities become null."""
    text = json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False)
    with files.replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def plain(value: Any) -> Any:
    """Return ``value`` with only dicts, lists, texts, numbers, booleans and None in it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return value.as_posix()
    return value


def read_state(folder: Path) -> dict[str, Any]:
    """Return a run folder's ``run.json``.

    Raises:
        InputError: It is missing, or not what this program wrote.
    """
    path = folder / "run.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        missing = {"settings", "created", "notebooks", "test_set_opened"} - set(state)
        if missing:
            raise KeyError(missing)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: remove the folder and run again.") from None
    return state


def edited(folder: Path, settings: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return key → (value when the run was made, value now) of settings that somebody changed.

    Args:
        folder: The run folder.
        settings: Those of its ``run.json``.
    """
    try:
        made = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        keys = {**made, **settings}
    except (OSError, ValueError, TypeError):
        return {}  # a run of an earlier version has no second record
    pairs = {key: (made.get(key), settings.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads out until the block ends; the folder itself is the lock."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # which also unlocks

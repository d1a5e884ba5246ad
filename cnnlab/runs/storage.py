"""A run's JSON files: plain values, one writer at a time."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cnnlab import files, locks
from cnnlab.config import InputError, Settings, from_dict, may_change, renamed, upgraded
from cnnlab.config.settings import FIELDS

SETTINGS = "settings.json"  # the settings that a run was made with: written once, never changed
CHANGES = "settings_changed"  # in run.json: what was changed since, oldest first


def write_json(path: Path, data: Any) -> None:
    """Write JSON; NumPy values become plain ones, NaN and infinities become null."""
    text = json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False)
    files.write(path, text + "\n")


def plain(value: Any) -> Any:
    """Return ``value`` with only dicts, lists, texts, numbers, booleans and None in it."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):  # NumPy's, which is not imported for files that have none
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
        if missing or not isinstance(state["settings"], dict):
            raise KeyError(missing)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path} is damaged: remove the folder and run again.") from None
    return state


def read_settings(folder: Path) -> Settings:
    """Return the settings that a run folder has now.

    Raises:
        InputError: ``run.json`` cannot be read, or another version wrote the settings.
    """
    try:
        return from_dict(read_state(folder)["settings"])
    except InputError as error:
        path = folder / "run.json"
        raise InputError(f"{error}" if str(path) in str(error) else f"{path}: {error}") from None


def edited(folder: Path, state: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return setting → (what it should be, what it is) of settings that somebody edited by hand.

    What it should be is what the run was made with, after every recorded change. The changes stand
    in the same file as the settings, so no crash can leave one without the other.

    Args:
        folder: The run folder.
        state: Its ``run.json``.
    """
    try:
        made = upgraded(json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # a run of an earlier version has no second record
    now = upgraded(state["settings"])
    for change in state.get(CHANGES, []):
        for name, new in renamed({change["setting"]: change["new"]}).items():
            if name in FIELDS and may_change(name):  # any other was changed by hand
                made[name] = new
    defaults = {name: field.default for name, (_, field) in FIELDS.items()}
    pairs = {
        name: (made.get(name, usual), now.get(name, usual)) for name, usual in defaults.items()
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes and threads out until the block ends; the folder itself is the lock."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        locks.wait(handle)
        yield
    finally:
        os.close(handle)  # which also unlocks

"""Opening a run: the first line of every notebook. It creates the run or checks what is asked."""

import re
from pathlib import Path
from typing import Any

from cnnlab.config import (
    InputError,
    Settings,
    from_dict,
    home,
    make_settings,
    parsed,
    to_dict,
    value_of,
)
from cnnlab.data import catalogue
from cnnlab.runs import provenance, steps, storage
from cnnlab.runs.folder import Run

DEFAULT_RUN = "lab"
RESERVED = ("gallery",)  # reports/gallery holds the README's pictures


def open_run(
    run: str = "", profile: str = "", data: str = "", overrides: str = "", notebook: str = ""
) -> Run:
    """Return the named run; it is created where it does not exist.

    Args:
        run: A name of letters, digits, dots, hyphens and underscores; "" means ``lab``.
        profile: ``quick``, ``full`` or ``smoke``; "" means what the run says, ``quick`` if new.
        data: ``shapes``, a fetched dataset or a folder; "" means what the run says, ``shapes``
            if new.
        overrides: Space-separated ``key=value`` settings; "" means what the run says.
        notebook: Who asks, such as ``"03_training"``; recorded with the devices it computes on.

    Raises:
        InputError: A bad name or setting, a missing data folder, or a run that exists with
            settings other than those asked for.

    Example:
        >>> lab = open_run("demo", profile="smoke", overrides="seed=7")  # doctest: +SKIP
    """
    folder = home() / "reports" / checked_name(run or DEFAULT_RUN)
    asked = overrides.split()
    if not (folder / "run.json").exists():
        create(folder, _wanted(profile or "quick", data, asked))
    opened = _existing(folder, profile, data, asked)  # another process may have been quicker
    if notebook:
        _register(opened, notebook)
    return opened


def checked_name(name: str) -> str:
    """Return a run's name, or raise ``InputError`` where it cannot name a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name) or name in RESERVED:
        raise InputError(
            f"A run cannot be called {name!r}: expected letters, digits, dots, hyphens and "
            f"underscores, beginning with a letter or digit, and not {', '.join(RESERVED)}."
        )
    return name


def _wanted(profile: str, data: str, overrides: list[str]) -> Settings:
    return settled(make_settings(profile, overrides, **({"source": data} if data else {})))


def settled(settings: Settings) -> Settings:
    """Return settings whose data exist, a folder by its absolute path.

    Raises:
        InputError: There is no such folder, or the dataset was not fetched yet.
    """
    if settings.data.source == "shapes":
        return settings
    if settings.data.source in catalogue.DATASETS:
        catalogue.fetched(settings.data.source)  # one that is missing makes no run
        return settings
    folder = Path(settings.data.source).expanduser().resolve()  # a notebook runs in another folder
    if not folder.is_dir():
        raise InputError(
            f"There is no data folder {settings.data.source!r}: "
            "expected 'shapes' or a folder with one folder of images per class."
        )
    return settings.replace(source=str(folder))


def _existing(folder: Path, profile: str, data: str, overrides: list[str]) -> Run:
    settings = storage.read_state(folder)["settings"]
    stored = from_dict(settings)
    edited = storage.edited(folder, settings)
    if edited:
        listed = "; ".join(f"{key} was {was!r}, is {now!r}" for key, (was, now) in edited.items())
        raise InputError(
            f"The settings of run {folder.name!r} were edited since it was made ({listed}): "
            f"results of two settings must not mix. Undo that in {folder / 'run.json'}, or choose "
            "another run name."
        )
    wanted = _wanted(profile or stored.profile, data, overrides)
    asked = [*parsed(overrides)]
    asked += [key for key, given in (("profile", profile), ("source", data)) if given]
    odd = [key for key in asked if value_of(stored, key) != value_of(wanted, key)]
    if odd:
        listed = "; ".join(
            f"{key} is {value_of(stored, key)!r} there, {value_of(wanted, key)!r} asked"
            for key in odd
        )
        raise InputError(
            f"Run {folder.name!r} exists with other settings ({listed}): "
            f"choose another run name, or remove {folder}."
        )
    return Run(folder, stored)


def create(folder: Path, settings: Settings) -> None:
    """Write ``run.json`` and ``settings.json``, unless another process just did."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "name": folder.name,
        "created": provenance.now(),
        "settings": to_dict(settings),
        **provenance.collect(),
        "dataset": None,
        "notebooks": {},
        "test_set_opened": [],
    }
    with storage.locked(folder):
        if not (folder / "run.json").exists():
            storage.write_json(folder / storage.SETTINGS, state["settings"])
            storage.write_json(folder / "run.json", state)


def _register(run: Run, notebook: str) -> None:
    """Note in ``run.json`` that a notebook works on the run, and which devices TensorFlow sees."""
    from cnnlab.engine import tf

    devices = [_device_name(tf, device) for device in tf.config.list_physical_devices()]
    step = steps.named(notebook)
    origin = provenance.collect()  # code and packages may have changed since the run was created

    def note(state: dict[str, Any]) -> None:
        if step and step.reproducible:  # its results are what the run is known by
            state.update(origin)
        entry = state["notebooks"].setdefault(notebook, {})
        entry.pop("failed", None)
        entry.update(opened=provenance.now(), devices=devices, **origin)

    run.update(note)


def _device_name(tf: Any, device: Any) -> str:
    details = tf.config.experimental.get_device_details(device)
    return details.get("device_name", device.device_type)

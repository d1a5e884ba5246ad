"""Opening a run, the first line of every notebook: it is created, or checked if it exists."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cnnlab import files, locks
from cnnlab.config import (
    InputError,
    Settings,
    home,
    make_settings,
    may_change,
    parsed,
    to_dict,
    value_of,
)
from cnnlab.config.model import APPLICATIONS, RANDOM, WEIGHTS, ModelSettings
from cnnlab.config.settings import CHANGEABLE, FIELDS
from cnnlab.data.public import catalogue
from cnnlab.hashing import file_digest
from cnnlab.runs import amendments, provenance, steps, storage
from cnnlab.runs.folder import Run

DEFAULT_RUN = "lab"
RESERVED = ("gallery",)  # reports/gallery holds the README's pictures


def open_run(
    run: str = "", profile: str = "", data: str = "", overrides: str = "", notebook: str = ""
) -> Run:
    """Return the named run; it is created where it does not exist.

    Settings of an existing run that decide no model (sections evaluation and report) are changed
    to what is asked; that is recorded in ``run.json`` and said in a line.

    Args:
        run: A name of letters, digits, dots, hyphens and underscores; "" means ``lab``.
        profile: ``quick``, ``transfer``, ``full`` or ``smoke``; "" means what the run says,
            ``quick`` if new.
        data: ``shapes``, a fetched dataset, a folder or a CSV table; "" means what the run says,
            ``shapes`` if new.
        overrides: Space-separated ``key=value`` settings; "" means what the run says.
        notebook: Who asks, such as ``"03_training"``; recorded with the devices it computes on.

    Raises:
        InputError: A bad name or setting, a missing data folder, or a run that exists with
            settings other than those asked for, which may not change.

    Example:
        >>> lab = open_run("demo", profile="smoke", overrides="seed=7")  # doctest: +SKIP
    """
    _refuse_other_types(run=run, profile=profile, data=data, overrides=overrides)
    folder = home() / "reports" / checked_name(run or DEFAULT_RUN)
    if not (folder / "run.json").exists():
        create(folder, settled(_asked(None, profile, data, overrides)))
    changed = differing(folder, profile, data, overrides)  # another process may have been quicker
    for change in amendments.record(folder, changed):
        old, new = (amendments.shown(change[side]) for side in ("old", "new"))
        print(f"{change['setting']} was {old} in this run and is {new} now.", flush=True)
    opened = Run(folder, storage.read_settings(folder))
    _refuse_other_weights(opened)
    if notebook:
        _register(opened, notebook)
    return opened


@contextmanager
def alone(run: str) -> Iterator[None]:
    """Keep other ``cnnlab run`` of the same run out, and clear what killed ones left half-written.

    A notebook that is open in JupyterLab is not kept out: it may stay open for days. What it writes
    appears whole, and two trainings in one folder exclude each other (``training.train``).

    Raises:
        InputError: A bad name, or another process executes the run; the message says which.
    """
    folder = home() / "reports" / checked_name(run)
    try:
        with locks.alone(folder, f"Run {run!r} is being executed", patience=0):
            files.remove_all_abandoned(folder)
            yield
    finally:
        with suppress(OSError):  # they are empty where the run was refused
            folder.rmdir()
            folder.parent.rmdir()


def refuse(run: str, profile: str, data: str, overrides: str) -> None:
    """Raise what ``open_run`` would raise of the same arguments about an existing run.

    It changes nothing and asks for no other package of weight, so the command says no at once.
    """
    folder = home() / "reports" / checked_name(run)
    if (folder / "run.json").exists():
        differing(folder, profile, data, overrides)


def asked(run: str, profile: str, data: str, overrides: str) -> Settings:
    """Return the settings asked for: those of the run, if it exists, with what is to differ."""
    folder = home() / "reports" / checked_name(run)
    exists = (folder / "run.json").exists()
    return _asked(storage.read_settings(folder) if exists else None, profile, data, overrides)


def find(run: str) -> Path:
    """Return the folder of a run that is given by its path or by its name.

    Raises:
        InputError: There is no such run; the message names those there are.
    """
    reports = home() / "reports"
    for folder in (reports / run, Path(run)):
        if (folder / "run.json").is_file():
            return folder.resolve()
    names = sorted(path.parent.name for path in reports.glob("*/run.json"))
    known = f"one of {', '.join(names)}" if names else "the folder of one, such as reports/quick"
    raise InputError(f"There is no run {run!r}: expected {known}.")


def checked_name(name: str) -> str:
    """Return a run's name, or raise ``InputError`` where it cannot name a folder."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", name) or name in RESERVED:
        raise InputError(
            f"A run cannot be called {name!r}: expected letters, digits, dots, hyphens and "
            f"underscores, beginning with a letter or digit, and not {', '.join(RESERVED)}."
        )
    return name


def _refuse_other_types(**arguments: Any) -> None:
    """Raise InputError unless all are text: papermill's ``-p run 2024`` gives a number."""
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise InputError(
                f"{name}={value!r} is no text: expected it in quotation marks; "
                f"with papermill, -r {name} VALUE keeps it text."
            )


def _asked(stored: Settings | None, profile: str, data: str, overrides: str) -> Settings:
    kept = to_dict(stored) if stored else {"profile": "quick"}
    base = profile or kept.pop("profile")
    known = {key: kept[key] for key in kept if key not in ("version", "profile", "source")}
    return make_settings(base, overrides.split(), **known | ({"source": data} if data else {}))


def settled(settings: Settings) -> Settings:
    """Return settings whose data and ops exist, a folder or table by its absolute path.

    Raises:
        InputError: There is no such folder or table, or the dataset was not fetched yet; the
            network has no such options, cannot begin with such weights or cannot be trained by
            such stages, or there is no such augmentation op.
    """
    settings = _located(settings)
    if settings.model.network_options:  # Keras is imported only where it is needed
        from cnnlab import models

        models.check_options(settings.model.architecture, settings.model.network_options)
    if settings.augmentation.more_augmentation:
        from cnnlab import augment

        augment.strengths(settings.augmentation)
    if settings.training.stages != "all" or not _plain(settings.model):
        from cnnlab.training import trainer

        trainer.check(settings)
    return settings


def _plain(model: ModelSettings) -> bool:
    """Return whether a network can be built whatever the image size: then none needs to be."""
    ours = model.architecture not in APPLICATIONS  # each of Keras' has a smallest image
    return ours and model.weights == RANDOM and not model.hidden_units


def _located(settings: Settings) -> Settings:
    """Return settings whose data exist; a folder, table or weights file by its absolute path.

    Whether there is such a weights file is not asked: a trained model does without.
    """
    weights = settings.model.weights
    if weights not in WEIGHTS:  # a notebook runs in another folder
        settings = settings.replace(weights=os.path.realpath(os.path.expanduser(weights)))
    if settings.data.source == "shapes":
        return settings
    if settings.data.source in catalogue.DATASETS:
        catalogue.fetched(settings.data.source)  # one that is missing makes no run
        return settings
    path = Path(os.path.expanduser(settings.data.source)).resolve()
    if not (path.is_dir() or path.is_file()):
        raise InputError(
            f"There is no data folder {settings.data.source!r}: expected 'shapes', a folder with "
            "one folder of images per class, or a CSV table of paths and labels."
        )
    return settings.replace(source=str(path))


def differing(folder: Path, profile: str, data: str, overrides: str) -> dict[str, Any]:
    """Return setting → value of what is asked for and an existing run has otherwise.

    Args:
        folder: The run folder.
        profile: As for ``open_run``, like the others.
        data: See there.
        overrides: See there.

    Raises:
        InputError: It differs in settings that may not change, a seed that was tested is left out,
            or somebody edited ``run.json``.
    """
    stored = storage.read_settings(folder)
    edited = storage.edited(folder, storage.read_state(folder))
    if edited:
        listed = "; ".join(f"{key} was {was!r}, is {now!r}" for key, (was, now) in edited.items())
        raise InputError(
            f"The settings of run {folder.name!r} were edited since it was made ({listed}): "
            f"results of two settings must not mix. Undo that in {folder / 'run.json'}, or choose "
            "another run name."
        )
    # What decides the network cannot change, so it is not checked another time.
    wanted = _located(_asked(stored, profile, data, overrides))
    chosen = [*parsed(overrides.split())]
    chosen += [key for key, given in (("profile", profile), ("source", data)) if given]
    odd = [key for key in chosen if value_of(stored, key) != value_of(wanted, key)]
    fixed = [key for key in odd if not may_change(key)]
    if fixed:
        listed = "; ".join(
            f"{key} is {value_of(stored, key)!r} there, {value_of(wanted, key)!r} asked"
            for key in fixed
        )
        free = [name for name, (section, _) in FIELDS.items() if section in CHANGEABLE]
        raise InputError(
            f"Run {folder.name!r} exists with other settings ({listed}): choose another run name, "
            f"or remove {folder}. Only {', '.join(free)} may change in a run that exists."
        )
    found = {key: value_of(wanted, key) for key in odd}
    amendments.refuse_hidden_seeds(storage.read_state(folder), stored, stored.replace(**found))
    return found


def create(folder: Path, settings: Settings, origin: dict[str, Any] | None = None) -> None:
    """Write ``run.json`` and ``settings.json``, unless another process just did.

    Args:
        folder: The run folder.
        settings: Of the run.
        origin: What else ``run.json`` says: of the run that this one starts from.
    """
    files.make_folder(folder)
    state = {
        "name": folder.name,
        "created": provenance.now(),
        "settings": to_dict(settings),
        **provenance.collect(),
        "weights": _weights_origin(settings),
        "dataset": None,
        "notebooks": {},
        "test_set_opened": [],
        **(origin or {}),
    }
    with storage.locked(folder):
        if not (folder / "run.json").exists():
            storage.write_json(folder / storage.SETTINGS, state["settings"])
            storage.write_json(folder / "run.json", state)


def _weights_origin(settings: Settings) -> dict[str, Any] | None:
    """Return where the network's first weights come from, with the file's SHA-256."""
    chosen = settings.model
    if chosen.weights == RANDOM:
        return None
    from cnnlab import models

    origin = models.provenance(chosen.architecture, chosen.network_options, chosen.weights)
    return origin.to_json() if origin else None


def _refuse_other_weights(run: Run) -> None:
    """Raise InputError if the user's weights file is another one than when the run was made.

    One that is gone is no fault until a training asks for it.
    """
    path = Path(run.settings.model.weights)
    if run.settings.model.weights in WEIGHTS or not path.is_file():
        return
    recorded, found = run.state()["weights"]["sha256"], file_digest(path)
    if found != recorded:
        raise InputError(
            f"The weights file {path} changed since run {run.name!r} was made: its SHA-256 was "
            f"{recorded}, is {found}. Results of two must not mix: put the file back, or choose "
            "another run name."
        )


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

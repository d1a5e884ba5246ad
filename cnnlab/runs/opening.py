"""Opening a run, the first line of every notebook: it is created, or checked if it exists."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab import files, locks
from cnnlab.config import InputError, Settings, home, to_dict
from cnnlab.config.model import APPLICATIONS, RANDOM, WEIGHTS, ModelSettings
from cnnlab.hashing import file_digest
from cnnlab.runs import amendments, names, provenance, request, steps, storage

if TYPE_CHECKING:  # it asks for pandas, and a wrong name is told at once
    from cnnlab.runs.folder import Run

DEFAULT_RUN = "lab"
BRIEFLY = 0.3  # seconds: somebody may just look whether the run is executed
_EXECUTED = "Run {!r} is being executed"


def open_run(
    run: str | int = "",
    profile: str = "",
    data: str | int = "",
    overrides: request.Overrides = "",
    notebook: str = "",
) -> "Run":
    """Return the named run; it is created where it does not exist.

    Settings of an existing run that decide no model (sections evaluation and report) are changed
    to what is asked; that is recorded in ``run.json`` and said in a line.

    Args:
        run: A name of letters, digits, dots, hyphens and underscores; "" means ``lab``. A whole
            number, as papermill makes one of ``-p run 2024``, is its digits; so for ``data``.
        profile: ``quick``, ``transfer``, ``full`` or ``smoke``; "" means what the run says,
            ``quick`` if new.
        data: ``shapes``, a fetched dataset, a folder or a CSV table; "" means what the run says,
            ``shapes`` if new.
        overrides: ``key=value`` settings, in one text as ``config.overrides.split`` reads it, or a
            list of texts; "" means what the run says.
        notebook: Who asks, such as ``"03_training"``; recorded with the devices it computes on.

    Raises:
        InputError: A bad name or setting, a missing data folder, or a run that exists with
            settings other than those asked for, which may not change; or a notebook asks while
            another process executes the run.

    Example:
        >>> lab = open_run("demo", profile="smoke", overrides="seed=7")  # doctest: +SKIP
    """
    run = request.as_text("run", run, "the name of a run")
    data = request.as_text("data", data, "a folder or a table")
    profile = request.as_text("profile", profile, "the name of a profile", number=False)
    folder = home() / "reports" / names.checked(run or DEFAULT_RUN)
    if notebook:
        locks.refuse_another(folder, _EXECUTED.format(folder.name))
    if not (folder / "run.json").exists():
        create(folder, settled(request.new(profile, data, overrides)))
    # Also of one that was just made: another process may have been quicker.
    changed = request.differing(folder, profile, data, overrides)
    for change in amendments.record(folder, changed):
        old, new = (amendments.shown(change[side]) for side in ("old", "new"))
        print(f"{change['setting']} was {old} in this run and is {new} now.", flush=True)
    from cnnlab.runs.folder import Run

    opened = Run(folder, storage.read_settings(folder))
    _refuse_other_weights(opened)
    if notebook:
        _register(opened, notebook)
    return opened


@contextmanager
def alone(run: str) -> Iterator[None]:
    """Keep other ``cnnlab run`` of the same run out, and clear what killed ones left half-written.

    A notebook that is merely open in JupyterLab is not kept out and keeps nobody out: it may stay
    open for days. While it trains a network, nobody else executes the run; while somebody does, a
    notebook that is begun anew is refused (``open_run``).

    Raises:
        InputError: A bad name, or another process executes the run or trains one of its networks;
            the message says which.
    """
    folder = home() / "reports" / names.checked(run)
    try:
        with locks.alone(folder, _EXECUTED.format(run), patience=BRIEFLY):
            for file in sorted(folder.glob(f"training/**/{locks.IN_USE}")):
                locks.refuse_another(file.parent, f"A network is trained in {file.parent}")
            files.remove_all_abandoned(folder)
            yield
    finally:
        with suppress(OSError):  # they are empty where the run was refused
            folder.rmdir()
            folder.parent.rmdir()


def settled(settings: Settings) -> Settings:
    """Return settings whose data and ops exist, a folder or table by its absolute path.

    Raises:
        InputError: There is no such folder or table, or the dataset was not fetched yet; the
            network has no such options, cannot begin with such weights or cannot be trained by
            such stages, or there is no such augmentation op.
    """
    settings = request.located(settings)
    request.refuse_missing_weights(settings)
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


def _refuse_other_weights(run: "Run") -> None:
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


def _register(run: "Run", notebook: str) -> None:
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

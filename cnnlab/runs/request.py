"""What is asked of a run: its settings, in full or as differences, and what is wrong with them.

Nothing of weight is imported, so a command refuses a wrong request at once.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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
from cnnlab.config import overrides as texts
from cnnlab.config.choices import did_you_mean
from cnnlab.config.model import WEIGHTS
from cnnlab.config.settings import CHANGEABLE, FIELDS
from cnnlab.data.sources import place
from cnnlab.runs import amendments, names, storage

Overrides = str | Iterable[str]  # settings in one text, or a text each


def settings_of(run: str, profile: str, data: str, overrides: Overrides) -> Settings:
    """Return the settings asked for: those of the run, if it exists, with what is to differ."""
    folder = home() / "reports" / names.checked(run)
    exists = (folder / "run.json").exists()
    return _settings(storage.read_settings(folder) if exists else None, profile, data, overrides)


def refuse(
    run: str, profile: str, data: str, overrides: Overrides, settings: Settings | None = None
) -> None:
    """Raise what ``opening.open_run`` would raise, as far as it can be told at once.

    It changes nothing and asks for no package of weight. What the network itself allows (its
    options, sizes and weights) and the ops of the augmentation are left to ``opening.settled``.

    Args:
        run: See ``opening.open_run``, like the others.
        profile: See there.
        data: See there.
        overrides: See there.
        settings: Those of a run that does not exist, if they follow from more than that.
    """
    folder = home() / "reports" / names.checked(run)
    if (folder / "run.json").exists():
        differing(folder, profile, data, overrides)
    else:
        refuse_missing_weights(located(settings or new(profile, data, overrides)))


def differing(folder: Path, profile: str, data: str, overrides: Overrides) -> dict[str, Any]:
    """Return setting → value of what is asked for and an existing run has otherwise.

    Args:
        folder: The run folder.
        profile: As for ``opening.open_run``, like the others.
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
    wanted = located(_settings(stored, profile, data, overrides))
    chosen = [*parsed(as_texts(overrides))]
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
            f"Run {folder.name!r} exists with other settings ({listed}): give the new one a name "
            f"of its own, such as {names.unused(folder.name)}, or remove {folder}. Only "
            f"{', '.join(free)} may change in a run that exists."
        )
    found = {key: value_of(wanted, key) for key in odd}
    amendments.refuse_hidden_seeds(storage.read_state(folder), stored, stored.replace(**found))
    return found


def as_text(name: str, value: Any, expected: str, *, number: bool = True) -> str:
    """Return a parameter of a notebook as text; papermill's ``-p run 2024`` gives a number.

    Raises:
        InputError: It is neither text nor, if that may be, a whole number.
    """
    if number and type(value) is int:
        print(
            f"{name}={value} came as a number and is taken as {str(value)!r}; with papermill, "
            f"-r {name} VALUE keeps what was typed.",
            flush=True,
        )
        return str(value)
    if not isinstance(value, str):
        raise InputError(
            f"{name}={value!r} is no text: expected {expected} in quotation marks; "
            f"with papermill, -r {name} VALUE keeps it text."
        )
    return value


def as_texts(overrides: Overrides) -> tuple[str, ...]:
    """Return the settings that are asked for, a text each.

    Raises:
        InputError: They are no text, nor a list of texts.
    """
    if isinstance(overrides, str):
        return texts.split(overrides)
    found = tuple(overrides) if isinstance(overrides, list | tuple) else (None,)
    if not all(isinstance(each, str) for each in found):
        raise InputError(
            f"overrides={overrides!r} is no text: expected settings in quotation marks, such as "
            '"epochs=3 seed=1"; with papermill, -r overrides VALUE keeps it text.'
        )
    return found


def new(profile: str, data: str, overrides: Overrides) -> Settings:
    """Return the settings of a run that does not exist; see ``opening.open_run``."""
    return _settings(None, profile, data, overrides)


def _settings(stored: Settings | None, profile: str, data: str, overrides: Overrides) -> Settings:
    kept = to_dict(stored) if stored else {"profile": "quick"}
    base = profile or kept.pop("profile")
    known = {key: kept[key] for key in kept if key not in ("version", "profile", "source")}
    fixed = known | ({"source": data} if data else {})
    return make_settings(base, as_texts(overrides), **fixed)


def located(settings: Settings) -> Settings:
    """Return settings whose data exist; a folder, table or weights file by its absolute path.

    Whether there is such a weights file is not asked: a trained model does without.
    """
    weights = settings.model.weights
    if weights not in WEIGHTS:  # a notebook runs in another folder
        settings = settings.replace(weights=os.path.realpath(os.path.expanduser(weights)))
    folder = place.find(settings.data.source)
    return settings.replace(source=str(folder)) if folder else settings


def refuse_missing_weights(settings: Settings) -> None:
    """Raise InputError where training shall begin with the weights of a file that is not there."""
    weights = settings.model.weights
    if weights not in WEIGHTS and not os.path.isfile(weights):
        raise InputError(
            f"There is no weights file {weights!r}: expected {', '.join(WEIGHTS)}, or the path of "
            f"a file.{did_you_mean(Path(weights).name, WEIGHTS)}"
        )

"""Changes of a run's evaluation and report settings: recorded, and what they make out of date.

A change and the settings stand in one file, ``run.json``, which is replaced whole; so a crash
leaves both or neither. ``settings.json`` keeps what the run was made with (``storage.edited``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.config import InputError, Settings, from_dict, may_change, to_dict, value_of
from cnnlab.config.settings import FIELDS
from cnnlab.runs import provenance, steps, storage


@dataclass(frozen=True)
class Outdated:
    """What changed since a notebook was executed.

    Attributes:
        words: Such as "older than bootstrap_samples=5000 (it used 1000)".
        results: Whether numbers are concerned; otherwise only figures are.
    """

    words: str
    results: bool


def record(folder: Path, wanted: dict[str, Any]) -> list[dict[str, Any]]:
    """Change settings of an existing run, and record that.

    Args:
        folder: The run folder.
        wanted: Setting → new value, each of one that ``may_change``.

    Returns:
        The changes as they stand in ``run.json``: at, setting, old, new. Values that the run has
        already are no changes.

    Raises:
        InputError: One may not change, or ``refuse_hidden_seeds`` raises.
    """
    fixed = [name for name in wanted if not may_change(name)]
    if fixed:
        raise InputError(f"{', '.join(fixed)} cannot change in a run that exists: start another.")
    with storage.locked(folder):
        state = storage.read_state(folder)
        before = from_dict(state["settings"])
        after = before.replace(**wanted)
        refuse_hidden_seeds(state, before, after)
        found = [
            {"at": provenance.now(), "setting": name, "old": value_of(before, name), "new": new}
            for name, new in ((name, value_of(after, name)) for name in wanted)
            if new != value_of(before, name)
        ]
        if found:
            state["settings"] = to_dict(after)
            state[storage.CHANGES] = [*state.get(storage.CHANGES, []), *found]
            storage.write_json(folder / "run.json", state)
    return found


def refuse_hidden_seeds(state: dict[str, Any], before: Settings, after: Settings) -> None:
    """Raise InputError if a change takes away a seed whose model has seen the test set.

    Args:
        state: A run's ``run.json``.
        before: The run's settings.
        after: What they shall be.
    """
    tested = {entry.get("seed") for entry in state["test_set_opened"]}
    if hidden := [str(seed) for seed in before.seeds if seed in tested - set(after.seeds)]:
        raise InputError(
            f"more_seeds={after.evaluation.more_seeds!r} leaves out {', '.join(hidden)}, whose "
            "model has seen the test set: mean ± deviation without it would be a choice made after "
            "the answer was seen. Expected it among them, or another run name."
        )


def concerns(setting: str, notebook: str) -> bool:
    """Whether a notebook is to be executed again once a setting has changed."""
    affected = steps.affected_by([setting])
    if setting == "bootstrap_samples":  # the evaluation resamples in place of the training
        affected = [step for step in affected if step != steps.writer("metrics/validation.json")]
    return notebook in {step.name for step in affected}


def outdated(state: dict[str, Any]) -> dict[str, Outdated]:
    """Return notebook → what changed since it was executed, of those that a change concerns.

    Args:
        state: A run's ``run.json``.
    """
    found = {}
    for notebook, entry in state["notebooks"].items():
        # It reads the settings after it started, so a change in between may or may not count: it
        # does. The finish is all that is known of a notebook of the first versions.
        began = entry.get("started", entry.get("finished", ""))
        since = [
            change
            for change in state.get(storage.CHANGES, [])
            if change["at"] > began and concerns(change["setting"], notebook)
        ]
        if "finished" in entry and (net := _net(since)):
            words = ", ".join(
                f"{name}={shown(new)} (it used {shown(old)})" for name, (old, new) in net.items()
            )
            results = any(FIELDS[name][0] != "report" for name in net)
            found[notebook] = Outdated(f"older than {words}", results)
    return found


def due(state: dict[str, Any], notebooks: list[str]) -> list[str]:
    """Return which notebooks a changed run still needs: those out of date, or not finished.

    Args:
        state: A run's ``run.json``.
        notebooks: All that there are, in order.

    Returns:
        Some of them; none where no recorded change waits for a notebook.
    """
    older, entries = outdated(state), state["notebooks"]
    unfinished = {name for name in notebooks if "finished" not in entries.get(name, {})}
    return [name for name in notebooks if name in unfinished | set(older)] if older else []


def shown(value: Any) -> str:
    """Return the value of a setting as a sentence has it."""
    return "nothing" if value == "" else str(value)


def _net(changes: Iterable[dict[str, Any]]) -> dict[str, tuple[Any, Any]]:
    """Return setting → (old, new) over several changes, without those that were taken back."""
    found: dict[str, tuple[Any, Any]] = {}
    for change in changes:
        old = found.get(change["setting"], (change["old"],))[0]
        found[change["setting"]] = (old, change["new"])
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}

"""Executing a run again from its ``run.json``, and comparing everything it found."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cnnlab.config import InputError, Settings, home, make_settings, to_dict
from cnnlab.data.sources import selection
from cnnlab.runs import (
    amendments,
    drift,
    execute,
    lineage,
    names,
    opening,
    past_openings,
    provenance,
    results,
    steps,
    storage,
)
from cnnlab.runs.folder import Run


@dataclass(frozen=True)
class Reproduction:
    """What came of it.

    Attributes:
        folder: The run folder of the second execution; it is gone if all is equal.
        differences: From ``drift.compare``.
        compared: The result files that were compared.
        failure: What stopped the second execution, or "".
    """

    folder: Path
    differences: pd.DataFrame
    compared: list[str]
    failure: str

    @property
    def equal(self) -> bool:
        """Whether data, settings and every result are the same."""
        return not self.failure and drift.counted(self.differences).empty

    @property
    def verdict(self) -> str:
        """What came of it, in a sentence or two."""
        if self.equal:
            notes = "" if self.differences.empty else ". What differs above changed none of them"
            files = ", ".join(self.compared)
            return f"reproduced: the data, the settings and, to the last bit, {files}{notes}"
        if self.failure:
            return f"not reproduced: {self.failure}"
        parts = list(dict.fromkeys(self.differences["part"]))
        causes = [part for part in parts if part in drift.CAUSES]
        why = (
            f"Most likely because of the {', '.join(causes)}"
            if causes
            else "No cause is known: a GPU or another number of threads adds in another order"
        )
        drifted = ", ".join(dict.fromkeys(drift.counted(self.differences)["part"]))
        return f"drifted: {drifted}. {why}. The second run is kept in {self.folder}"


def reproduce(
    stored: Path,
    overrides: Sequence[str] = (),
    jobs: int = 1,
    say: Callable[[str], None] = lambda _: None,
) -> Reproduction:
    """Execute the notebooks that made a run's numbers into a folder beside it, and compare.

    Args:
        stored: The run's folder, see ``names.find``.
        overrides: ``key=value`` settings that shall differ.
        jobs: Folds trained at a time.
        say: Is told what is worth knowing before the end.

    Raises:
        InputError: The run is incomplete or of another version, or its data cannot be used.
    """
    settings = _settings(stored, overrides)
    _refuse_incomplete(Run(stored, settings))
    selection.resolve(settings)  # data that cannot be used makes no run
    past_openings.record(stored)  # an equal model was opened by the run, not by its reproduction
    chosen = [step for step in steps.reproducible() if (stored / step.reproducible).exists()]
    numbers = [step.number for step in chosen]
    fresh = home() / "reports" / _name(stored)
    opening.create(fresh, settings, lineage.carry(stored, fresh))
    run, failure = Run(fresh, settings), ""
    say(f"Executing notebooks {', '.join(numbers)} into {fresh}")
    try:
        for name in execute.selected(execute.available(), ",".join(numbers)):
            execute.execute(run, [name], jobs=jobs)
            found = drift.data(stored, fresh)
            if found and name == chosen[0].name:
                say(f"note: the data differ: {found[0][0]}. The other notebooks follow.")
    except execute.NotebookFailed as error:
        failure = str(error)
    done = Reproduction(fresh, drift.compare(stored, fresh), drift.compared(stored, fresh), failure)
    if done.equal:
        shutil.rmtree(fresh)
    return done


def _refuse_incomplete(run: Run) -> None:
    """Raise InputError unless the notebooks that are compared ended well."""
    compared = {step.name: step for step in steps.reproducible()}
    for step in compared.values():
        if any(step.name in other.needs for other in compared.values()):
            run.require(step.reproducible)
    judged, own = results.validation(run), storage.read_settings(run.folder)
    if judged and judged.scores.interval.samples != own.evaluation.bootstrap_samples:
        raise InputError(
            f"Run {run.name!r} is incomplete: bootstrap_samples changed since its validation "
            f"images were scored. Execute it again first: cnnlab run --run {run.name} --only 04"
        )
    state = run.state()
    older = amendments.outdated(state)
    for name, entry in state["notebooks"].items():
        how = ""
        if "failed" in entry:
            how = f"failed ({entry['failed']})"
        elif "started" in entry and "finished" not in entry:
            how = "was cut short"
        elif name in older and older[name].results:
            how = f"is {older[name].words}"
        if how and name in compared:
            raise InputError(
                f"Run {run.name!r} is incomplete: notebook {name} {how}. "
                f"Execute it again first: cnnlab run --run {run.name} --only {name[:2]}"
            )


def _settings(stored: Path, overrides: Sequence[str]) -> Settings:
    kept = to_dict(storage.read_settings(stored))
    profile = kept.pop("profile")
    del kept["version"]
    return opening.settled(make_settings(profile, overrides, **kept))


def _name(stored: Path) -> str:
    """Return a name for the second run that no other has."""
    digits = "".join(sign for sign in provenance.now().partition("+")[0] if sign.isdigit())
    return names.checked(f"{stored.name[:50]}.reproduced-{digits}")

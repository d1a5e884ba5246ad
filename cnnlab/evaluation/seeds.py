"""One training repeated with other seeds on the same split: the single runs, and their spread."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cnnlab.evaluation.records import Evaluation, Spread
from cnnlab.evaluation.registry import METRICS
from cnnlab.records import Record


@dataclass(frozen=True)
class SeedResult(Record):
    """One training: metric → its value on either side; no test figures before the opening."""

    seed: int
    model_id: str
    validation: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SeedResults(Record):
    """``metrics/seeds.json``.

    Attributes:
        runs: The trainings; the model of the first ships.
        validation: Metric → mean and sample deviation (n-1) over the trainings, on the validation
            images; the deviation of one training is nan.
        test: The same on the test images.
    """

    runs: tuple[SeedResult, ...]
    validation: dict[str, Spread] = field(default_factory=dict)
    test: dict[str, Spread] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """Whether there is more than one training, so that a deviation is known."""
        return len(self.runs) > 1

    def spread(self, metric: str, side: str = "test") -> str:
        """Return "0.900 ± 0.010"; a dash stands for what is not known."""
        found = getattr(self, side)[metric]
        return f"{METRICS[metric].text(found.mean)} ± {METRICS[metric].text(found.deviation)}"

    def single(self, metric: str, side: str = "test") -> list[str]:
        """Return the value of each training as it is shown, in the order of ``runs``."""
        return [METRICS[metric].text(getattr(run, side)[metric]) for run in self.runs]

    def table(self, side: str, metrics: Sequence[str]) -> pd.DataFrame:
        """Return a row a training and, of several, one with mean ± deviation, all as text."""
        columns = {METRICS[name].label: self.single(name, side) for name in metrics}
        table = pd.DataFrame(columns, index=[f"seed {run.seed}" for run in self.runs])
        if self.several:
            table.loc["mean ± deviation"] = [self.spread(name, side) for name in metrics]
        return table


def summary(
    model_ids: Mapping[int, str],
    validation: Mapping[int, Evaluation],
    test: Mapping[int, Evaluation] | None = None,
) -> SeedResults:
    """Return the trainings as a record.

    Args:
        model_ids: Seed → the id of its model; first that of the model that ships.
        validation: Seed → what the validation images gave.
        test: Seed → what the test images gave; None before they were opened.
    """
    sides = {"validation": validation, "test": test or {}}
    runs = tuple(
        SeedResult(seed, model_id, **{name: _values(of.get(seed)) for name, of in sides.items()})
        for seed, model_id in model_ids.items()
    )
    return SeedResults(runs, **{name: _spreads(runs, name) for name in sides})


def _values(found: Evaluation | None) -> dict[str, float]:
    return {name: score.estimate for name, score in found.scores.items()} if found else {}


def _spreads(runs: Sequence[SeedResult], side: str) -> dict[str, Spread]:
    """Return metric → its spread, of the metrics that all trainings have."""
    tables = [getattr(run, side) for run in runs]
    shared = [name for name in METRICS if all(name in table for table in tables)]
    return {name: spread([table[name] for table in tables]) for name in shared}


def spread(values: Sequence[float]) -> Spread:
    """Return mean and sample deviation (n-1), nan of a single value.

    Example:
        >>> spread([0.8, 0.9])
        Spread(mean=0.8500000000000001, deviation=0.07071067811865474)
    """
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")
    return Spread(float(np.mean(values)), deviation)

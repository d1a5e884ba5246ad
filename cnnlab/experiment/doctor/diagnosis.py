"""Everything the doctor finds in a dataset and a new network, as one record."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from cnnlab.config import Settings
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras
from cnnlab.experiment.doctor import first_step
from cnnlab.experiment.doctor.check import Check
from cnnlab.experiment.doctor.first_step import FirstStep
from cnnlab.records import Record
from cnnlab.training.lr_range_test import RateTest

# Times the suggested rate from which on one is odd. The range test is a hint of one order of
# magnitude: for ``reference_cnn``, which learns well at 1e-3, it suggested 4e-5 to 2e-4.
ABOVE, BELOW = 100.0, 300.0


@dataclass(frozen=True)
class Diagnosis(Record):
    """``metrics/doctor.json``: what was found before training; it names no clock and no machine.

    Attributes:
        checks: What was looked at.
        first_step: The numbers behind them.
        suggested_rate: By the learning-rate range test; nan where the loss never fell. None of a
            recipe that is a probe alone.
    """

    checks: tuple[Check, ...]
    first_step: FirstStep
    suggested_rate: float | None = None

    @property
    def warnings(self) -> list[str]:
        """What is odd, each with its cure."""
        return [each.warning for each in self.checks if each.warning]

    def table(self) -> pd.DataFrame:
        """Return what was looked at, a row a check."""
        return table(self.checks)


def table(checks: tuple[Check, ...] | list[Check]) -> pd.DataFrame:
    """Return checks as text: what was looked at, found, expected, and whether it is odd."""
    rows = [(c.name, c.found, c.expected, "odd" if c.warning else "ok") for c in checks]
    return pd.DataFrame(rows, columns=["looked at", "found", "expected", "verdict"])


def diagnose(
    model: keras.Model,
    dataset: Dataset,
    rows: np.ndarray,
    settings: Settings,
    trial: RateTest | None = None,
) -> Diagnosis:
    """Look at a new network and the images that it is to learn from; neither is changed.

    Args:
        model: A new network for this dataset.
        dataset: Prepared pixels and labels.
        rows: int64 (N,), the images to learn from.
        settings: Of the training.
        trial: From ``training.range_test``; None of a recipe that is a probe alone.
    """
    found = first_step.look(model, dataset, rows, settings)
    checks = first_step.checks(found, model, settings)
    if trial:
        checks.append(_rate(trial, settings.training.learning_rate))
    return Diagnosis(tuple(checks), found, trial.suggested if trial else None)


def _rate(trial: RateTest, rate: float) -> Check:
    """Return what the range test says of the learning rate that is set."""
    name, suggested = "learning rate", trial.suggested
    if not math.isfinite(suggested):
        warning = (
            f"The range test's loss fell at no rate from {trial.table['rate'].min():.0e} to "
            f"{trial.table['rate'].max():.0e} in {len(trial.table)} steps: images or labels may be "
            "wrong (look at notebook 01), or they are too few for a trial."
        )
        return Check(name, f"{rate:g}; the trial suggests none", "a rate that lowers it", warning)
    warning = ""
    if not suggested / BELOW <= rate <= suggested * ABOVE:
        way = "above" if rate > suggested else "below"
        times = max(rate / suggested, suggested / rate)
        warning = (
            f"learning_rate={rate:g} is {times:.0f} times {way} what the range test suggests, "
            f"{suggested:.1e}. Set one between {suggested:.0e} and {10 * suggested:.0e} in a new "
            f"run, such as --set learning_rate={suggested:.0e}."
        )
    expected = f"{suggested / BELOW:.0e} to {suggested * ABOVE:.0e}; {suggested:.1e} is suggested"
    return Check(name, f"{rate:g}", expected, warning)

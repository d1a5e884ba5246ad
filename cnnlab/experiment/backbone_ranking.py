"""Rows of networks and sizes: which is the best, which are not told apart from it, and in words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan

import numpy as np

from cnnlab.config.model import PRETRAINED, RANDOM
from cnnlab.records import Record
from cnnlab.statistics import paired_tests

ALPHA = 0.05  # a row is behind the best where chance explains the difference less often


@dataclass(frozen=True)
class Row(Record):
    """One network at one size.

    Attributes:
        architecture: The network.
        weights: ``pretrained``, ``random`` or a file.
        image_size: Pixels a side.
        accuracy: Over all held-out images, with the limits ``low`` and ``high`` of a 95 % interval.
        behind: Accuracy of the best row less this one's; 0 for the best.
        p: Of McNemar's test against the best row's answers; nan for the best.
        standing: "best", "alike" (not told apart from it), or "behind".
        cpu_seconds: CPU time of the features of 1,000 decoded images.
        milliseconds: From one decoded image to its answer, the median of ``CALLS`` times.
        parameters: Of the whole network.
    """

    architecture: str
    weights: str
    image_size: int
    accuracy: float
    low: float
    high: float
    cpu_seconds: float
    milliseconds: float
    parameters: int
    behind: float = 0.0
    p: float = nan
    standing: str = "best"

    @property
    def network(self) -> str:
        """The network's name, and what it begins with if not its own published weights."""
        if self.weights == PRETRAINED:
            return self.architecture
        return f"{self.architecture} ({RANDOM if self.weights == RANDOM else 'file'})"


@dataclass(frozen=True)
class Comparison(Record):
    """Networks and sizes on the same folds of the same images.

    Attributes:
        images: Images that were held out, each once.
        classes: Their classes.
        folds: Parts they were divided into.
        groups: Groups they come in; None where none were declared.
        rows: In the order in which they were measured.
    """

    images: int
    classes: int
    folds: int
    groups: int | None
    rows: tuple[Row, ...]

    @property
    def best(self) -> Row:
        """The row with the highest accuracy."""
        return next(row for row in self.rows if row.standing == "best")

    @property
    def recommended(self) -> Row:
        """The cheapest of the rows that are not behind the best."""
        candidates = (row for row in self.rows if row.standing != "behind")
        return min(candidates, key=lambda row: row.cpu_seconds)


def ranked(
    rows: Sequence[Row], correct: Sequence[np.ndarray], groups: np.ndarray | None
) -> tuple[Row, ...]:
    """Return rows with what parts each from the best; of equally good ones the cheapest is best.

    Args:
        rows: R rows.
        correct: R times bool (N,), which of the same N images each gets right.
        groups: (N,), equal values belong together; None: every image stands by itself.
    """
    best = max(range(len(rows)), key=lambda place: (rows[place].accuracy, -rows[place].cpu_seconds))
    found = []
    for place, row in enumerate(rows):
        if place != best:
            test = paired_tests.mcnemar(correct[best], correct[place], groups=groups)
            row = replace(
                row,
                behind=rows[best].accuracy - row.accuracy,
                p=test.p,
                standing="behind" if test.p < ALPHA else "alike",
            )
        found.append(row)
    return tuple(found)


def verdict(found: Comparison) -> str:
    """Say in one paragraph what may be concluded, and which row to take."""
    best, chosen = found.best, found.recommended
    alike = sum(row.standing == "alike" for row in found.rows)
    if len(found.rows) == 1:
        return f"{_name(best)} has an accuracy of {best.accuracy:.3f}; it was compared to nothing."
    text = f"{_name(best)} has the highest accuracy, {best.accuracy:.3f}. "
    if not alike:
        return (
            f"{text}Every other row is behind it by more than chance (McNemar's test on the same "
            f"held-out images, p < {ALPHA})."
        )
    text += (
        f"{alike} of {len(found.rows) - 1} others {'is' if alike == 1 else 'are'} not told apart "
        f"from it (McNemar's test on the same held-out images, p ≥ {ALPHA}), which does not mean "
        "that they are equal. "
    )
    if chosen is best:
        return f"{text}It is also the cheapest of these."
    return (
        f"{text}The cheapest of these is {_name(chosen)}: {chosen.accuracy:.3f} for "
        f"{chosen.cpu_seconds / best.cpu_seconds:.0%} of the CPU time."
    )


def _name(row: Row) -> str:
    return f"{row.network} at {row.image_size} pixels"

"""What an evaluation found, typed: what ``metrics/{validation,kfold,test}.json`` hold.

A figure that is undefined is nan. A metric that an older evaluation does not hold is undefined,
too: ``Evaluation.score`` gives nan for it.
"""

from dataclasses import dataclass, field
from math import nan

import pandas as pd

from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.intervals import Interval
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.evaluation.registry import METRICS
from cnnlab.records import Record, inline, key
from cnnlab.statistics.paired_tests import FoldTest, ImageTest

UNDEFINED = Interval(nan, nan, nan)


@dataclass(frozen=True)
class IntervalBasis(Record):
    """How the intervals of an evaluation were made.

    Attributes:
        level: The coverage aimed at, in (0, 1).
        samples: Resamples behind a bootstrap interval.
        seed: What decides them.
        unit: What was taken as independent, "image" or "group".
        groups: How many units there are; None in a file that does not say.
        warning: What to say of the intervals, where groups are few.
        methods: Metric → the method of its interval.
    """

    level: float
    samples: int = 0
    seed: int = 0
    unit: str = "image"
    groups: int | None = None
    warning: str | None = None
    methods: dict[str, str] = field(default_factory=dict)

    @property
    def over(self) -> str:
        """What the intervals are over, where it is not images: " over 8 groups"."""
        return f" over {self.groups:,} groups" if self.unit == "group" else ""


@dataclass(frozen=True)
class ClassResult(Record):
    """The scores of one class, each in 0…1, with the limits of their intervals where known."""

    name: str = field(metadata=key("class"))
    support: int = 0
    precision: float = nan
    recall: float = nan
    f1: float = nan
    auc: float = nan
    average_precision: float = nan
    f1_low: float = nan
    f1_high: float = nan
    average_precision_low: float = nan
    average_precision_high: float = nan


@dataclass(frozen=True)
class ReliabilityBin(Record):
    """The images answered with about the same confidence; see ``scoring.reliability``."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float
    accuracy_low: float = nan
    accuracy_high: float = nan


@dataclass(frozen=True)
class Evaluation(Record):
    """Every figure of one set of predictions; see ``scoring.evaluate``.

    Attributes:
        n: Number of images.
        class_names: In the order of the probabilities.
        interval: How the intervals were made.
        scores: Metric → its value and interval, by the names of ``registry.METRICS``.
        ece_if_calibrated: What chance alone makes of the calibration error.
        per_class: In the order of ``class_names``.
        confusion: Counts, a row a true class, a column a predicted one.
        reliability: Bins in the order of confidence.
    """

    n: int
    class_names: tuple[str, ...]
    interval: IntervalBasis
    scores: dict[str, Interval] = field(metadata=inline(METRICS))
    ece_if_calibrated: float = nan
    per_class: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    reliability: tuple[ReliabilityBin, ...] = ()

    def score(self, metric: str) -> Interval:
        """Return a metric with its interval; nan throughout where this evaluation has none."""
        return self.scores.get(metric, UNDEFINED)

    @property
    def correct(self) -> int:
        """Number of images that are classified right."""
        return sum(row[at] for at, row in enumerate(self.confusion))


@dataclass(frozen=True)
class Calibration(Record):
    """What was fitted on the validation images: temperature and both rules."""

    temperature: float
    sets: SetRule
    none_of_these: NoveltyRule


@dataclass(frozen=True)
class ValidationResult(Record):
    """``metrics/validation.json``: the images that chose the epoch, and what was fitted on them."""

    scores: Evaluation = field(metadata=inline())
    calibration: Calibration = field(kw_only=True)


@dataclass(frozen=True)
class SetsResult(Record):
    """How the prediction sets did.

    Attributes:
        promised: Share of the sets that shall hold the true class.
        coverage: Share that does.
        size: Classes in a set, on average.
    """

    promised: float
    coverage: float
    size: float


@dataclass(frozen=True)
class NoveltyResult(Record):
    """How *none of these* did.

    Attributes:
        known: Share of the test images that it is said of, wrongly.
        strangers: Share of images of no known class that it is said of, rightly.
        auroc: See ``ood_detection.Separation``.
        fpr95: The same.
    """

    known: float
    strangers: float
    auroc: float = nan
    fpr95: float = nan


@dataclass(frozen=True)
class TestResult(Record):
    """``metrics/test.json``: the test images; None for what was not measured."""

    __test__ = False  # of pytest, which takes the name for a class of tests

    scores: Evaluation = field(metadata=inline())
    sets: SetsResult | None = None
    none_of_these: NoveltyResult | None = None


@dataclass(frozen=True)
class FoldResult(Record):
    """One fold of a cross-validation; ``scores`` is metric → its value on the held-out images."""

    fold: int
    n_train: int
    n_test: int
    scores: dict[str, float] = field(metadata=inline(METRICS))
    seconds: float = nan


@dataclass(frozen=True)
class Spread(Record):
    """Mean and sample deviation (n-1) of a metric over folds, which share training images."""

    mean: float
    deviation: float


@dataclass(frozen=True)
class Comparison(Record):
    """The network beside a rival on the same folds.

    Attributes:
        rival: What it is called in a sentence.
        folds: The corrected t-test, network first.
        images: McNemar's test on the held-out images.
        verdict: What may be concluded.
    """

    rival: str
    folds: FoldTest
    images: ImageTest
    verdict: str


@dataclass(frozen=True)
class CrossValidation(Record):
    """``metrics/kfold.json``.

    Attributes:
        k: Number of folds.
        folds: One row each.
        over_folds: Metric → its mean and deviation over the folds.
        pooled: The evaluation of all held-out predictions together.
        comparison: Beside a rival.
    """

    k: int
    folds: tuple[FoldResult, ...]
    over_folds: dict[str, Spread] = field(metadata=inline(METRICS))
    pooled: Evaluation | None = None
    comparison: Comparison | None = None

    def table(self) -> pd.DataFrame:
        """Return a row a fold: fold, n_train, n_test, the metrics and seconds."""
        return pd.DataFrame([fold.to_json() for fold in self.folds])

"""Every metric of an evaluation, once: how it is computed, called and shown.

A new metric is a function and an entry of ``METRICS``. ``scoring.evaluate`` then computes it with
an interval (``intervals.METHODS`` where it has a method of its own there, the bootstrap where it
has not), and the places that its entry names show it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnnlab.evaluation import metrics, probabilistic

# Where a metric is shown, beside the table in the notebooks, which shows all.
CARD = "card"  # the model card
HEADLINE = "headline"  # the head of a run's page, and the summary that `cnnlab run` prints
FOLDS = "folds"  # of each fold or seed, with mean and deviation
COMPARISON = "comparison"  # two runs side by side, with the difference on the same images


@dataclass(frozen=True)
class Metric:
    """One figure of how good a classifier is.

    Attributes:
        label: What it is called in a sentence or a table.
        meaning: What it measures, in one line.
        compute: (labels int (N,), probabilities float (N, C)) → the figure; nan if undefined.
        shown: The places that show it.
        lower_is_better: Whether it is a loss or an error.
        format: How it is written, a format specification.
    """

    label: str
    meaning: str
    compute: Callable[[np.ndarray, np.ndarray], float]
    shown: tuple[str, ...] = ()
    lower_is_better: bool = False
    format: str = ".3f"

    def text(self, value: float) -> str:
        """Return a value of this metric as it is shown; a dash for nan."""
        return "–" if np.isnan(value) else format(value, self.format)

    def difference(self, value: float) -> str:
        """Return a difference with its sign, so that columns of them can be read."""
        return "–" if np.isnan(value) else format(value, f"+{self.format}").replace("-", "−")


METRICS: dict[str, Metric] = {
    "accuracy": Metric(
        "accuracy",
        "share of the images whose most probable class is the label",
        metrics.accuracy,
        (CARD, HEADLINE, FOLDS, COMPARISON),
    ),
    "macro_precision": Metric(
        "macro precision", "mean precision over the classes", metrics.macro_precision
    ),
    "macro_recall": Metric("macro recall", "mean recall over the classes", metrics.macro_recall),
    "macro_f1": Metric(
        "macro F1",
        "mean F1 over the classes, each as important as any other",
        metrics.macro_f1,
        (CARD, HEADLINE, FOLDS, COMPARISON),
    ),
    "weighted_precision": Metric(
        "weighted precision", "mean precision, classes by their images", metrics.weighted_precision
    ),
    "weighted_recall": Metric(
        "weighted recall", "mean recall, classes by their images", metrics.weighted_recall
    ),
    "weighted_f1": Metric(
        "weighted F1", "mean F1, classes by their images", metrics.weighted_f1, (CARD,)
    ),
    "macro_auc": Metric(
        "macro AUC",
        "mean area under the ROC curve of each class against the others",
        metrics.macro_auc,
        (CARD, HEADLINE, COMPARISON),
    ),
    "micro_auc": Metric(
        "micro AUC", "area under the ROC curve of all pairs of image and class", metrics.micro_auc
    ),
    "log_loss": Metric(
        "log loss",
        "mean negative log of the label's probability",
        probabilistic.log_loss,
        (CARD, COMPARISON),
        lower_is_better=True,
    ),
    "brier": Metric(
        "Brier score (0–2)",
        "mean squared distance of the probabilities from the right answer",
        probabilistic.brier,
        (CARD,),
        lower_is_better=True,
    ),
    "ece": Metric(
        "expected calibration error",
        "mean gap between how sure the answers are and how often they are right",
        probabilistic.ece,
        (CARD,),
        lower_is_better=True,
    ),
    "macro_average_precision": Metric(
        "macro average precision",
        "mean area under the precision–recall curve of each class",
        metrics.macro_average_precision,
    ),
}


def shown(place: str) -> dict[str, Metric]:
    """Return the metrics that a place shows, in the order of ``METRICS``."""
    return {name: metric for name, metric in METRICS.items() if place in metric.shown}

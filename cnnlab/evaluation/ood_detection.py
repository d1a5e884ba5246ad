"""None of these: is an image unlike everything that the classes were learnt from?

The score is the largest probability. An energy, the other usual score, needs the logits; the
model gives their softmax, from which they are known up to a constant per image only, and that
constant is the energy. The probabilities are the served ones, temperature applied: no server
has others, so no threshold on others could be used.

A low score means *less certain than nearly all known images*, no more: a strange image may be
answered with confidence, and a hard one of a known class may be flagged.

The comparison, for any language: flagged where the largest probability as float32, widened to
float64, is below the threshold, a float64.

Source:
    Hendrycks and Gimpel 2017, "A Baseline for Detecting Misclassified and Out-of-Distribution
    Examples in Neural Networks"; for the energy, Liu et al. 2020, "Energy-based
    Out-of-distribution Detection", equation 4.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cnnlab.config import InputError
from cnnlab.evaluation import conformal, metrics

SCORE = "max_softmax"


@dataclass(frozen=True)
class NoveltyRule:
    """What flags an image as none of the classes.

    Attributes:
        accepted: Share of the images of known classes that shall not be flagged, in (0, 1).
        threshold: Score below which an image is flagged, 0…1.
        calibrated_on: Number of images the threshold comes from.
        score: Always "max_softmax".

    Raises:
        InputError: One of them is out of range, or the score is another.
    """

    accepted: float
    threshold: float
    calibrated_on: int
    score: str = SCORE

    def __post_init__(self) -> None:
        conformal.check_rule(
            coverage=self.accepted, threshold=self.threshold, rows=self.calibrated_on
        )
        if self.score != SCORE:
            raise InputError(f"The novelty score is {self.score!r}: expected {SCORE!r}.")


class Separation(NamedTuple):
    """How well a score tells known from novel images.

    Attributes:
        auroc: Chance that a known image scores above a novel one; 0.5 is guessing, 1 perfect.
        fpr95: Share of the novel images accepted where 95 % of the known ones are; 0 is perfect.
    """

    auroc: float
    fpr95: float


def scores(probabilities: np.ndarray) -> np.ndarray:
    """Return the largest probability of each image: float64 (N,), rounded to float32.

    Args:
        probabilities: float (N, C) as they are served: temperature applied.
    """
    return conformal.as_served(probabilities).max(axis=1)


def fit(
    probabilities: np.ndarray, accepted: float = 0.95, *, groups: np.ndarray | None = None
) -> NoveltyRule:
    """Return the rule that leaves ``accepted`` of new images of known classes unflagged.

    The threshold is a conformal one, so the share holds on average however few images there are;
    with fewer than accepted / (1 - accepted), 19 for 0.95, nothing is ever flagged. Where
    images come in groups, this is about the images of a new group, and the number that of groups.

    Args:
        probabilities: float (N, C) as they are served, of images of the known classes that the
            network was not trained on.
        accepted: In (0, 1).
        groups: (N,), equal values belong together; None: every image stands by itself.

    Raises:
        InputError: There are no images, or the share is out of range.
    """
    known = scores(probabilities)
    threshold = conformal.lower_bound(known, accepted, groups=groups)
    return NoveltyRule(accepted, threshold, len(known))


def flagged(probabilities: np.ndarray, threshold: float) -> np.ndarray:
    """Return which images are likely none of the classes: bool (N,).

    Args:
        probabilities: float (N, C) as they are served: temperature applied.
        threshold: Of a ``NoveltyRule``.
    """
    return scores(probabilities) < threshold


def separation(known: np.ndarray, novel: np.ndarray) -> Separation:
    """Return how well scores tell known images from novel ones, whatever the threshold.

    Args:
        known: float (N,), scores of images of the classes.
        novel: float (M,), scores of images that show none of them.

    Raises:
        InputError: One of the two is empty.
    """
    if len(known) == 0 or len(novel) == 0:
        raise InputError(
            f"Got {len(known)} known and {len(novel)} novel images: expected at least one of each."
        )
    both = np.concatenate([known, novel])
    positive = np.arange(len(both)) < len(known)
    accepted_novel, accepted_known = metrics.roc_curve(positive, both)
    enough = np.argmax(accepted_known >= 0.95)  # the first, so the strictest, threshold
    return Separation(metrics.auc(positive, both), float(accepted_novel[enough]))

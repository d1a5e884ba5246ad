"""Is one model better than another? Two tests of two different things, and the answer in words.

* The corrected t-test looks at the folds. It asks whether one way of training does better than the
  other when both learn from other images. The folds share training images, so their scores are
  not independent: the plain paired t-test finds differences where none are. The correction
  widens the variance by what the folds share.
* McNemar's test looks at the images. It asks whether these trained models, on these images, are
  right on different ones more often than a fair coin would have it. Where images come in groups
  (of a patient, a camera), the coin is thrown once a group: all that one model wins or loses there
  may be one difficulty of that group.

Who compares more than two models has to correct for that, for instance by Holm's method.

Source:
    Nadeau and Bengio, "Inference for the Generalization Error", Machine Learning 52 (2003),
    section 4.1; McNemar, Psychometrika 12 (1947), in the exact form: a sign test (``sign_flips``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from cnnlab.config import InputError
from cnnlab.statistics import grouped
from cnnlab.statistics.sign_flips import sign_flips

LEVEL = 0.95


@dataclass(frozen=True)
class FoldTest:
    """The corrected t-test of two models' fold scores, first minus second.

    ``t`` and ``p`` are nan where all folds differ by the same amount, which is not 0: one value
    has no spread to judge by.
    """

    folds: int
    first: float  # mean score
    second: float
    difference: float
    low: float  # 95 % interval of the difference
    high: float
    t: float
    p: float


@dataclass(frozen=True)
class ImageTest:
    """McNemar's exact test of two models' answers to the same images."""

    n: int
    only_first: int  # images that only the first model gets right
    only_second: int
    p: float
    groups: int | None = None  # that the images come in; None: each stands by itself
    p_least: float = 0.0  # that so many groups of differing answers can give at all


def corrected_t_test(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    *,
    n_train: float,
    n_test: float,
) -> FoldTest:
    """Compare the scores of two models on the same folds.

    Groups of images that belong together change nothing here, as long as no group is split between
    folds: ``crossval.folds`` sees to that.

    With k differences d of mean m and sample variance s², t = m / √(s² (1/k + n_test/n_train))
    has about Student's distribution with k - 1 degrees of freedom if neither model is better.

    Args:
        first: k ≥ 2 scores of one model, a fold each.
        second: k scores of the other on the same folds, in the same order.
        n_train: Training images of a fold, on average; only its ratio to ``n_test`` matters.
        n_test: Held-out images of a fold, on average.

    Raises:
        InputError: Lengths differ, fewer than two folds, a score is not finite, or a size not
            above 0.

    Example:
        >>> result = corrected_t_test([0.90, 0.92, 0.94], [0.85, 0.88, 0.86], n_train=2, n_test=1)
        >>> round(result.difference, 3), round(result.p, 2)
        (0.057, 0.1)
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2 or not np.isfinite([a, b]).all():
        raise InputError(
            f"Scores {a.shape} and {b.shape}: expected as many finite ones of both models, "
            "one for each of at least two folds."
        )
    if not (n_train > 0 and n_test > 0):
        raise InputError(f"n_train={n_train}, n_test={n_test}: expected both above 0.")
    differences, k = a - b, len(a)
    mean = float(differences.mean())
    error = float(np.sqrt(differences.var(ddof=1) * (1 / k + n_test / n_train)))
    if np.ptp(differences) > 1e-12:  # more than rounding
        t = mean / error
        p = float(2 * stats.t.sf(abs(t), k - 1))
    else:
        t, p = (0.0, 1.0) if abs(mean) < 1e-12 else (float("nan"), float("nan"))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, k - 1)) * error
    return FoldTest(k, float(a.mean()), float(b.mean()), mean, mean - reach, mean + reach, t, p)


def mcnemar(
    correct_first: np.ndarray, correct_second: np.ndarray, *, groups: np.ndarray | None = None
) -> ImageTest:
    """Compare the answers of two models to the same images.

    Images that both get right, or both wrong, say nothing about which is better. Of the others,
    each model should win half if they are equally good.

    With groups, it is each group's net wins that were as likely the other way round.

    Args:
        correct_first: bool (N,), whether one model is right.
        correct_second: bool (N,), the other, the same images in the same order. No image may
            be a copy of one outside its group: copies would count as evidence.
        groups: (N,), equal values belong together; None: every image stands by itself.

    Raises:
        InputError: The shapes differ, or the values are not bool.

    Example:
        >>> mcnemar(np.array([True] * 9 + [False]), np.array([False] * 9 + [True])).p
        0.021484375
    """
    a, b = np.asarray(correct_first), np.asarray(correct_second)
    if a.ndim != 1 or a.shape != b.shape or not len(a) or a.dtype != bool or b.dtype != bool:
        raise InputError(
            f"Answers {a.dtype} {a.shape} and {b.dtype} {b.shape}: expected bool (N,) of the same "
            "N > 0 images, True where the model is right."
        )
    won, lost = int((a & ~b).sum()), int((b & ~a).sum())
    member = grouped.numbered(groups, len(a))
    if member is None:
        p = float(stats.binomtest(won, won + lost).pvalue) if won + lost else 1.0
        return ImageTest(len(a), won, lost, p)
    net = np.bincount(member, weights=a.astype(int) - b.astype(int)).astype(int)
    p, least = sign_flips(net)
    return ImageTest(len(a), won, lost, p, len(net), least)


def verdict(
    folds: FoldTest, images: ImageTest, *, first: str, second: str, score: str = "accuracy"
) -> str:
    """Say in one paragraph what may be concluded from both tests, and what may not.

    Args:
        folds: From ``corrected_t_test``.
        images: From ``mcnemar``, on the pooled held-out images of the same folds.
        first: What the first model is called in a sentence, such as "the network".
        second: The other.
        score: What the fold scores measure, 0…1.
    """
    figures = (
        f"Over {folds.folds} folds {first} has a mean {score} of {100 * folds.first:.1f} % and "
        f"{second} of {100 * folds.second:.1f} %: a difference of {100 * folds.difference:+.1f} "
        f"points (95 % interval {100 * folds.low:+.1f} to {100 * folds.high:+.1f}, corrected "
        f"t-test {_p(folds.p)}). Of {images.n:,} images, {images.only_first:,} are right with "
        f"{first} only and {images.only_second:,} with {second} only ({_test(images)} "
        f"{_p(images.p)})."
    )
    return f"{figures} {_conclusion(folds, images, first, second)}{_too_few(images)}"


def image_verdict(images: ImageTest, *, first: str, second: str) -> str:
    """Say in words what may be concluded from one set of test images, and what may not.

    Args:
        images: From ``mcnemar``.
        first: What the first model is called in a sentence.
        second: The other.
    """
    figures = (
        f"Of the same {images.n:,} test images, {images.only_first:,} are right with {first} only "
        f"and {images.only_second:,} with {second} only ({_test(images)} {_p(images.p)})."
    )
    if images.p >= 1 - LEVEL:
        return (
            f"{figures} Chance would explain that: these two models are not told apart, which "
            f"does not make them equal.{_too_few(images)}"
        )
    leader = first if images.only_first > images.only_second else second
    return (
        f"{figures} That is more than chance: on images like these, the model of {leader} is "
        "right more often. Whether the same would come out after training anew, one model of "
        "each cannot say."
    )


def _conclusion(folds: FoldTest, images: ImageTest, first: str, second: str) -> str:
    alpha = 1 - LEVEL
    by_folds, by_images = folds.p < alpha, images.p < alpha  # nan is not below
    lead = images.only_first - images.only_second
    better, worse = (first, second) if folds.difference > 0 else (second, first)
    if by_folds and by_images and folds.difference * lead > 0:
        return (
            f"Both tests agree: trained this way on images like these, {better} is better than "
            f"{worse}. How large the lead is, is known no better than the interval says; whether "
            "it holds for other images or other settings is not shown."
        )
    if by_folds and by_images:
        return (
            "The tests point in opposite directions: the folds are too uneven for a conclusion, "
            "and which model is better stays open."
        )
    if by_folds:
        return (
            f"The tests disagree: the folds favour {better} consistently, but on the images where "
            "the two differ, chance would explain the count. This is a hint that "
            f"{better} is better, not more; more images would decide it."
        )
    if by_images:
        leader = first if lead > 0 else second
        return (
            "The tests disagree: these trained models do differ on these images, in favour of "
            f"{leader}, but the folds do not show that the same would come out after training "
            "anew: they are too few, or their differences too uneven. That "
            f"{leader} is the better choice in general may not be concluded."
        )
    return (
        "The two are not told apart: neither test finds more than chance. That does not make "
        "them equal: any difference inside the interval is compatible with these results."
    )


def _test(images: ImageTest) -> str:
    """Return what the test of the images is called in a sentence."""
    return "McNemar's test" + ("" if images.groups is None else f" over {images.groups:,} groups")


def _too_few(images: ImageTest) -> str:
    """Return a sentence to add where no answers in these groups could have been enough, or ""."""
    few = " The answers differ in fewer than six groups: the test could not have found anything."
    return few if images.groups is not None and images.p_least >= 1 - LEVEL else ""


def _p(p: float) -> str:
    """Return a p value as one reads it."""
    if np.isnan(p):
        return "without a p value, as every fold differs by the same amount"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"

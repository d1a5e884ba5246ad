"""How much one image moves a figure: what the variance of the figure is made of.

The variance of a figure is the mean square of its rows' influences over N. For figures of the
confusion matrix they are the same for all rows of one cell; for the AUC they are DeLong's
components. Nothing is drawn at random.

Source:
    Efron 1982, "The jackknife, the bootstrap and other resampling plans", chapter 6;
    DeLong et al. 1988, "Comparing the areas under correlated ROC curves", Biometrics 44;
    Obuchowski 1997, Biometrics 53: rows as clusters, for the micro AUC.
"""

import numpy as np
from scipy.special import ndtr

from cnnlab.evaluation import weighted

PSEUDO = 6  # rows added to each class before its errors are judged, see ``effective_sizes``


def effective_sizes(counts: np.ndarray) -> dict[str, float]:
    """Return how many images each figure is worth, at most as many as there are.

    A macro figure lets few images of a rare class decide a large share: it is as uncertain as an
    accuracy over fewer images, f (1 - f) / variance of them. A rare class may show no error by
    luck; the variance is therefore taken after mixing ``PSEUDO`` rows of the average class into
    each, errors spread evenly, and is never 0.

    Args:
        counts: int (C, C) confusion counts, rows are true classes.

    Returns:
        Names such as macro_f1 → a size in 0…N.
    """
    size, classes = counts.sum(), len(counts)
    accuracy = (np.trace(counts) + 1) / (size + 2)
    errors = (1 - accuracy) * (1 - np.eye(classes)) / (classes - 1)
    support = counts.sum(axis=1, keepdims=True)
    typical = accuracy * np.eye(classes) + errors
    smooth = support / (support + PSEUDO) * (counts + PSEUDO * typical)  # row sums stay
    sizes = {}
    for name, (figure, influence) in _confusion_influences(smooth).items():
        # Every class costs a degree of freedom: its score was estimated first.
        variance = (smooth * influence**2).sum() / size / max(size - classes, 1)
        spread = figure * (1 - figure)
        sizes[name] = float(min(size, spread / variance)) if variance > 0 < spread else float(size)
    return sizes


def _confusion_influences(counts: np.ndarray) -> dict[str, tuple[float, np.ndarray]]:
    """Return each figure and the influence of one more row in each cell, float64 (C, C)."""
    size, hit = counts.sum(), np.eye(len(counts))
    true, predicted = counts.sum(axis=1), counts.sum(axis=0)
    precision, recall, f1 = (
        score(counts) for score in (weighted.precision, weighted.recall, weighted.f1)
    )
    scores = {  # score per class, and its derivative by the hits, the labels and the predictions
        "recall": (recall, *_slopes(recall, 1, true, 1, 0)),
        "precision": (precision, *_slopes(precision, 1, predicted, 0, 1)),
        "f1": (f1, *_slopes(f1, 2, true + predicted, 1, 1)),
    }
    found = {}
    for name, (score, by_hit, by_label, by_prediction) in scores.items():
        for kind, share in (
            ("macro", np.full(len(true), 1 / len(true))),
            ("weighted", true / size),
        ):
            figure = score @ share
            influence = hit * (by_hit * share) + (by_label * share)[:, None]
            influence = size * (influence + by_prediction * share)
            if kind == "weighted":  # one more label also shifts the shares
                influence = influence + score[:, None] - figure
            found[f"{kind}_{name}"] = (float(figure), influence)
    return found


def _slopes(
    score: np.ndarray, hits: int, whole: np.ndarray, labels: int, predictions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the derivatives of ``hits · TP / whole`` by TP, by labels and by predictions."""
    unit = weighted.ratio(np.ones(len(whole)), whole)
    return hits * unit, -labels * score * unit, -predictions * score * unit


def auc_losses(positive: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return which share of its opposites each row loses against: float64 (N,), ties half.

    A positive loses against negatives that score higher, a negative against positives that score
    lower. The mean over positives, and that over negatives, is 1 - AUC.
    """
    losses = np.empty(len(scores))
    for own in (positive, ~positive):
        others = np.sort(scores[~own])
        below = np.searchsorted(others, scores[own]), np.searchsorted(others, scores[own], "right")
        losses[own] = (below[0] + below[1]) / (2 * max(len(others), 1))  # ties half
    losses[positive] = 1 - losses[positive]
    return losses


def macro_auc(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float, np.ndarray]:
    """Return 1 - macro AUC and the influence of each row, (N,); nan where no class has an AUC."""
    size = len(labels)
    found, total, defined = np.zeros(size), 0.0, 0
    for c, scores in enumerate(probabilities.T):
        positive = labels == c
        own = positive.sum()
        if not 0 < own < size:
            continue
        losses = auc_losses(positive, scores)
        loss = losses[positive].mean()
        # The jackknife's divisors: a class of ten images has nine degrees of freedom.
        divisors = np.where(positive, max(own - 1, 1), max(size - own - 1, 1))
        found += (size - 1) / divisors * (losses - loss)
        total, defined = total + loss, defined + 1
    return (total / defined, found / defined) if defined else (np.nan, found)


def micro_auc(labels: np.ndarray, probabilities: np.ndarray) -> tuple[float, np.ndarray]:
    """Return 1 - micro AUC and the influence of each row, (N,): its C pairs stay together."""
    positive = np.eye(probabilities.shape[1], dtype=bool)[labels]
    losses = auc_losses(positive.ravel(), probabilities.ravel()).reshape(positive.shape)
    loss = losses[positive].mean()
    share = np.where(positive, 1, 1 / (probabilities.shape[1] - 1))
    return loss, (share * (losses - loss)).sum(axis=1)


def ece_deviation(gaps: np.ndarray, member: np.ndarray) -> float:
    """Return the standard deviation of the calibration error over test sets of this size.

    Around a true gap the observed one is normal, and its absolute value folded normal. The true
    gaps are the observed ones shrunk by as much as these do not exceed chance, judged by all bins
    together and by the mean gap, whichever shrinks less.

    Args:
        gaps: float (N,), correctness (0 or 1) minus confidence.
        member: int (N,), the bin of each row; no bin is empty.
    """
    count = np.bincount(member)
    share = count / len(gaps)
    mean = np.bincount(member, weights=gaps) / count
    squares = np.bincount(member, weights=gaps**2) / count
    variance = np.maximum(squares - mean**2, 0) / np.maximum(count - 1, 1)
    by_bins = 1 - 2 * weighted.ratio(share @ variance, share @ mean**2)
    by_mean = 1 - weighted.ratio(share**2 @ variance, gaps.mean() ** 2)
    true = np.abs(mean) * np.sqrt(np.clip(max(by_bins, by_mean), 0, 1))
    deviation = np.maximum(np.sqrt(variance), 1e-12)
    distance = true / deviation
    folded = deviation * np.sqrt(2 / np.pi) * np.exp(-(distance**2) / 2)
    folded += true * (1 - 2 * ndtr(-distance))
    within = share**2 @ np.maximum(true**2 + variance - folded**2, 0)
    between = (share @ true**2 - (share @ true) ** 2) / len(gaps)
    return float(np.sqrt(within + max(between, 0)))

"""How much one image moves a figure: what the variance of the figure is made of.

The variance of a figure is the mean square of its rows' influences over N. For figures of the
confusion matrix they are the same for all rows of one cell; for the AUC they are DeLong's
components. Nothing is drawn at random.

Where images come in groups, what counts is how much a group moves the figure (see ``grouped``).

Source:
    Efron 1982, "The jackknife, the bootstrap and other resampling plans", chapter 6;
    DeLong et al. 1988, "Comparing the areas under correlated ROC curves", Biometrics 44;
    Obuchowski 1997, "Nonparametric analysis of clustered ROC curve data", Biometrics 53: rows as
    clusters, for the micro AUC, and groups as clusters for both;
    Shao and Tu 1995, "The Jackknife and Bootstrap": leaving out groups.
"""

import numpy as np

from cnnlab.evaluation import weighted
from cnnlab.statistics import grouped

PSEUDO = 6  # rows added to each class before its errors are judged, see ``effective_sizes``
MAX_CELLS = 2_000_000  # of the confusion counts held at a time: bounds the memory to tens of MB


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
    smooth, sizes = _smoothed(counts), {}
    for name, (figure, influence) in _confusion_influences(smooth).items():
        # Every class costs a degree of freedom: its score was estimated first.
        variance = (smooth * influence**2).sum() / size / max(size - classes, 1)
        spread = figure * (1 - figure)
        sizes[name] = float(min(size, spread / variance)) if variance > 0 < spread else float(size)
    return sizes


def design_effects(
    labels: np.ndarray, predicted: np.ndarray, classes: int, member: np.ndarray
) -> dict[str, float]:
    """Return by how much groups multiply the variance of each figure; at least 1.

    Args:
        labels: int (N,).
        predicted: int (N,).
        classes: C.
        member: int (N,), the group of each row, from ``grouped.numbered``.

    Returns:
        The same names as ``effective_sizes``, whose sizes are to be divided by these.
    """
    cells = labels * classes + predicted
    counts = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    whole, left = _figures(counts), _left_out_figures(cells, counts, member)
    effects = {}
    for name, (_, influence) in _confusion_influences(_smoothed(counts)).items():
        rows = influence[labels, predicted]
        moves = (len(left[name]) - 1) * (whole[name] - left[name])
        effects[name] = grouped.design_effect(rows - rows.mean(), moves, member)
    return effects


def _left_out_figures(
    cells: np.ndarray, counts: np.ndarray, member: np.ndarray
) -> dict[str, np.ndarray]:
    """Return each figure without each of the G groups in turn: name → float64 (G,)."""
    number, width = int(member.max()) + 1, counts.size
    step = max(1, MAX_CELLS // width)
    blocks = []
    for start in range(0, number, step):
        stop = min(start + step, number)
        inside = (start <= member) & (member < stop)
        place = (member[inside] - start) * width + cells[inside]
        own = np.bincount(place, minlength=(stop - start) * width)
        blocks.append(_figures(counts - own.reshape(-1, *counts.shape)))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def _figures(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Return the macro and weighted scores of confusion counts (…, C, C), each float64 (…,)."""
    share = weighted.ratio(counts.sum(axis=-1), counts.sum(axis=(-2, -1))[..., None])
    found = {}
    for score in (weighted.precision, weighted.recall, weighted.f1):
        values = score(counts)
        found[f"macro_{score.__name__}"] = values.mean(axis=-1)
        found[f"weighted_{score.__name__}"] = (values * share).sum(axis=-1)
    return found


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """Return the counts with ``PSEUDO`` rows of the average class in each; row sums stay."""
    size, classes = counts.sum(), len(counts)
    accuracy = (np.trace(counts) + 1) / (size + 2)
    errors = (1 - accuracy) * (1 - np.eye(classes)) / (classes - 1)
    support = counts.sum(axis=1, keepdims=True)
    typical = accuracy * np.eye(classes) + errors
    return support / (support + PSEUDO) * (counts + PSEUDO * typical)


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

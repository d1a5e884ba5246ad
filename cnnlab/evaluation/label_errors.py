"""Labels that are probably wrong, found by a model that has not seen them: confident learning.

The model has to have predicted each image without having learnt from it (out of fold), or it will
have learnt the wrong labels by heart. A suspect is a proposal to look, not a correction: what is
found are images the model is sure about against their label, whichever of the two errs.

Source:
    Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels",
    JAIR 70 (2021): equations 1 and 2 for the confident joint, section 3.2 for the selection from
    its off-diagonal; the ranking is by normalised margin.
"""

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.evaluation import metrics


def thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return how sure the model must be of each class: its mean probability where it is the label.

    Args:
        labels: int (N,) in 0…C-1, some of them wrong.
        probabilities: float (N, C), out of fold.

    Returns:
        float64 (C,); infinite for a class without labels, which is never suggested then.

    Raises:
        InputError: The arrays do not fit together.
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    classes = probabilities.shape[1]
    own = np.bincount(labels, probabilities[np.arange(len(labels)), labels], classes)
    counts = np.bincount(labels, minlength=classes)
    return np.where(counts > 0, own / np.maximum(counts, 1), np.inf)


def suspects(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return the images whose label is probably wrong, the most suspicious first.

    An image is confidently of a class if its probability reaches that class's threshold, of the
    most probable such class if there are several. It is suspected if that class is not its label.

    Args:
        labels: int (N,) in 0…C-1, some of them wrong.
        probabilities: float (N, C), out of fold: no image was predicted by a model that saw it.

    Returns:
        Columns row (of the arrays), label, suggested (class indices), self_confidence (the
        label's probability), margin (self_confidence less the largest other probability, -1…1),
        by rising margin. Equal margins keep the order of the rows.

    Raises:
        InputError: The arrays do not fit together.

    Example:
        >>> sure, unsure = [0.9, 0.1], [0.4, 0.6]
        >>> suspects(np.array([0, 1, 1, 1]), np.array([sure, unsure, sure, unsure]))["row"].tolist()
        [2]
    """
    labels, probabilities = metrics.checked(labels, probabilities)
    rows = np.arange(len(labels))
    confident = probabilities >= thresholds(labels, probabilities)
    suggested = np.where(confident, probabilities, -1.0).argmax(axis=1)
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    margin = own - others.max(axis=1)
    chosen = np.flatnonzero(confident.any(axis=1) & (suggested != labels))
    chosen = chosen[np.argsort(margin[chosen], kind="stable")]
    return pd.DataFrame(
        {
            "row": chosen,
            "label": labels[chosen],
            "suggested": suggested[chosen],
            "self_confidence": own[chosen],
            "margin": margin[chosen],
        }
    )


def score(found: pd.DataFrame, labels: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Return how well wrong labels that are known were found.

    Args:
        found: From ``suspects``.
        labels: int (N,) in 0…C-1, as given to ``suspects``.
        truth: int (N,) in 0…C-1, the true classes: a label is wrong where the two differ.

    Returns:
        Counts: images, planted (wrong labels), suspected, found (suspects that are wrong labels).
        Shares, nan of nothing: recall (of the planted that are suspected), precision (of the
        suspects that are wrong), first_precision (the same among the first as many suspects as
        were planted), chance (of wrong labels among all: the precision of any list drawn blindly),
        named (of the found ones, those whose suggested class is the true one).

    Raises:
        InputError: The arrays do not fit together.
    """
    labels, truth = np.asarray(labels), np.asarray(truth)
    if labels.shape != truth.shape or labels.ndim != 1:
        raise InputError(
            f"labels have shape {labels.shape}, the truth {truth.shape}: expected one class of "
            "each image in both."
        )
    rows = found["row"].to_numpy()
    planted = labels != truth
    hits, wrong = planted[rows], int(planted.sum())
    named = (found["suggested"].to_numpy() == truth[rows])[hits]
    return {
        "images": len(labels),
        "planted": wrong,
        "suspected": len(hits),
        "found": int(hits.sum()),
        "recall": float(hits.sum() / wrong) if wrong else float("nan"),
        "precision": _mean(hits),
        "first_precision": _mean(hits[:wrong]),
        "chance": _mean(planted),
        "named": _mean(named),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")

"""Would more images help? The score against the number of training images."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from cnnlab.config import InputError, child_seed

# (training rows, seed) → scores by name, of a model trained on these rows with this seed
RunSubset = Callable[[np.ndarray, int], Mapping[str, float]]


def nested_subsets(
    labels: np.ndarray, groups: np.ndarray, fractions: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Return growing parts of the training images, each containing the ones before it.

    Groups (copies of one image, the images of a patient) are drawn whole, until the fraction is
    reached: a subset has up to one group of a class more than the fraction, never less. A group of
    several classes is drawn for the rarest of them.

    Args:
        labels: int (N,).
        groups: (N,), any dtype; equal values stay together.
        fractions: Rising, in (0, 1].
        seed: Decides what is drawn first.

    Returns:
        A rising int64 array of rows for each fraction; at least one group of every class.

    Raises:
        InputError: The lengths differ, there are no rows, or the fractions are no rising ones.
    """
    labels, groups, shares = np.asarray(labels), np.asarray(groups), np.asarray(fractions, float)
    if labels.ndim != 1 or labels.shape != groups.shape or not len(labels):
        raise InputError(
            f"Labels {labels.shape} and groups {groups.shape}: expected the same N > 0 rows."
        )
    rising = len(shares) and shares[0] > 0 and shares[-1] <= 1 and (np.diff(shares) > 0).all()
    if not rising:
        raise InputError(f"fractions={list(fractions)}: expected rising ones, above 0, up to 1.")
    generator = np.random.default_rng(child_seed(seed, "learning_curve"))
    needed = np.empty(len(labels))  # the fraction from which on a row is in
    stratum = _rarest_labels(labels, groups)
    for label in np.unique(stratum):
        rows = np.flatnonzero(stratum == label)
        names, member = np.unique(groups[rows], return_inverse=True)
        place = generator.permutation(len(names))  # of each group, in the order of drawing
        before = np.cumsum(np.bincount(place[member]))[place] - np.bincount(member)
        needed[rows] = before[member] / len(rows)  # images drawn earlier; 0 for the first group
    for label in np.unique(labels):  # one that is never the rarest of its group may come too late
        rows = np.flatnonzero(labels == label)
        earliest = rows[needed[rows].argmin()]
        needed[groups == groups[earliest]] = 0.0
    return [np.flatnonzero(needed < share) for share in shares]


def _rarest_labels(labels: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return for each row the label, of those in its group, that has the fewest images: (N,)."""
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(counts, kind="stable")
    rank = np.empty(len(names), int)
    rank[order] = np.arange(len(names))  # 0 is the rarest
    member = np.unique(groups, return_inverse=True)[1]
    lowest = np.full(member.max() + 1, len(names))
    np.minimum.at(lowest, member, rank[codes])
    return names[order][lowest[member]]


def learning_curve(
    labels: np.ndarray,
    groups: np.ndarray,
    fractions: Sequence[float],
    run: RunSubset,
    *,
    seeds: Sequence[int] = (0,),
) -> pd.DataFrame:
    """Train on growing parts of the images, and score each model on the same other images.

    Args:
        labels: int (N,), of the training images.
        groups: (N,); rows of one group come together.
        fractions: Rising, in (0, 1].
        run: Trains on the rows it is given, with the seed, and returns scores by name.
        seeds: One curve each, of other subsets and other weights.

    Returns:
        A row per seed and fraction: seed, fraction, n (training images), and the scores.

    Raises:
        InputError: See ``nested_subsets``; or no seeds.

    Example:
        >>> learning_curve(labels, groups, [0.1, 0.3, 1.0], run, seeds=[0, 1, 2])
    """
    if not len(seeds):
        raise InputError("A learning curve needs at least one seed.")
    rows = []
    for seed in seeds:
        subsets = nested_subsets(labels, groups, fractions, seed)
        for fraction, subset in zip(fractions, subsets, strict=True):
            scores = run(subset, seed)
            rows.append({"seed": seed, "fraction": fraction, "n": len(subset), **scores})
    return pd.DataFrame(rows)

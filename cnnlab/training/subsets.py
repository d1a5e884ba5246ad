"""Training on parts of the images: for a learning curve."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from typing import Any

import numpy as np

from cnnlab.config import Settings
from cnnlab.data.batches import Dataset
from cnnlab.training import frozen, probe
from cnnlab.training.trainer import new_model, train


def subset_runner(
    dataset: Dataset,
    pool: np.ndarray,
    validation: np.ndarray,
    settings: Settings,
    score: Callable[[np.ndarray, np.ndarray], Mapping[str, float]],
    report: Callable[[int, dict[str, Any]], None] = lambda *_: None,
) -> Callable[[np.ndarray, int], Mapping[str, float]]:
    """Return the function that trains on a part of the images: for a learning curve.

    Args:
        dataset: Prepared pixels and labels.
        pool: int64 (N,), the training images; a part is positions in it.
        validation: int64 (M,), the images that stop the training and judge it.
        settings: The protocol.
        score: Gives scores by name for labels int64 (M,) and probabilities float32 (M, C).
        report: Is given the training's number, from 1, and its row after each epoch, see ``fit``.

    Returns:
        (positions (n,), seed) → scores of a new network trained on them.
    """
    number = count(1)

    def run(positions: np.ndarray, seed: int) -> Mapping[str, float]:
        if probe.alone(settings):
            done = frozen.fitted(dataset, pool[positions], validation, settings, seed)
            report(next(number), done.row)
            return score(dataset.labels[validation], done.answers(validation))
        model, told = new_model(dataset, settings, seed=seed), partial(report, next(number))
        train(model, dataset, pool[positions], validation, settings, seed=seed, report=told)
        answers = probe.answers(model, dataset, validation, settings)
        return score(dataset.labels[validation], answers)

    return run

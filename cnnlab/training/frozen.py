"""Trainings that are a probe alone: heads fitted on features, without a network for each.

A fold, or a part of the images, costs what its head costs. A network that begins with the weights
of others gives the same features whatever the seed; one with random weights is another network for
each, as it would be if it were trained.
"""

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from cnnlab.config import Settings
from cnnlab.data.batches import Dataset
from cnnlab.features import Head
from cnnlab.training import probe
from cnnlab.training.trainer import new_model


@dataclass(frozen=True, eq=False)
class Fitted:
    """A head, the features that it was fitted on, and how long that took."""

    head: Head
    features: probe.Features
    seconds: float

    @property
    def row(self) -> dict[str, Any]:
        """What ``fit`` reports of a training that has one epoch, without its figures."""
        done = {"epoch": 1, "stage": 1, "epochs": 1, "best": True, "last": True}
        return done | {"seconds": self.seconds}

    def answers(self, rows: np.ndarray) -> np.ndarray:
        """Return the probabilities of some images, none of the test set: float32 (n, C)."""
        return self.head.answers(self.features.of(rows))


def fitted(
    dataset: Dataset, train: np.ndarray, validation: np.ndarray, settings: Settings, seed: int
) -> Fitted:
    """Return the head that ``trainer.train`` would give a new network of this seed."""
    dataset.check(np.concatenate([train, validation]))
    found = features(dataset, settings, seed)
    started = time.perf_counter()
    head = probe.fitted_head(found, dataset, train, validation, settings, seed=seed)
    return Fitted(head, found, time.perf_counter() - started)


def features(dataset: Dataset, settings: Settings, seed: int) -> probe.Features:
    """Return the features of the network that the settings and a seed describe."""
    decides = settings.model.weights == "random"
    return _features(dataset, settings, seed if decides else settings.seed)


@lru_cache(maxsize=1)
def _features(dataset: Dataset, settings: Settings, seed: int) -> probe.Features:
    return probe.features(new_model(dataset, settings, seed=seed), dataset, settings)

"""What a network answers about some images of a dataset, before and after its temperature."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cnnlab import training
from cnnlab.config import Settings
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras
from cnnlab.evaluation import calibration, scoring
from cnnlab.evaluation.records import Evaluation


@dataclass(frozen=True, eq=False)
class Predictions:
    """The answers of one network about N images.

    Attributes:
        rows: int64 (N,), their rows in the dataset.
        labels: int64 (N,), their true classes.
        groups: str (N,), which depend on each other; None where no groups were declared.
        class_names: The C labels, in the order of the probabilities.
        raw: float32 (N, C), the network's own softmax.
        temperature: T.
        probabilities: float32 (N, C), softmax(log raw / T): what is served.
    """

    rows: np.ndarray
    labels: np.ndarray
    groups: np.ndarray | None
    class_names: tuple[str, ...]
    raw: np.ndarray
    temperature: float
    probabilities: np.ndarray

    def evaluate(self, settings: Settings) -> Evaluation:
        """Return every figure of the served probabilities, with its interval."""
        return scoring.evaluate(
            self.labels,
            self.probabilities,
            self.class_names,
            samples=settings.evaluation.bootstrap_samples,
            seed=settings.seed,
            groups=self.groups,
        )

    def table(self, dataset: Dataset) -> pd.DataFrame:
        """Return one row an image with every probability, see ``scoring.predictions``."""
        found = dataset.table.iloc[self.rows]
        return scoring.predictions(found, self.labels, self.probabilities, self.class_names)

    def reliability(self) -> dict[str, pd.DataFrame]:
        """Return ``scoring.reliability`` "as trained" and, where T is not 1, "served"."""
        shown = {"as trained": self.raw}
        if self.temperature != 1:
            shown["served"] = self.probabilities
        return {
            name: scoring.reliability(self.labels, probabilities, groups=self.groups)
            for name, probabilities in shown.items()
        }


def predict(
    model: keras.Model,
    dataset: Dataset,
    rows: np.ndarray,
    settings: Settings,
    *,
    temperature: float | None = None,
) -> Predictions:
    """Return what a network answers about some images of a dataset.

    Args:
        model: float32 (B, S, S, 3) in 0…255 → softmax (B, C).
        dataset: Its images and labels; its class names are those of the outputs.
        rows: int64 (N,); those of a sealed test set are refused.
        settings: ``batch_size``, and what the network was trained by, see ``training.answers``.
        temperature: T; None: it is fitted on these very images, see ``calibration``.
    """
    raw = training.answers(model, dataset, rows, settings)
    labels, groups = dataset.labels[rows], dataset.groups(rows)
    if temperature is None:
        temperature = calibration.fit_temperature(labels, raw, groups=groups)
    served = calibration.apply(raw, temperature)
    return Predictions(rows, labels, groups, tuple(dataset.class_names), raw, temperature, served)

"""Heads: what turns features into probabilities, as plain dense layers."""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from cnnlab.config import InputError
from cnnlab.engine import make_deterministic, tf
from cnnlab.statistics import linear_probe

# scikit-learn's C on standardised features: steps of √10, from a penalty that leaves the shares of
# the classes to one that 30 rows of 1,280 features hardly feel. Few of them are tried.
STRENGTHS = tuple(float(f"{10 ** (power / 2):.2g}") for power in range(-12, 5))
PARTS = 3  # of the cross-validation that chooses among them
CHOOSING, FITTING = 1e-3, 1e-5  # tolerances of the solver

Layer = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Head:
    """Dense layers, rectified between, softmax at the end.

    Attributes:
        layers: Kernel float32 (K, C) and bias float32 (C,) of each, first to last.
        strength: Of a linear one: scikit-learn's C, which was chosen.
        losses: Strength → log loss by which it was chosen.
    """

    layers: tuple[Layer, ...]
    strength: float | None = None
    losses: dict[float, float] | None = None

    def answers(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities of features float32 (N, K): float32 (N, C).

        They are computed by the engine in float32, as the network does.
        """
        make_deterministic()
        x = tf.constant(np.asarray(features, np.float32))
        for kernel, bias in self.layers[:-1]:
            x = tf.nn.relu(tf.matmul(x, kernel) + bias)
        kernel, bias = self.layers[-1]
        return tf.nn.softmax(tf.matmul(x, kernel) + bias).numpy()


def linear(
    features: np.ndarray,
    labels: np.ndarray,
    units: np.ndarray,
    num_classes: int,
    *,
    seed: int,
    class_weights: np.ndarray | None = None,
    plain: np.ndarray | None = None,
) -> Head:
    """Return the multinomial logistic regression of features, its penalty chosen among the rows.

    One thread computes it, so its bits do not depend on the number of cores.

    Args:
        features: float32 (N, K).
        labels: int64 (N,), 0…C-1.
        units: (N,), rows that depend on each other: the choice never divides one.
        num_classes: C.
        seed: Decides the parts of the cross-validation.
        class_weights: (C,), above 0; a class counts so many times in the loss. None: once.
        plain: bool (N,), which rows are images as they are, not augmented: they judge.

    Raises:
        InputError: A class has no row.
    """
    check_classes(labels, num_classes)
    weights = None if class_weights is None else class_weights[labels]
    with threadpool_limits(1):
        choice = linear_probe.choose_strength(
            STRENGTHS, np.asarray(features, np.float32), labels, units,
            parts=PARTS, seed=seed, tolerance=CHOOSING, weights=weights, judging=plain,
        )  # fmt: skip
        model = linear_probe.fitted(
            np.asarray(features, np.float64), labels, choice.strength,
            tolerance=FITTING, weights=weights,
        )  # fmt: skip
    return Head((linear_probe.as_layer(model),), choice.strength, choice.losses)


def check_classes(labels: np.ndarray, num_classes: int) -> None:
    """Raise InputError unless every class has a row to learn from."""
    missing = np.flatnonzero(np.bincount(labels, minlength=num_classes) == 0)
    if len(missing):
        raise InputError(
            f"Cannot fit a head: class {', '.join(map(str, missing))} of {num_classes} has no "
            "training image. Add some, or divide the images into fewer parts."
        )

"""Class weights: worked by hand, and beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from cnnlab.config import InputError
from cnnlab.training import balance


@pytest.mark.parametrize(
    ("labels", "ratio"), [([0, 1], 1), ([0, 0, 0, 1], 3), ([2] * 25 + [0, 0] + [1] * 5, 12.5)]
)
def test_imbalance(labels: list[int], ratio: float) -> None:
    assert balance.imbalance(np.array(labels)) == ratio


def test_weights_by_hand() -> None:
    # n = 6, C = 3, counts 3, 2, 1: 6/9, 6/6, 6/3
    weights = balance.balanced_weights(np.array([0, 1, 0, 2, 1, 0]), 3)
    np.testing.assert_allclose(weights, [2 / 3, 1, 2])


def test_weights_are_those_of_scikit_learn_and_even_the_classes_out() -> None:
    labels = np.random.default_rng(0).choice(4, 500, p=[0.6, 0.3, 0.08, 0.02])
    weights = balance.balanced_weights(labels, 4)
    expected = compute_class_weight("balanced", classes=np.arange(4), y=labels)
    np.testing.assert_allclose(weights, expected)
    np.testing.assert_allclose(np.bincount(labels, weights[labels]), 500 / 4)


def test_a_class_without_images_cannot_be_balanced() -> None:
    with pytest.raises(InputError, match="class 1, 3 of 4 has no training image"):
        balance.balanced_weights(np.array([0, 2]), 4)

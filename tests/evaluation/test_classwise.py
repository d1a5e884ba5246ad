import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError
from cnnlab.evaluation import classwise

NAMES = ["cat", "dog"]


def test_each_class_is_compared_with_what_was_predicted_for_it():
    labels = np.array([0, 1, 1, 0])
    cats = np.array([0.1, 0.2, 0.25, 1.0])  # bins of a fifth: [0, 0.2), [0.2, 0.4), …, [0.8, 1]
    cells = classwise.reliability(labels, np.stack([cats, 1 - cats], axis=1), NAMES)
    expected = pd.DataFrame(
        [
            ("cat", 0.0, 0.2, 1, 0.1, 1.0, np.sqrt(0.09)),
            ("cat", 0.2, 0.4, 2, 0.225, 0.0, np.sqrt(0.16 + 0.1875) / 2),
            ("cat", 0.8, 1.0, 1, 1.0, 1.0, 0.0),
            ("dog", 0.0, 0.2, 1, 0.0, 0.0, 0.0),
            ("dog", 0.6, 0.8, 1, 0.75, 1.0, np.sqrt(0.1875)),
            ("dog", 0.8, 1.0, 2, 0.85, 0.5, np.sqrt(0.09 + 0.16) / 2),
        ],
        columns=["class", "low", "high", "count", "predicted", "observed", "deviation"],
    )
    p_values = cells.pop("p_value")
    pd.testing.assert_frame_equal(cells, expected)
    # Cats: 1 of 1 at 0.1; 0 of 2 at 0.225; 1 of 1 at 1. Dogs: 0 of 1; 1 of 1; 1 of 2 at 0.85.
    of_two = 1 - 0.85**2  # at most one of two
    assert p_values.tolist() == pytest.approx([0.2, 1, 1, 1, 1, 2 * of_two])


def test_the_error_is_the_gap_weighted_by_images():
    cells = pd.DataFrame(
        {
            "class": ["z", "z", "a"],
            "count": [30, 10, 40],
            "predicted": [0.1, 0.8, 0.5],
            "observed": [0.2, 0.6, 0.5],
            "deviation": [0.0, 0.2, 0.1],
        }
    )
    found = classwise.errors(cells)
    assert found["class"].tolist() == ["z", "a"]
    assert found["error"].tolist() == pytest.approx([(30 * 0.1 + 10 * 0.2) / 40, 0])
    size = np.sqrt(2 / np.pi)
    assert found["by_chance"].tolist() == pytest.approx([10 * 0.2 / 40 * size, 0.1 * size])


def test_classwise_ece_is_that_of_the_formula():
    """The double sum of Kull et al., written out."""
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([0.4, 1, 2], 200)
    labels = rng.integers(0, 3, 200)
    total, bins = 0.0, 15
    for j in range(3):
        for i in range(bins):
            inside = [
                n
                for n in range(200)
                if i / bins <= probabilities[n, j] < (i + 1) / bins
                or (i == bins - 1 and probabilities[n, j] == 1)
            ]
            if inside:
                frequency = sum(labels[n] == j for n in inside) / len(inside)
                predicted = sum(probabilities[n, j] for n in inside) / len(inside)
                total += len(inside) / 200 * abs(frequency - predicted)
    cells = classwise.reliability(labels, probabilities, ["a", "b", "c"], bins)
    assert classwise.errors(cells)["error"].mean() == pytest.approx(total / 3)


@pytest.mark.slow
def test_true_probabilities_get_about_the_error_of_chance():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        probabilities = rng.dirichlet([1, 1, 1], 300)
        labels = (probabilities.cumsum(axis=1) > rng.random((300, 1))).argmax(axis=1)
        cells = classwise.reliability(labels, probabilities, ["a", "b", "c"])
        found.append(classwise.errors(cells)[["error", "by_chance"]].mean())
    error, by_chance = np.mean(found, axis=0)
    assert error == pytest.approx(by_chance, rel=0.05)


def test_cancelling_errors_of_two_classes_show():
    """The predicted class is right as often as promised, yet each class on its own is off."""
    probabilities = np.repeat([[0.7, 0.3], [0.3, 0.7]], 50, axis=0)
    labels = np.repeat([0, 1, 0], [50, 20, 30])  # cats always right, dogs in 40 of 100
    cells = classwise.reliability(labels, probabilities, NAMES)
    assert classwise.errors(cells)["error"].tolist() == pytest.approx([0.3, 0.3])


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(InputError):
        classwise.reliability(np.array([0, 1]), np.ones((3, 2)) / 2, NAMES)
    with pytest.raises(InputError, match="3 class names"):
        classwise.reliability(np.array([0]), np.ones((1, 2)) / 2, ["a", "b", "c"])

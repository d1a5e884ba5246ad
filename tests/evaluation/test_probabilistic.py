import numpy as np
import pytest
from sklearn import metrics as oracle

from cnnlab.evaluation import probabilistic


def drawn(seed, rows=200, classes=4):
    """Labels that follow the probabilities: a perfectly calibrated classifier."""
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.full(classes, 0.5), size=rows)
    cumulated = probabilities.cumsum(axis=1)
    labels = (generator.random((rows, 1)) > cumulated[:, :-1]).sum(axis=1)
    return labels, probabilities


@pytest.mark.parametrize("seed", range(3))
def test_losses_agree_with_scikit_learn(seed):
    labels, probabilities = drawn(seed)
    clipped = np.clip(probabilities, probabilistic.EPSILON, 1)
    expected = oracle.log_loss(labels, clipped / clipped.sum(axis=1, keepdims=True))
    assert probabilistic.log_loss(labels, probabilities) == pytest.approx(expected, rel=1e-5)
    expected = oracle.brier_score_loss(labels, probabilities, scale_by_half=False)
    assert probabilistic.brier(labels, probabilities) == pytest.approx(expected)


def test_losses_at_their_ends():
    labels, sure = np.array([0, 1]), np.eye(2)
    assert probabilistic.log_loss(labels, sure) == 0
    assert probabilistic.brier(labels, sure) == 0
    assert probabilistic.log_loss(labels, sure[::-1]) == pytest.approx(7 * np.log(10))
    assert probabilistic.brier(labels, sure[::-1]) == 2


def test_hand_worked_calibration_error_and_table():
    confidence = np.array([0.6, 0.6, 0.8, 0.9])
    probabilities = np.column_stack([confidence, 1 - confidence])
    labels = np.array([0, 1, 0, 1])
    table = probabilistic.reliability(labels, probabilities, bins=2)
    np.testing.assert_allclose(
        table.to_numpy(), [[0.6, 0.6, 2, 0.6, 0.5], [0.8, 0.9, 2, 0.85, 0.5]]
    )
    assert list(table.columns) == ["low", "high", "count", "confidence", "accuracy"]
    assert probabilistic.ece(labels, probabilities, bins=2) == pytest.approx((0.1 + 0.35) / 2)


def test_bins_hold_equal_numbers_and_equal_confidences_stay_together():
    labels, probabilities = drawn(0, rows=150)
    assert np.bincount(probabilistic.binned(labels, probabilities)[2]).tolist() == [10] * 15
    probabilities[:70] = [0.97, 0.01, 0.01, 0.01]
    member = probabilistic.binned(labels, probabilities)[2]
    assert len(set(member[:70])) == 1
    assert (np.bincount(member) > 0).all()
    order = np.random.default_rng(1).permutation(150)
    again = probabilistic.ece(labels[order], probabilities[order])
    assert again == pytest.approx(probabilistic.ece(labels, probabilities))


def test_one_confidence_for_all_is_one_bin():
    labels, probabilities = np.array([0, 0, 0, 1]), np.tile([0.9, 0.1], (4, 1))
    assert probabilistic.ece(labels, probabilities) == pytest.approx(0.15)
    assert len(probabilistic.reliability(labels, probabilities)) == 1


def test_the_floor_is_what_calibrated_classifiers_get():
    found = np.array(
        [
            (probabilistic.ece(*case), probabilistic.ece_if_calibrated(case[1]))
            for case in (drawn(seed, rows=600) for seed in range(200))
        ]
    )
    ece, floor = found.mean(axis=0)
    assert ece > 0.02  # far from the true calibration error, 0
    assert floor == pytest.approx(ece, rel=0.05)

import numpy as np
import pytest
from scipy.special import log_softmax

from cnnlab.statistics import linear_probe

STRENGTHS = (1e-4, 1e-2, 1.0)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 3
    return rng.normal(size=(300, 5)) + 1.5 * np.eye(3, 5)[labels], labels


def test_both_losses_by_hand(rows):
    model = linear_probe.fitted(rows[0][:200], rows[1][:200], 1.0, tolerance=1e-6)
    scores = model.decision_function(rows[0][200:])
    truth = rows[1][200:]
    wrong = np.mean(scores.argmax(axis=1) != truth)
    assert linear_probe.error_rate(model, rows[0][200:], truth) == pytest.approx(wrong)
    assert 0 < wrong < 0.5
    given = log_softmax(scores, axis=1)[np.arange(100), truth]
    assert linear_probe.log_loss(model, rows[0][200:], truth) == pytest.approx(-given.mean())


def test_columns_are_standardised(rows):
    large = rows[0] * np.array([1e6, 1, 1, 1, 1e-6]) + 7
    one, other = (
        linear_probe.fitted(each, rows[1], 0.01, tolerance=1e-8).predict_proba(each)
        for each in (rows[0], large)
    )
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("loss", [linear_probe.error_rate, linear_probe.log_loss])
def test_the_strength_with_the_lowest_loss_is_chosen(rows, loss):
    learned, judging = ((each[part] for each in rows) for part in (slice(200), slice(200, 300)))
    learned, judging = tuple(learned), tuple(judging)
    losses = [
        loss(linear_probe.fitted(*learned, strength, tolerance=1e-4), *judging)
        for strength in STRENGTHS
    ]
    found = linear_probe.best_strength(STRENGTHS, learned, judging, loss, tolerance=1e-4)
    assert found == STRENGTHS[int(np.argmin(losses))]


def test_of_equals_the_first_is_chosen(rows):
    found = linear_probe.best_strength(
        STRENGTHS, rows, rows, lambda model, features, labels: 1.0, tolerance=1e-2
    )
    assert found == STRENGTHS[0]

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import log_loss

from cnnlab.config import InputError
from cnnlab.evaluation import calibration


def simulated(generator, rows, sharpness, spread=3.0, classes=5):
    """Return labels drawn from softmax(z), and the answers softmax(sharpness · z) to them."""
    logits = generator.normal(0, spread, (rows, classes))
    below = softmax(logits, axis=1).cumsum(axis=1) < generator.random((rows, 1))
    labels = np.minimum(below.sum(axis=1), classes - 1)
    return labels, softmax(sharpness * logits, axis=1)


def loss(labels, probabilities, temperature=1.0):
    rows = calibration.apply(probabilities, temperature)
    return log_loss(labels, rows, labels=range(rows.shape[1]))


class Given(ClassifierMixin, BaseEstimator):
    """A classifier that answers with the logits it is asked about."""

    def fit(self, logits, labels):
        self.classes_ = np.unique(labels)
        return self

    def decision_function(self, logits):
        return logits

    def predict(self, logits):
        return self.classes_[logits.argmax(axis=1)]


def test_hand_worked_temperature():
    # At T = 1/2 probabilities are squared, at T = 2 their roots are taken; then each row sums to 1.
    rows = np.array([[0.2, 0.8], [0.5, 0.5], [0.0, 1.0]])
    squared = [[1 / 17, 16 / 17], [0.5, 0.5], [0, 1]]
    np.testing.assert_allclose(calibration.apply(rows, 0.5), squared)
    np.testing.assert_allclose(calibration.apply(rows, 2.0), [[1 / 3, 2 / 3], [0.5, 0.5], [0, 1]])
    assert calibration.apply(rows, 1.0) is rows


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf])
def test_a_temperature_out_of_range_is_refused(temperature):
    with pytest.raises(InputError, match="expected above 0"):
        calibration.apply(np.array([[0.5, 0.5]]), temperature)


@pytest.mark.parametrize("sharpness", [0.4, 1.0, 3.0])
def test_the_optimum_is_scikit_learns(sharpness):
    labels, rows = simulated(np.random.default_rng(1), 400, sharpness)
    logits = np.log(rows)
    oracle = CalibratedClassifierCV(
        FrozenEstimator(Given().fit(logits, labels)), method="temperature"
    )
    expected = oracle.fit(logits, labels).predict_proba(logits)
    temperature = calibration.optimal_temperature(labels, rows)
    np.testing.assert_allclose(calibration.apply(rows, temperature), expected, atol=1e-4)
    assert temperature == pytest.approx(sharpness, rel=0.25)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fit", [calibration.optimal_temperature, calibration.fit_temperature])
def test_the_loss_never_rises_on_the_rows_it_was_fitted_on(seed, fit):
    generator = np.random.default_rng(seed)
    rows_count, sharpness = int(generator.integers(1, 60)), float(generator.uniform(0.3, 4))
    labels, rows = simulated(generator, rows_count, sharpness)
    temperature = fit(labels, rows)
    assert 0.05 <= temperature <= 20
    assert loss(labels, rows, temperature) <= loss(labels, rows)


def test_the_optimum_is_bounded_where_there_is_none():
    right = np.tile([[0.9, 0.1]], (50, 1))
    assert 0.05 <= calibration.optimal_temperature(np.zeros(50, int), right) < 0.1  # flat: log 1
    assert calibration.optimal_temperature(np.ones(50, int), right) == pytest.approx(20, rel=1e-4)


def test_without_an_error_certainty_grows_no_further_than_one_error_more_allows():
    labels, rows = np.arange(100) % 2, np.tile([[0.7, 0.3], [0.3, 0.7]], (50, 1))
    served = calibration.apply(rows, calibration.fit_temperature(labels, rows))
    assert served.max() == pytest.approx(0.99, abs=1e-4)  # 1 of 100 rows counts as wrong
    labels[:10] = 1 - labels[:10]  # 90 of 100 are right; a hundredth of each counts as the other
    served = calibration.apply(rows, calibration.fit_temperature(labels, rows))
    assert served.max() == pytest.approx(0.9 * 0.99 + 0.1 * 0.01, abs=1e-4)


def test_a_label_of_probability_zero_has_no_say():
    labels, rows = simulated(np.random.default_rng(2), 300, 2.0)
    with_zeros = np.concatenate([rows, [[0, 1, 0, 0, 0], [0.5, 0, 0.5, 0, 0]]])
    expected = calibration.optimal_temperature(labels, rows)
    found = calibration.optimal_temperature(np.append(labels, [0, 1]), with_zeros)
    assert found == pytest.approx(expected, rel=1e-4)
    only = np.array([[0.0, 1.0]])
    assert calibration.fit_temperature(np.array([0]), only) == 1.0


def test_the_order_of_the_rows_does_not_matter_much():
    labels, rows = simulated(np.random.default_rng(3), 200, 2.0)
    order = np.argsort(labels)
    for arranged in (order, order[::-1], np.random.default_rng(0).permutation(200)):
        found = calibration.fit_temperature(labels[arranged], rows[arranged])
        assert found == pytest.approx(calibration.fit_temperature(labels, rows), rel=1e-4)


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 2.0])
def test_held_out_loss_is_not_worse_beyond_noise(sharpness):
    generator = np.random.default_rng(7)
    gains, kept = [], 0
    for _ in range(20):
        temperature = calibration.fit_temperature(*simulated(generator, 300, sharpness))
        held = simulated(generator, 4000, sharpness)
        gains.append(loss(*held) - loss(*held, temperature))
        kept += temperature != 1
    assert min(gains) > -0.01  # of a loss of 0.7: the standard error of that loss is 0.016
    if sharpness == 1:  # nothing to gain: mostly left alone
        assert kept <= 4
    else:
        assert kept == 20
        assert np.mean(gains) > 0.05


def test_groups_of_one_image_leave_the_temperature_as_it_is():
    labels, rows = simulated(np.random.default_rng(3), 200, 2.0)
    alone = calibration.fit_temperature(labels, rows)
    assert calibration.fit_temperature(labels, rows, groups=np.arange(200)) == alone
    assert calibration.fit_temperature(labels, rows, groups=np.zeros(200)) == 1


def test_no_group_is_split_between_fitting_and_proving(monkeypatch):
    seen = []
    monkeypatch.setattr(
        calibration, "optimal_temperature",
        lambda labels, rows, **_: seen.append(np.unique(rows[:, 1])) or 1.0,
    )  # fmt: skip
    member = np.arange(60) // 7  # the second column names the group
    rows = np.stack([1 - member / 100, member / 100], axis=1)
    calibration._cross_fitted_gains(np.arange(60) % 2, rows, member)
    assert len(seen) == 5
    assert sum(9 - len(groups) for groups in seen) == 9  # each of nine left out once, and whole


def test_the_gain_has_to_exceed_the_standard_error_of_groups(monkeypatch):
    # Two of ten cameras gain 1, one loses 1.6: 0.04 ± 0.22 by camera, ± 0.02 by image.
    labels, rows = simulated(np.random.default_rng(3), 1000, 2.0)
    groups, gains = np.arange(1000) // 100, np.repeat([1.0, 1, 0, 0, 0, 0, 0, 0, 0, -1.6], 100)
    monkeypatch.setattr(calibration, "_cross_fitted_gains", lambda *_: gains)
    assert gains.mean() == pytest.approx(0.04)
    assert calibration.fit_temperature(labels, rows) != 1
    assert calibration.fit_temperature(labels, rows, groups=groups) == 1


def test_an_advantage_that_few_groups_show_is_not_enough():
    """Calibrated answers, but each group of 40 is as over- or under-confident as its camera."""
    generator = np.random.default_rng(8)
    groups = np.arange(400) // 40
    told, untold = [], []
    for _ in range(25):
        spread = np.exp(0.5 * generator.normal(size=10))[groups, None]
        logits = generator.normal(0, 3, (400, 4))
        below = softmax(logits, axis=1).cumsum(axis=1) < generator.random((400, 1))
        labels, rows = np.minimum(below.sum(axis=1), 3), softmax(spread * logits, axis=1)
        told.append(calibration.fit_temperature(labels, rows, groups=groups) != 1)
        untold.append(calibration.fit_temperature(labels, rows) != 1)
    assert np.mean(told) < np.mean(untold)


def test_arrays_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="do not fit"):
        calibration.fit_temperature(np.array([0, 1]), np.array([[0.5, 0.5]]))

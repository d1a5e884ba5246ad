import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cnnlab.config import InputError
from cnnlab.evaluation import intervals, metrics, probabilistic

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "coverage.py"


def case(rows=150, classes=3, separation=2.0, seed=1):
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=rows)
    scores = generator.normal(size=(rows, classes)) + separation * np.eye(classes)[labels]
    odds = np.exp(separation * scores)
    return labels, odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("hits", "size"), [(0, 10), (7, 10), (95, 100), (100, 100)])
def test_wilson_agrees_with_scipy(hits, size):
    expected = stats.binomtest(hits, size).proportion_ci(0.9, method="wilson")
    found = intervals.wilson(hits / size, size, 0.9)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_headlines_are_the_metrics_with_their_limits():
    found = intervals.headlines(*case())
    assert list(found) == list(intervals.METHODS)
    for name, interval in found.items():
        room = probabilistic if hasattr(probabilistic, name) else metrics
        assert interval.estimate == pytest.approx(getattr(room, name)(*case())), name
        assert 0 <= interval.low < interval.estimate < interval.high, name


def test_intervals_shrink_with_the_root_of_the_number_of_images():
    small, large = case(500), case(8000)
    wide, narrow = intervals.headlines(*small), intervals.headlines(*large)
    for name in wide:
        ratio = (wide[name].high - wide[name].low) / (narrow[name].high - narrow[name].low)
        assert 2 < ratio < 8, name


def test_a_wider_level_gives_a_wider_interval():
    found = [intervals.headlines(*case(), level=level) for level in (0.8, 0.95, 0.99)]
    for name in intervals.METHODS:
        widths = [figures[name].high - figures[name].low for figures in found]
        assert widths[0] < widths[1] < widths[2], name


@pytest.mark.parametrize("classes", [2, 5])
def test_a_flawless_test_set_leaves_room_for_doubt(classes):
    labels = np.arange(100) % classes
    found = intervals.headlines(labels, np.eye(classes)[labels])
    for name, interval in found.items():
        best = 0 if name in ("log_loss", "brier", "ece") else 1
        assert interval.estimate == best, name
        assert best in (interval.low, interval.high), name
        assert interval.high - interval.low > 0.03, name
    assert found["accuracy"].low == pytest.approx(0.963, abs=5e-4)  # Wilson's after 100 of 100


def test_a_figure_that_is_undefined_has_no_limits():
    labels, probabilities = np.zeros(5, int), np.tile([[0.6, 0.4]], (5, 1))
    found = intervals.headlines(labels, probabilities)["macro_auc"]
    assert np.isnan([found.estimate, found.low, found.high]).all()


def test_one_image_is_enough_for_limits():
    found = intervals.headlines(np.array([1]), np.array([[0.3, 0.7]]))
    assert found["accuracy"].low < 0.5
    assert all(
        interval.low < interval.high for name, interval in found.items() if name != "macro_auc"
    )


def test_a_calibration_error_near_zero_by_luck_has_a_wide_interval():
    labels = np.repeat([0, 0, 0, 1], 100)
    found = intervals.headlines(labels, np.tile([0.75001, 0.24999], (400, 1)))["ece"]
    assert found.estimate == pytest.approx(1e-5)
    assert found.low < 1e-9
    assert 0.02 < found.high < 0.15  # the accuracy itself is known to ± 0.04


def test_hall_without_skewness_is_the_normal_interval():
    values = np.array([-1.0, 1.0] * 50)
    expected = stats.norm.interval(0.95, 3, stats.sem(values))
    assert intervals.hall(3.0, values, 0.95) == pytest.approx(expected)
    assert intervals.hall(3.0, np.zeros(10), 0.95) is None


def test_hall_reaches_further_on_the_side_of_the_tail():
    values = np.random.default_rng(0).exponential(size=50)
    low, high = intervals.hall(values.mean(), values - values.mean(), 0.95)
    assert high - values.mean() > 1.2 * (values.mean() - low)


def test_class_intervals_hold_f1():
    counts = np.array([[9, 1, 0], [2, 8, 0], [0, 0, 0]])
    first, second, absent = intervals.f1_per_class(counts)
    np.testing.assert_allclose([first.estimate, second.estimate], [18 / 21, 16 / 19])
    assert 0 < first.low < first.estimate < first.high < 1
    # 9 of the 12 images that are or are called the first class: J = 3/4, F1 = 2 J / (1 + J).
    low = stats.binomtest(9, 12).proportion_ci(0.95, method="wilson").low
    assert first.low == pytest.approx(2 * low / (1 + low))
    assert (absent.estimate, absent.low, absent.high) == pytest.approx((0, 0, 1), abs=1e-6)


@pytest.mark.parametrize("level", [0, 1.0])
def test_a_level_out_of_range_is_refused(level):
    with pytest.raises(InputError, match="level="):
        intervals.headlines(*case(), level=level)


@pytest.mark.slow
@pytest.mark.parametrize(("accuracy", "images"), [(0.7, 100), (0.95, 100), (0.95, 400)])
def test_intervals_hold_the_true_figure_in_93_to_97_of_100_test_sets(accuracy, images):
    benchmark = runpy.run_path(str(BENCHMARK))
    setting = benchmark["Setting"](5, accuracy, images)
    for name, share in benchmark["coverage"](setting, repeats=3000, seed=0).items():
        assert 0.93 <= share <= 0.97, f"{name}: {share:.3f}"  # standard error 0.004

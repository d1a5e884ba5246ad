import runpy
from dataclasses import astuple
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
    labels = np.repeat([0, 1], 10)
    predicted = np.repeat([0, 1, 0, 1], [9, 1, 2, 8])
    first, second, absent = intervals.f1_per_class(labels, np.eye(3)[predicted])
    np.testing.assert_allclose([first.estimate, second.estimate], [18 / 21, 16 / 19])
    assert 0 < first.low < first.estimate < first.high < 1
    # 9 of the 12 images that are or are called the first class: J = 3/4, F1 = 2 J / (1 + J).
    low = stats.binomtest(9, 12).proportion_ci(0.95, method="wilson").low
    assert first.low == pytest.approx(2 * low / (1 + low))
    assert (absent.estimate, absent.low, absent.high) == pytest.approx((0, 0, 1), abs=1e-6)


def test_groups_of_one_image_change_nothing():
    names = np.random.default_rng(0).permutation(150).astype(str)
    assert intervals.headlines(*case(), groups=names) == intervals.headlines(*case())
    assert intervals.f1_per_class(*case(), groups=names) == intervals.f1_per_class(*case())


def test_names_and_order_of_groups_do_not_matter():
    labels, probabilities = case(240)
    groups, order = np.arange(240) // 12, np.random.default_rng(1).permutation(240)
    renamed = np.array([f"patient {97 - group}" for group in groups])[order]
    found = intervals.headlines(labels, probabilities, groups=groups)
    shuffled = intervals.headlines(labels[order], probabilities[order], groups=renamed)
    for name, interval in found.items():
        assert astuple(shuffled[name]) == pytest.approx(astuple(interval)), name


def test_copies_in_groups_give_the_interval_of_the_images():
    """Ten copies of each image tell no more than the image, and less if taken for ten."""
    labels, probabilities = case(300, separation=1.5)
    copies = np.repeat(np.arange(300), 10)
    alone = intervals.headlines(labels, probabilities)
    grouped = intervals.headlines(labels[copies], probabilities[copies], groups=copies)
    naive = intervals.headlines(labels[copies], probabilities[copies])
    for name, interval in alone.items():
        assert grouped[name].estimate == pytest.approx(interval.estimate), name
        width = interval.high - interval.low
        assert grouped[name].high - grouped[name].low == pytest.approx(width, rel=0.12), name
        assert naive[name].high - naive[name].low < 0.6 * width, name
    first = intervals.f1_per_class(labels, probabilities)[0]
    again = intervals.f1_per_class(labels[copies], probabilities[copies], groups=copies)[0]
    assert again.high - again.low == pytest.approx(first.high - first.low, rel=0.05)


def test_a_share_of_even_groups_is_about_students_interval_of_their_shares():
    """Far from 0 and 1, with groups enough, Wilson's limits are near the plain ones."""
    generator = np.random.default_rng(3)
    shares = generator.beta(6, 4, size=80)
    hits = generator.random((80, 50)) < shares[:, None]
    found = intervals.proportion(hits.ravel(), groups=np.repeat(np.arange(80), 50))
    means = hits.mean(axis=1)
    low, high = stats.t.interval(0.95, 79, means.mean(), stats.sem(means))
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.002)


def test_flawless_groups_leave_as_much_doubt_as_so_many_images():
    labels = np.tile(np.arange(2), 200)
    found = intervals.headlines(labels, np.eye(2)[labels], groups=np.arange(400) // 20)
    for name, interval in found.items():
        assert interval.high - interval.low > 0.1, name
    degrees = 19  # twenty of twenty, and Student's quantile for them
    size = 20 * (stats.norm.ppf(0.975) / stats.t.ppf(0.975, degrees)) ** 2
    assert found["accuracy"].low == pytest.approx(intervals.wilson(1.0, size)[0])


def test_one_group_tells_nothing_of_others():
    labels, probabilities = case(60)
    found = intervals.headlines(labels, probabilities, groups=np.zeros(60))
    for name, interval in found.items():
        worst = {"log_loss": 16.1, "brier": 2}.get(name, 1)
        assert interval.low <= interval.estimate <= interval.high, name
        assert interval.high - interval.low > 0.5 * worst, name


def test_a_class_seen_in_one_group_only_has_an_unknown_f1():
    labels = np.repeat([0, 1], [60, 6])
    groups = np.append(np.arange(60) // 6, [99] * 6)
    probabilities = np.eye(2)[labels]
    first, second = intervals.f1_per_class(labels, probabilities, groups=groups)
    assert first.low > 0.6
    assert (second.low, second.high) == pytest.approx((0, 1), abs=1e-3)


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


@pytest.mark.slow
def test_intervals_of_groups_hold_the_true_figure_where_those_of_images_fail():
    """300 test sets of 30 videos of 20 frames: standard error of a share of 95 % is 0.0126."""
    benchmark = runpy.run_path(str(BENCHMARK))
    setting = benchmark["Setting"](5, 0.7, 600, per_group=20, pure=True)
    held = benchmark["coverage"](setting, repeats=300, seed=1, blocks=1)
    naive = benchmark["coverage"](setting, repeats=60, seed=1, blocks=1, by_group=False)
    for name, share in held.items():
        assert share >= 0.93 - 2 * 0.0126, f"{name}: {share:.3f}"
        assert name == "ece" or share <= 0.97 + 2 * 0.0126, f"{name}: {share:.3f}"
        assert name == "ece" or naive[name] < 0.75, f"{name}: {naive[name]:.3f}"


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "pure"), [(30, False), (60, False), (60, True)])
def test_intervals_of_groups_hold_the_true_figure_in_93_to_97_of_100_test_sets(groups, pure):
    benchmark = runpy.run_path(str(BENCHMARK))
    setting = benchmark["Setting"](5, 0.7, 20 * groups, per_group=20, pure=pure)
    for name, share in benchmark["coverage"](setting, repeats=1000, seed=0).items():
        # Standard error 0.007; that of the ECE errs on the wide side.
        assert 0.93 - 0.007 <= share <= (1 if name == "ece" else 0.97 + 0.007), f"{name}: {share}"

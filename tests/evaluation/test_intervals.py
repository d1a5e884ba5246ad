import numpy as np
import pytest
from scipy import stats

from cnnlab.config import InputError
from cnnlab.evaluation import intervals, metrics


def drawn_case(generator, rows, classes=3, separation=2.0):
    """Labels and softmax probabilities of a known process, the same for every draw."""
    labels = generator.integers(classes, size=rows)
    scores = generator.normal(size=(rows, classes)) + separation * np.eye(classes)[labels]
    odds = np.exp(scores)
    return labels, odds / odds.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def case():
    return drawn_case(np.random.default_rng(1), 150)


@pytest.mark.parametrize(
    "name", ["accuracy", "macro_precision", "macro_recall", "macro_f1", "macro_auc"]
)
def test_headlines_equal_the_plain_bootstrap(case, name):
    statistic = getattr(metrics, name)
    plain = intervals.bootstrap(statistic, *case, samples=60, seed=4)
    fast = intervals.headlines(*case, samples=60, seed=4)[0][name]
    assert fast.estimate == pytest.approx(statistic(*case))
    assert (fast.low, fast.high) == pytest.approx((plain.low, plain.high))
    assert fast.low < fast.estimate < fast.high


def test_class_intervals_hold_the_class_scores(case):
    _, f1s = intervals.headlines(*case, samples=200, seed=0)
    expected = metrics.precision_recall_f1(*case).f1
    np.testing.assert_allclose([found.estimate for found in f1s], expected)
    assert all(found.low < found.estimate < found.high for found in f1s)


def test_limits_agree_with_scipy(case):
    labels, probabilities = case
    hits = (probabilities.argmax(axis=1) == labels).astype(float)
    theirs = stats.bootstrap(
        (hits,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    ours = intervals.headlines(*case, samples=4000, seed=0)[0]["accuracy"]
    # Accuracy moves in steps of 1/150: the two draws may differ by one step.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1.01 / 150)


def test_the_seed_decides_and_blocks_do_not_matter(case, monkeypatch):
    first = intervals.headlines(*case, samples=100, seed=3)
    assert intervals.headlines(*case, samples=100, seed=3) == first
    assert intervals.headlines(*case, samples=100, seed=4) != first
    monkeypatch.setattr(intervals, "MAX_CELLS", 1000)  # blocks of six resamples
    assert intervals.headlines(*case, samples=100, seed=3) == first


def test_a_wider_level_gives_a_wider_interval(case):
    def width(level):
        found = intervals.headlines(*case, samples=500, seed=0, level=level)[0]["macro_f1"]
        return found.high - found.low

    assert width(0.8) < width(0.95) < width(0.99)


def test_a_flawless_test_has_no_width():
    labels = np.arange(20) % 2
    found = intervals.bootstrap(metrics.accuracy, labels, np.eye(2)[labels], samples=50, seed=0)
    assert found == intervals.Interval(1.0, 1.0, 1.0)


def test_undefined_figures_are_nan():
    labels, probabilities = np.zeros(5, int), np.tile([[0.6, 0.4]], (5, 1))
    found = intervals.headlines(labels, probabilities, samples=20, seed=0)[0]["macro_auc"]
    assert np.isnan([found.estimate, found.low, found.high]).all()


def test_resamples_that_lack_a_class_are_left_out():
    labels, probabilities = np.array([0, 0, 0, 1]), np.array([[0.9], [0.6], [0.7], [0.65]])
    probabilities = np.column_stack([probabilities, 1 - probabilities])
    found = intervals.headlines(labels, probabilities, samples=200, seed=0)[0]["macro_auc"]
    assert found.estimate == pytest.approx(2 / 3)
    assert 0 <= found.low <= found.high <= 1


def test_grouped_jackknife_leaves_every_row_out_once(monkeypatch):
    monkeypatch.setattr(intervals, "MAX_LEFT_OUT", 4)
    monkeypatch.setattr(intervals, "MAX_CELLS", 30)
    weights = np.concatenate(list(intervals._left_out(10)))
    assert weights.shape == (4, 10)
    assert (weights.sum(axis=0) == 3).all()


def test_coverage_is_near_the_level():
    generator = np.random.default_rng(0)
    everything = drawn_case(generator, 200_000)
    truth = {name: getattr(metrics, name)(*everything) for name in ("accuracy", "macro_auc")}
    covered = dict.fromkeys(truth, 0)
    for repeat in range(150):
        found, _ = intervals.headlines(*drawn_case(generator, 120), samples=200, seed=repeat)
        for name, value in truth.items():
            covered[name] += found[name].low <= value <= found[name].high
    # 150 repeats at 95 % hold 142.5 ± 2.7; three deviations, and 200 resamples cost a little.
    assert 133 <= covered["accuracy"] <= 150
    assert 133 <= covered["macro_auc"] <= 150


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"level": 0}, {"level": 1.0}])
def test_settings_out_of_range_are_refused(case, wrong):
    with pytest.raises(InputError, match="samples="):
        intervals.bootstrap(metrics.accuracy, *case, **({"samples": 10, "seed": 0} | wrong))

import numpy as np
import pytest
from scipy import stats

from cnnlab.config import InputError
from cnnlab.evaluation import metrics, resampling
from cnnlab.evaluation.intervals import Interval


def drawn_case(generator, rows, classes=3, separation=2.0):
    """Labels and softmax probabilities of a known process, the same for every draw."""
    labels = generator.integers(classes, size=rows)
    scores = generator.normal(size=(rows, classes)) + separation * np.eye(classes)[labels]
    odds = np.exp(scores)
    return labels, odds / odds.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def case():
    return drawn_case(np.random.default_rng(1), 150)


def test_average_precisions_equal_the_plain_bootstrap(case):
    def macro(labels, probabilities):
        areas = [metrics.average_precision(labels == c, probabilities[:, c]) for c in range(3)]
        return float(np.mean(areas))

    plain = resampling.bootstrap(macro, *case, samples=60, seed=4)
    *classes, fast = resampling.average_precisions(*case, samples=60, seed=4)
    assert len(classes) == 3
    assert fast.estimate == pytest.approx(macro(*case))
    assert (fast.low, fast.high) == pytest.approx((plain.low, plain.high))
    assert all(found.low < found.estimate < found.high for found in [*classes, fast])


def test_limits_agree_with_scipy(case):
    labels, probabilities = case
    hits = (probabilities.argmax(axis=1) == labels).astype(float)
    theirs = stats.bootstrap(
        (hits,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    ours = resampling.bootstrap(metrics.accuracy, *case, samples=4000, seed=0)
    # Accuracy moves in steps of 1/150: the two draws may differ by one step.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1.01 / 150)


def test_the_seed_decides_and_blocks_do_not_matter(case, monkeypatch):
    first = resampling.average_precisions(*case, samples=100, seed=3)
    assert resampling.average_precisions(*case, samples=100, seed=3) == first
    assert resampling.average_precisions(*case, samples=100, seed=4) != first
    monkeypatch.setattr(resampling, "MAX_CELLS", 1000)  # blocks of six resamples
    assert resampling.average_precisions(*case, samples=100, seed=3) == first


def test_a_wider_level_gives_a_wider_interval(case):
    def width(level):
        found = resampling.average_precisions(*case, samples=500, seed=0, level=level)[-1]
        return found.high - found.low

    assert width(0.8) < width(0.95) < width(0.99)


def test_a_flawless_test_has_no_width():
    labels = np.arange(20) % 2
    found = resampling.bootstrap(metrics.accuracy, labels, np.eye(2)[labels], samples=50, seed=0)
    assert found == Interval(1.0, 1.0, 1.0)


def test_undefined_figures_are_nan():
    labels, probabilities = np.zeros(5, int), np.tile([[0.6, 0.4]], (5, 1))
    present, absent, macro = resampling.average_precisions(
        labels, probabilities, samples=20, seed=0
    )
    assert np.isnan([absent.estimate, absent.low, absent.high]).all()
    assert present == macro == Interval(1.0, 1.0, 1.0)


def test_resamples_that_lack_a_class_are_left_out():
    labels, probabilities = np.array([0, 0, 0, 1]), np.array([[0.9], [0.6], [0.7], [0.65]])
    probabilities = np.column_stack([probabilities, 1 - probabilities])
    found = resampling.bootstrap(metrics.macro_auc, labels, probabilities, samples=200, seed=0)
    assert found.estimate == pytest.approx(2 / 3)
    assert 0 <= found.low <= found.high <= 1


def test_grouped_jackknife_leaves_every_row_out_once(monkeypatch):
    monkeypatch.setattr(resampling, "MAX_LEFT_OUT", 4)
    weights = np.concatenate(list(resampling._left_out(10, 3)))
    assert weights.shape == (4, 10)
    assert (weights.sum(axis=0) == 3).all()


def test_groups_of_one_row_change_nothing(case):
    plain = resampling.average_precisions(*case, samples=50, seed=2)
    names = np.arange(150)[::-1]
    assert resampling.average_precisions(*case, samples=50, seed=2, groups=names) == plain


def test_copies_in_groups_give_the_interval_of_the_rows(case):
    labels, probabilities = case
    rows = np.repeat(np.arange(150), 4)
    plain = resampling.bootstrap(metrics.accuracy, *case, samples=400, seed=0)
    copied = resampling.bootstrap(
        metrics.accuracy, labels[rows], probabilities[rows], samples=400, seed=0, groups=rows
    )
    width = plain.high - plain.low
    assert copied.estimate == plain.estimate
    # The same draws, a little further out: Student's quantile for 150 groups, and √(150 / 149).
    assert width <= copied.high - copied.low + 1e-9 <= 1.08 * width


def test_few_groups_are_taken_further_out():
    tails = resampling._tails(0.95, np.repeat(np.arange(5), 7))
    assert tails == pytest.approx(np.array([-1, 1]) * stats.t.ppf(0.975, 4) * np.sqrt(5 / 4))


def test_one_group_has_no_limits(case):
    found = resampling.bootstrap(metrics.accuracy, *case, samples=20, seed=0, groups=np.zeros(150))
    assert found.estimate == metrics.accuracy(*case)
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize("wrong", [{"samples": 1}, {"level": 0}, {"level": 1.0}])
def test_settings_out_of_range_are_refused(case, wrong):
    with pytest.raises(InputError, match="samples="):
        resampling.bootstrap(metrics.accuracy, *case, **({"samples": 10, "seed": 0} | wrong))

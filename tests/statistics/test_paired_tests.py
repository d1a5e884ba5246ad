import math
import re
from itertools import product

import numpy as np
import pytest
from scipy import stats

from cnnlab.config import InputError
from cnnlab.statistics import paired_tests
from cnnlab.statistics.paired_tests import corrected_t_test, mcnemar, verdict

FIRST, SECOND = [0.90, 0.92, 0.94], [0.85, 0.88, 0.86]


def test_the_t_test_by_hand():
    found = corrected_t_test(FIRST, SECOND, n_train=20, n_test=10)
    # differences 0.05, 0.04, 0.08: mean 0.17/3, squared deviations sum to 26/30000
    mean, variance = 0.17 / 3, 26 / 30000 / 2
    error = math.sqrt(variance * (1 / 3 + 1 / 2))
    assert found.difference == pytest.approx(mean)
    assert (found.first, found.second) == pytest.approx((0.92, 2.59 / 3))
    assert found.t == pytest.approx(mean / error)
    # Student's distribution with two degrees of freedom has a closed form.
    assert found.p == pytest.approx(1 - found.t / math.sqrt(2 + found.t**2))
    reach = 4.302652729911275 * error  # its 97.5 % point, from printed tables
    assert (found.low, found.high) == pytest.approx((mean - reach, mean + reach))


def test_without_shared_images_it_is_the_paired_t_test():
    generator = np.random.default_rng(0)
    first, second = generator.random((2, 7))
    found = corrected_t_test(first, second, n_train=1e12, n_test=1)
    theirs = stats.ttest_rel(first, second)
    interval = theirs.confidence_interval(0.95)
    assert (found.t, found.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_swapping_the_models_turns_the_sign_only():
    one = corrected_t_test(FIRST, SECOND, n_train=4, n_test=1)
    other = corrected_t_test(SECOND, FIRST, n_train=4, n_test=1)
    assert (one.difference, one.low, one.p) == (-other.difference, -other.high, other.p)


def test_folds_that_do_not_vary():
    equal = corrected_t_test(FIRST, FIRST, n_train=4, n_test=1)
    assert (equal.difference, equal.low, equal.high, equal.p) == (0, 0, 0, 1)
    shifted = corrected_t_test(FIRST, np.array(FIRST) - 0.1, n_train=4, n_test=1)
    assert math.isnan(shifted.p)
    assert shifted.difference == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("first", "second", "sizes"),
    [
        ([0.5], [0.6], (4, 1)),
        ([0.5, 0.6], [0.5, 0.6, 0.7], (4, 1)),
        ([0.5, math.nan], [0.5, 0.6], (4, 1)),
        (FIRST, SECOND, (0, 1)),
        (FIRST, SECOND, (4, -1)),
    ],
)
def test_bad_scores_are_refused(first, second, sizes):
    with pytest.raises(InputError, match="expected"):
        corrected_t_test(first, second, n_train=sizes[0], n_test=sizes[1])


def answers(both: int, first: int, second: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    a = [True] * both + [True] * first + [False] * second + [False] * neither
    b = [True] * both + [False] * first + [True] * second + [False] * neither
    return np.array(a), np.array(b)


def test_mcnemar_counts_the_discordant_images_only():
    found = mcnemar(*answers(50, 8, 2, 40))
    assert (found.n, found.only_first, found.only_second) == (100, 8, 2)
    # 2·P(at most 2 heads of 10) = 2·(1 + 10 + 45)/1024
    assert found.p == pytest.approx(112 / 1024)
    assert mcnemar(*answers(0, 8, 2, 0)).p == found.p


def test_models_that_never_differ_are_equal():
    assert mcnemar(*answers(5, 0, 0, 3)).p == 1


def test_groups_of_one_image_change_nothing_but_that_they_are_said():
    first, second = answers(50, 8, 2, 40)
    names = np.random.default_rng(0).permutation(100)
    assert mcnemar(first, second, groups=names) == mcnemar(first, second)


def test_mcnemar_over_groups_against_every_choice_of_signs():
    generator = np.random.default_rng(4)
    first, second = generator.random((2, 80)) < [[0.8], [0.6]]
    groups = np.arange(80) // 9  # nine groups, the last one smaller
    found = mcnemar(first, second, groups=groups)
    net = np.bincount(groups, first.astype(int) - second)
    sums = np.array([np.dot(signs, net) for signs in product([-1, 1], repeat=9)])
    assert found.p == pytest.approx(np.mean(np.abs(sums) >= abs(net.sum()) - 1e-9))
    assert (found.groups, found.n) == (9, 80)
    assert found.p_least == 2.0 ** (1 - np.count_nonzero(net))


def test_copies_of_an_image_in_a_group_are_no_evidence():
    first, second = answers(50, 8, 2, 40)
    rows = np.repeat(np.arange(100), 7)
    assert mcnemar(first[rows], second[rows]).p < 1e-5
    found = mcnemar(first[rows], second[rows], groups=rows)
    assert found.p == pytest.approx(mcnemar(first, second).p)


def test_groups_that_never_differ_are_equal():
    found = mcnemar(*answers(6, 0, 0, 4), groups=np.arange(10) // 2)
    assert (found.p, found.p_least) == (1, 1)


@pytest.mark.parametrize("count", [8, 30])
def test_over_groups_the_test_is_seldom_wrong_where_by_image_it_mostly_is(count):
    """Equally good models whose answers to the 20 images of a group have much in common."""
    generator, by_group, by_image = np.random.default_rng(5), [], []
    groups = np.arange(20 * count) // 20
    for _ in range(600):
        noise = 0.7 * generator.normal(size=(2, count))[:, groups]
        first, second = noise + 0.5 * generator.normal(size=(2, 20 * count)) < 1
        by_group.append(mcnemar(first, second, groups=groups).p < 0.05)
        by_image.append(mcnemar(first, second).p < 0.05)
    assert np.mean(by_group) < 0.05 + 2 * 0.009  # standard error of 5 % in 600
    assert count < 10 or np.mean(by_group) > 0.05 - 3 * 0.009
    assert np.mean(by_image) > 0.3


def test_words_for_groups():
    first, second = answers(20, 20, 0, 0)
    few = mcnemar(first, second, groups=np.arange(40) // 10)
    text = paired_tests.image_verdict(few, first="a", second="b")
    assert "McNemar's test over 4 groups p = 0.50" in text
    assert text.endswith("fewer than six groups: the test could not have found anything.")
    many = mcnemar(first, second, groups=np.arange(40) // 2)
    text = paired_tests.image_verdict(many, first="a", second="b")
    assert "over 20 groups p = 0.002" in text
    assert "six" not in text
    assert "fewer than six groups" in verdict(fold_test(0.05, 0.01), few, first="a", second="b")


def test_mcnemar_refuses_numbers_and_other_lengths():
    with pytest.raises(InputError, match="expected bool"):
        mcnemar(np.array([1, 0]), np.array([1, 1]))
    with pytest.raises(InputError, match="expected bool"):
        mcnemar(np.array([True]), np.array([True, False]))


def fold_test(difference: float, p: float) -> paired_tests.FoldTest:
    low, high = difference - 0.02, difference + 0.02
    return paired_tests.FoldTest(5, 0.8 + difference, 0.8, difference, low, high, 0.0, p)


@pytest.mark.parametrize(
    ("difference", "p", "won", "lost", "says", "says_not"),
    [
        (0.05, 0.01, 90, 40, "the network is better than the linear model", "disagree"),
        (-0.05, 0.01, 40, 90, "the linear model is better than the network", "disagree"),
        (0.01, 0.4, 50, 48, "not told apart", "is better than"),
        (0.03, 0.02, 30, 25, "hint that the network", "is better than"),
        (0.03, 0.2, 90, 40, "in favour of the network", "is better than"),
        (-0.03, 0.2, 40, 90, "in favour of the linear model", "is better than"),
        (0.03, 0.01, 40, 90, "opposite directions", "is better than"),
        (0.05, math.nan, 90, 40, "without a p value", "is better than"),
    ],
)
def test_the_verdict_says_no_more_than_the_tests(difference, p, won, lost, says, says_not):
    images = mcnemar(*answers(500, won, lost, 100))
    text = verdict(fold_test(difference, p), images, first="the network", second="the linear model")
    assert says in text
    assert says_not not in text
    assert "\n" not in text
    assert f"{100 * difference:+.1f} points" in text


def test_the_verdict_states_the_numbers():
    text = verdict(fold_test(0.05, 0.0123), mcnemar(*answers(500, 90, 40, 870)),
                   first="A", second="B", score="macro F1")  # fmt: skip
    assert re.findall(r"\d[\d,.]* %|[+-]\d\.\d|p [=<] [\d.]+\d|\d,\d{3}", text) == [
        "85.0 %", "80.0 %", "+5.0", "95 %", "+3.0", "+7.0", "p = 0.012", "1,500", "p < 0.001",
    ]  # fmt: skip
    assert "mean macro F1" in text


def null_differences(generator, runs: int, rows: int, folds: list[np.ndarray]) -> np.ndarray:
    """Fold differences (runs, k) of two learners that are equally good by construction.

    Each learner sees one of two exchangeable features and cuts it between its class means.
    """
    labels = np.arange(rows) % 2
    features = generator.normal(size=(runs, rows, 2)) + labels[:, None]
    found = []
    for held_out in folds:
        training = ~held_out
        means = [features[:, training & (labels == c)].mean(axis=1) for c in (0, 1)]
        said = features[:, held_out] > ((means[0] + means[1]) / 2)[:, None]
        right = (said == (labels[held_out] == 1)[:, None]).mean(axis=1)  # (runs, 2)
        found.append(right[:, 0] - right[:, 1])
    return np.stack(found, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["five folds", "fifteen random splits"])
def test_equal_models_are_rarely_told_apart(scheme):
    """The corrected test errs in about 5 % of 4,000 runs or fewer; the plain one in more."""
    generator = np.random.default_rng(0)
    rows, runs = 100, 4000
    if scheme == "five folds":
        folds = [np.arange(rows) // 2 % 5 == fold for fold in range(5)]
    else:
        folds = [generator.permutation(rows) < 20 for _ in range(15)]
    differences = null_differences(generator, runs, rows, folds)
    plain = stats.ttest_1samp(differences[np.ptp(differences, axis=1) > 1e-9], 0, axis=1).pvalue
    zeros = np.zeros(differences.shape[1])
    corrected = [corrected_t_test(row, zeros, n_train=80, n_test=20).p for row in differences]
    wrong, naive = np.mean(np.array(corrected) < 0.05), np.sum(plain < 0.05) / runs
    print(f"{scheme}: false positives corrected {wrong:.3f}, plain {naive:.3f}")
    assert wrong <= 0.06  # 5 % and three standard errors
    assert naive > wrong


@pytest.mark.parametrize(
    ("won", "lost", "says"),
    [
        (5, 4, "not told apart, which does not make them equal"),
        (20, 2, "the model of this one is right more often"),
        (2, 20, "the model of that one is right more often"),
    ],
)
def test_one_set_of_test_images_says_no_more_than_it_can(won, lost, says):
    first = np.array([True] * won + [False] * lost + [True] * 1000)
    second = np.array([False] * won + [True] * lost + [True] * 1000)
    images = paired_tests.mcnemar(first, second)
    text = paired_tests.image_verdict(images, first="this one", second="that one")
    assert f"{won} are right with this one only and {lost} with that one only" in text
    assert says in text
    assert ("after training anew" in text) == (images.p < 0.05)

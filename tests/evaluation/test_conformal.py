import json

import numpy as np
import pytest
from scipy.special import softmax

from cnnlab.config import InputError
from cnnlab.evaluation import conformal
from cnnlab.evaluation.conformal import SetRule


def simulated(generator, rows, spread, classes=6):
    """Return labels drawn from the very probabilities that are returned with them."""
    probabilities = softmax(generator.normal(0, spread, (rows, classes)), axis=1)
    below = probabilities.cumsum(axis=1) < generator.random((rows, 1))
    return np.minimum(below.sum(axis=1), classes - 1), probabilities.astype("float32")


def mean_coverage(spread, rows, draws=300, sharpness=1.0):
    """Return the mean coverage and size over many calibration and test sets, and the accuracy."""
    generator = np.random.default_rng(11)
    covered, sizes, right = [], [], []
    for _ in range(draws):
        labels, probabilities = simulated(generator, rows + 400, spread)
        probabilities = probabilities**sharpness
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        rule = conformal.fit(labels[:rows], probabilities[:rows])
        members = conformal.sets(probabilities[rows:], rule.threshold)
        covered.append(conformal.coverage(labels[rows:], members))
        sizes.append(conformal.set_sizes(members).mean())
        right.append((probabilities[rows:].argmax(axis=1) == labels[rows:]).mean())
    return np.mean(covered), np.mean(sizes), np.mean(right)


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
@pytest.mark.parametrize("rows", [99, 500])
def test_nine_in_ten_sets_hold_the_true_class(rows, sharpness):
    # Overconfident answers (sharpness 3) change the sets' size, not the promise.
    covered, size, accuracy = mean_coverage(2.0, rows, sharpness=sharpness)
    assert accuracy < 0.85
    assert covered == pytest.approx(0.9, abs=0.01)
    assert 1 < size < 4


def test_an_accurate_classifier_covers_more_with_sets_of_one():
    covered, size, accuracy = mean_coverage(12.0, 200)
    assert accuracy > 0.92
    assert covered >= accuracy
    assert size == pytest.approx(1, abs=0.02)


def test_hand_worked_threshold():
    # 19 rows: ⌈20 · 0.9⌉ = 18 true classes must reach it, so it is the second smallest.
    own = np.float32(np.arange(1, 20) / 20)
    rows = np.stack([own, 1 - own], axis=1)
    shuffled = np.random.default_rng(0).permutation(19)
    rule = conformal.fit(np.zeros(19, int), rows[shuffled])
    assert rule == SetRule(0.9, float(np.float32(0.1)), 19)


@pytest.mark.parametrize(("rows", "threshold"), [(1, 0.0), (8, 0.0), (9, 0.25)])
def test_too_few_rows_put_every_class_into_every_set(rows, threshold):
    rule = conformal.fit(np.zeros(rows, int), np.tile([[0.25, 0.75]], (rows, 1)))
    assert rule == SetRule(0.9, threshold, rows)
    assert conformal.sets(np.array([[0.0, 1.0]]), rule.threshold).all() == (threshold == 0)


def test_a_set_holds_what_reaches_the_threshold_and_always_the_first_best():
    rows = np.array([[0.5, 0.25, 0.25], [0.4, 0.4, 0.2], [0.1, 0.45, 0.45]])
    assert conformal.sets(rows, 0.25).tolist() == [
        [True, True, True],
        [True, True, False],
        [False, True, True],
    ]
    assert conformal.sets(rows, 0.9).tolist() == np.eye(3, dtype=bool)[[0, 0, 1]].tolist()


def test_ties_cover_more_never_less():
    labels, rows = np.zeros(50, int), np.tile([[0.3, 0.7]], (50, 1))
    members = conformal.sets(rows, conformal.fit(labels, rows).threshold)
    assert conformal.coverage(labels, members) == 1


def test_the_comparison_is_that_of_float32_with_float64():
    threshold = json.loads(
        json.dumps(conformal.fit(np.zeros(9, int), np.full((9, 2), 0.1)).threshold)
    )
    assert threshold == float(np.float32(0.1)) > 0.1
    rows = np.array([[0.1, 0.9]])  # as float64 it would not reach the threshold
    assert conformal.sets(rows, threshold).tolist() == [[True, True]]
    assert conformal.sets(rows, np.nextafter(threshold, 1)).tolist() == [[False, True]]


def test_coverage_over_all_and_for_each_class():
    members = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]], bool)
    labels = np.array([0, 0, 1, 2])
    assert conformal.coverage(labels, members) == 0.75
    np.testing.assert_array_equal(
        conformal.coverage_per_class(labels, members), [0.5, 1, 1, np.nan]
    )
    assert conformal.set_sizes(members).tolist() == [1, 1, 2, 3]


@pytest.mark.parametrize(
    "wrong",
    [(0.0, 0.5, 9), (1.0, 0.5, 9), (0.9, -0.1, 9), (0.9, 1.1, 9), (0.9, np.nan, 9), (0.9, 0.5, 0)],
)
def test_a_rule_out_of_range_is_refused(wrong):
    with pytest.raises(InputError, match="expected a share between 0 and 1"):
        SetRule(*wrong)


def test_wrong_arguments_are_refused():
    rows = np.array([[0.5, 0.5]])
    for share in (0, 1, 1.5):
        with pytest.raises(InputError, match="expected at least one image and a share"):
            conformal.fit(np.array([0]), rows, coverage=share)
    for given in (rows[0], np.array([[np.nan, 1]])):
        with pytest.raises(InputError, match="expected finite numbers"):
            conformal.sets(given, 0.5)


def grouped_images(generator, count, per_group, classes=6):
    """Return labels, answers and groups; images of a group are about as hard as each other."""
    sizes = (
        generator.integers(1, 2 * per_group, size=count) if per_group > 1 else np.ones(count, int)
    )
    groups = np.repeat(np.arange(count), sizes)
    spread = np.exp(generator.normal(size=count))[groups]  # how far the answers are to be trusted
    logits = generator.normal(0, 2, (len(groups), classes))
    below = softmax(logits, axis=1).cumsum(axis=1) < generator.random((len(groups), 1))
    labels = np.minimum(below.sum(axis=1), classes - 1)
    return labels, softmax(spread[:, None] * logits, axis=1), groups


@pytest.mark.parametrize("count", [9, 25])
def test_nine_in_ten_images_of_a_new_group_are_covered(count):
    """Groups of some 20 images; each new group counts the same, whatever its size."""
    generator = np.random.default_rng(3)
    told, untold = [], []
    for _ in range(400):
        labels, answers, groups = grouped_images(generator, count + 10, 20)
        known = groups < count
        for covered, given in ((told, groups[known]), (untold, None)):
            rule = conformal.fit(labels[known], answers[known], groups=given)
            members = conformal.sets(answers[~known], rule.threshold)
            hit = members[np.arange(len(members)), labels[~known]]
            own = groups[~known] - count
            covered.append(np.mean(np.bincount(own, hit) / np.bincount(own)))
    assert np.mean(told) >= 0.9 - 0.005
    assert np.mean(told) <= 0.9 + 1 / (count + 1)  # no wider than the number of groups asks for
    assert np.mean(untold) < np.mean(told)


def test_the_weighted_threshold_by_hand():
    # Nine groups and the new one weigh a tenth each. All of the new one's may lie below; nothing
    # of the others may, at 0.9. At 0.8, one group's worth may: here the lowest three images.
    groups = np.array([0, 1, 1, 1, *range(2, 9)])
    own = np.array([0.30, 0.10, 0.20, 0.25, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95])
    assert conformal.lower_bound(own, 0.9, groups=groups) == 0.10
    assert conformal.lower_bound(own, 0.8, groups=groups) == 0.30
    assert conformal.lower_bound(own, 0.86, groups=groups) == 0.20  # a third of a group
    assert conformal.lower_bound(own, 0.91, groups=groups) == 0  # nine groups cannot promise it


def test_groups_of_one_image_leave_the_threshold_as_it_is():
    scores = np.random.default_rng(0).random(50)
    for share in (0.5, 0.8, 0.9, 0.95, 0.99):
        plain = conformal.lower_bound(scores, share)
        assert conformal.lower_bound(scores, share, groups=np.arange(50)) == plain
        # A pair of copies in each group: the same threshold by the other formula.
        pairs = conformal.lower_bound(
            np.repeat(scores, 2), share, groups=np.repeat(np.arange(50), 2)
        )
        assert pairs == plain

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cnnlab.config import InputError
from cnnlab.evaluation import errors

NAMES = ["coat", "shirt", "bag"]


def one_hot(predicted: list[int], certainty: float = 0.8) -> np.ndarray:
    rest = (1 - certainty) / 2
    return np.full((len(predicted), 3), rest) + (certainty - rest) * np.eye(3)[predicted]


def test_the_highest_losses_come_first_and_ties_stay_in_order():
    probabilities = np.array([[0.5, 0.5, 0], [0.1, 0.9, 0], [0.5, 0.5, 0], [0, 1, 0]])
    labels = np.array([0, 0, 1, 1])
    assert errors.highest_losses(labels, probabilities, 9).tolist() == [1, 0, 2, 3]
    assert errors.highest_losses(labels, probabilities, 2).tolist() == [1, 0]


def test_pairs_are_counted_in_both_directions():
    labels = [0, 0, 0, 0, 1, 1, 1, 2, 2]
    predicted = [0, 1, 1, 2, 0, 1, 1, 2, 2]
    table = errors.confused_pairs(np.array(labels), one_hot(predicted), NAMES)
    assert table.to_dict("records") == [
        {"first": "coat", "second": "shirt", "first_as_second": 2, "second_as_first": 1,
         "errors": 3, "rate": 3 / 7},
        {"first": "coat", "second": "bag", "first_as_second": 1, "second_as_first": 0,
         "errors": 1, "rate": 1 / 6},
    ]  # fmt: skip


def test_a_flawless_model_confuses_nothing():
    assert errors.confused_pairs(np.arange(3), one_hot([0, 1, 2]), NAMES).empty


def test_names_must_fit():
    with pytest.raises(InputError, match="2 class names for 3"):
        errors.confused_pairs(np.arange(3), one_hot([0, 1, 2]), NAMES[:2])


def test_examples_of_a_confusion_the_most_certain_first():
    probabilities = np.concatenate([one_hot([1, 1], 0.6), one_hot([1, 0], 0.9)])
    labels = np.zeros(4, int)
    assert errors.confused_images(labels, probabilities, 0, 1, 5).tolist() == [2, 0, 1]
    assert errors.confused_images(labels, probabilities, 0, 1, 1).tolist() == [2]
    assert errors.confused_images(labels, probabilities, 0, 2, 5).tolist() == []


def test_a_feature_gives_its_two_fifths():
    values = np.random.default_rng(0).permutation(50).astype(float)
    found = errors.quantile_slices({"size": values, "hue": values})
    assert list(found) == [
        "smallest fifth", "largest fifth", "lowest fifth by hue", "highest fifth by hue",
    ]  # fmt: skip
    assert sorted(values[found["smallest fifth"]]) == list(range(10))
    assert sorted(values[found["largest fifth"]]) == list(range(40, 50))


def test_what_hardly_varies_or_is_unknown_makes_no_slice():
    mostly = np.array([1.0] * 60 + list(range(2, 42)))  # 60 equal, the rest spread above
    assert list(errors.quantile_slices({"size": mostly})) == ["largest fifth"]
    assert errors.quantile_slices({"size": np.ones(10), "brightness": np.full(10, np.nan)}) == {}
    some = np.where(np.arange(100) < 50, np.nan, np.arange(100))
    assert np.flatnonzero(errors.quantile_slices({"size": some})["smallest fifth"])[0] == 50


def test_one_class_is_fishers_exact_test():
    generator = np.random.default_rng(0)
    for size in (12, 60, 400):
        mask, correct = generator.random(size) < 0.3, generator.random(size) < 0.8
        found = errors.slice_scores(correct, {"s": mask}, np.zeros(size, int)).iloc[0]
        table = [[np.sum(mask & correct), np.sum(mask & ~correct)],
                 [np.sum(~mask & correct), np.sum(~mask & ~correct)]]  # fmt: skip
        assert found["p"] == pytest.approx(stats.fisher_exact(table).pvalue)
        assert found["adjusted"] == pytest.approx(found["difference"])
        assert found["accuracy"] == pytest.approx(correct[mask].mean())
        assert found["rest"] == pytest.approx(correct[~mask].mean())


def test_several_classes_against_every_rearrangement():
    """Put each class's slice on every choice of its images: p is the share as unlikely."""
    correct = np.array([1, 0, 1, 1, 0, 1, 1, 1, 0, 1], bool)
    mask = np.array([1, 1, 0, 0, 1, 0, 1, 0, 1, 0], bool)
    labels = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
    sums = [
        sum(correct[list(first)]) + sum(correct[list(second)])
        for first in combinations(range(5), 3)
        for second in combinations(range(5, 10), 2)
    ]
    chances = np.bincount(sums) / len(sums)
    expected = chances[chances <= chances[correct[mask].sum()] + 1e-12].sum()
    found = errors.slice_scores(correct, {"s": mask}, labels).iloc[0]
    assert found["p"] == pytest.approx(expected)


def test_the_adjusted_difference_by_hand():
    # class 0: 2 of 4 inside, 3 of 4 outside; class 1: 1 of 2 inside, 4 of 4 outside
    correct = np.array([1, 1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 1, 1, 1], bool)
    mask = np.array([1] * 4 + [0] * 4 + [1] * 2 + [0] * 4, bool)
    labels = np.array([0] * 8 + [1] * 6)
    weights = np.array([4 * 4 / 8, 2 * 4 / 6])
    expected = np.sum(weights * [0.5 - 0.75, 0.5 - 1.0]) / weights.sum()
    found = errors.slice_scores(correct, {"s": mask}, labels).iloc[0]
    assert found["adjusted"] == pytest.approx(expected)
    assert found["low"] < expected < found["high"]


def test_a_slice_of_one_class_only_cannot_be_adjusted():
    labels = np.repeat([0, 1], 10)
    found = errors.slice_scores(labels == 0, {"s": labels == 0}, labels).iloc[0]
    assert (found["difference"], found["p"], found["worse"]) == (1, 1, False)
    assert np.isnan([found["adjusted"], found["low"], found["high"]]).all()


def test_slices_without_a_counterpart_are_left_out():
    masks = {"none": np.zeros(4, bool), "all": np.ones(4, bool)}
    assert errors.slice_scores(np.ones(4, bool), masks, np.zeros(4, int)).empty


def test_masks_must_fit():
    with pytest.raises(InputError, match="dark: int64"):
        errors.slice_scores(np.ones(4, bool), {"dark": np.arange(4)}, np.zeros(4, int))
    with pytest.raises(InputError, match=r"dark: bool \(3,\)"):
        errors.slice_scores(np.ones(4, bool), {"dark": np.ones(3, bool)}, np.zeros(4, int))


def test_holm_by_hand():
    # in rising order: 3·0.01, 2·0.02, 1·0.9; the order of the input is kept
    np.testing.assert_allclose(errors.holm(np.array([0.02, 0.01, 0.9])), [0.04, 0.03, 0.9])
    np.testing.assert_allclose(errors.holm(np.array([0.03, 0.03, 0.03])), [0.09, 0.09, 0.09])
    np.testing.assert_allclose(errors.holm(np.array([0.6, 0.9])), [1, 1])


def test_a_hard_class_is_not_mistaken_for_a_bad_slice():
    """Most dark images are of the hard class; dark itself makes nothing harder, blur does."""
    generator = np.random.default_rng(0)
    labels = generator.integers(3, size=3000)
    hard = labels == 0
    dark = generator.random(3000) < np.where(hard, 0.6, 0.05)
    blurred = generator.random(3000) < 0.2
    correct = generator.random(3000) < np.where(hard, 0.75, 0.95) - 0.15 * blurred
    table = errors.slice_scores(correct, {"dark": dark, "blurred": blurred}, labels)
    assert table["worse"].tolist() == [False, True]
    assert table["difference"][0] < -0.1 < table["adjusted"][0]
    assert table["low"][1] < -0.15 < table["high"][1]
    plain = errors.slice_scores(correct, {"dark": dark}, np.zeros(3000, int))
    assert plain["worse"].tolist() == [True]


@pytest.mark.slow
def test_intervals_cover_and_the_test_is_seldom_wrong():
    """Nominal 95 % and 5 %, over 800 sets of 400 images in four classes."""
    generator = np.random.default_rng(1)
    runs, rows, effect = 800, 400, -0.08
    accuracy = np.array([0.98, 0.95, 0.9, 0.8])
    covered, wrong = [], []
    for _ in range(runs):
        labels = generator.integers(4, size=rows)
        mask = generator.random(rows) < np.array([0.1, 0.2, 0.3, 0.4])[labels]
        draw = generator.random(rows)
        slices = {"s": mask}
        found = errors.slice_scores(draw < accuracy[labels] + effect * mask, slices, labels)
        covered.append(found["low"][0] <= effect <= found["high"][0])
        wrong.append(errors.slice_scores(draw < accuracy[labels], slices, labels)["p"][0] < 0.05)
    print(f"coverage {np.mean(covered):.3f}, false positives {np.mean(wrong):.3f}")
    assert 0.93 <= np.mean(covered) <= 0.97
    assert np.mean(wrong) <= 0.06


def grouped_case(generator, count, per_image):
    """Answers that depend on the group, and a slice of images or of whole groups that does not."""
    groups = np.arange(20 * count) // 20
    labels = generator.integers(3, size=len(groups))
    hard = 0.7 * (generator.normal(size=count)[groups] + generator.normal(size=len(groups)))
    dark = generator.normal(size=count)[groups]
    dark = (dark + generator.normal(size=len(groups)) > 1) if per_image else dark > 0.7
    return hard < np.array([0.7, 1.0, 1.3])[labels], {"dark": dark}, labels, groups


@pytest.mark.parametrize("per_image", [True, False])
@pytest.mark.slow
def test_over_groups_slices_are_seldom_called_worse_for_nothing(per_image):
    generator, by_group, by_image, held = np.random.default_rng(2), [], [], []
    for _ in range(80):
        correct, slices, labels, groups = grouped_case(generator, 30, per_image)
        found = errors.slice_scores(correct, slices, labels, groups=groups).iloc[0]
        by_group.append(found["p"] < 0.05)
        held.append(found["low"] <= 0 <= found["high"])
        by_image.append(errors.slice_scores(correct, slices, labels)["p"][0] < 0.05)
    assert np.mean(by_group) < 0.05 + 2 * 0.025  # standard error of 5 % in 80
    assert np.mean(held) > 0.95 - 2 * 0.025
    assert np.mean(by_image) > 0.12


def test_a_slice_that_is_worse_in_most_groups_is_found():
    generator = np.random.default_rng(0)
    groups = np.arange(600) // 20
    dark = generator.random(600) < 0.3
    correct = generator.random(600) < np.where(dark, 0.6, 0.9)
    found = errors.slice_scores(correct, {"dark": dark}, np.zeros(600, int), groups=groups).iloc[0]
    assert found["worse"]
    assert found["low"] < -0.3 < found["high"] < 0


def test_groups_of_one_image_leave_slices_as_they_are():
    correct, slices, labels, _ = grouped_case(np.random.default_rng(1), 5, per_image=True)
    found = errors.slice_scores(correct, slices, labels, groups=np.arange(100)[::-1])
    pd.testing.assert_frame_equal(found, errors.slice_scores(correct, slices, labels))


def test_copies_in_groups_leave_slices_about_as_they_are():
    correct, slices, labels, _ = grouped_case(np.random.default_rng(1), 20, per_image=True)
    rows = np.repeat(np.arange(400), 5)
    alone = errors.slice_scores(correct, slices, labels).iloc[0]
    found = errors.slice_scores(
        correct[rows], {"dark": slices["dark"][rows]}, labels[rows], groups=rows
    ).iloc[0]
    assert found["adjusted"] == pytest.approx(alone["adjusted"])
    assert (found["low"], found["high"]) == pytest.approx((alone["low"], alone["high"]), abs=0.02)
    assert found["p"] == pytest.approx(alone["p"], abs=0.05)


def test_a_slice_that_is_one_group_shows_nothing():
    groups = np.arange(100) // 20
    correct = groups != 0  # all of one camera wrong, all others right: it may be the camera
    found = errors.slice_scores(
        correct, {"dark": groups == 0}, np.zeros(100, int), groups=groups
    ).iloc[0]
    assert (found["low"], found["high"]) == (-1, 1)
    assert found["p"] > 0.1
    assert errors.slice_scores(correct, {"dark": groups == 0}, np.zeros(100, int))["worse"][0]

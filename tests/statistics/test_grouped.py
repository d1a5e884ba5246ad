import numpy as np
import pytest
from scipy import stats

from cnnlab.config import InputError
from cnnlab.statistics import grouped

MEMBER = np.repeat(np.arange(8), 5)


@pytest.mark.parametrize(
    "groups",
    [
        np.array(["b", "a", "b", "c"]),
        np.array([7, 3, 7, 5]),
        np.array([0.5, -1, 0.5, 2]),
        np.array(["x", 3, "x", 3.5], dtype=object),
        np.array(["2024-01-02", "2024-01-01", "2024-01-02", "2024-02-01"], "datetime64[D]"),
    ],
)
def test_any_values_name_groups(groups):
    assert grouped.numbered(groups, 4).tolist() == [0, 1, 0, 2]


def test_where_no_two_images_belong_together_there_are_no_groups():
    assert grouped.numbered(None, 3) is None
    assert grouped.numbered(np.array(["c", "a", "b"]), 3) is None


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        (np.zeros(3), r"shape \(3,\): expected \(4,\)"),
        (np.zeros((4, 1)), "shape"),
        (np.array(["a", "a", None, "b"], dtype=object), "Row 2 has no group"),
        (np.array([1, np.nan, 1, 2]), "Row 1 has no group"),
    ],
)
def test_groups_that_do_not_fit_are_refused(groups, says):
    with pytest.raises(InputError, match=says):
        grouped.numbered(groups, 4)


def test_influence_is_what_leaving_a_group_out_takes_away():
    values = np.random.default_rng(0).exponential(size=40)
    member = np.repeat([0, 1, 2, 3], [1, 4, 15, 20])  # uneven
    found = grouped.influences(values - values.mean(), member)
    left = np.array([values[member != group].mean() for group in range(4)])
    np.testing.assert_allclose(found, 3 * (values.mean() - left))


def test_the_standard_error_of_even_groups_is_that_of_their_means():
    values = np.random.default_rng(1).normal(size=40)
    means = values.reshape(8, 5).mean(axis=1)
    assert grouped.standard_error(values, MEMBER) == pytest.approx(stats.sem(means))
    assert grouped.standard_error(values, None) == pytest.approx(stats.sem(values))
    assert np.isnan(grouped.standard_error(values, np.zeros(40, int)))


def test_degrees_of_freedom_count_groups_that_weigh():
    assert grouped.degrees_of_freedom(None) is None
    assert grouped.degrees_of_freedom(MEMBER) == pytest.approx(7)
    assert grouped.degrees_of_freedom(np.zeros(5, int)) == 0
    # One patient with 90 of 100 images: hardly more than one group.
    assert grouped.degrees_of_freedom(np.repeat(np.arange(11), [90] + [1] * 10)) < 0.01
    # Weights that make a small group as heavy as a large one.
    member, weights = np.array([0, 0, 0, 1]), np.array([1, 1, 1, 3])
    assert grouped.degrees_of_freedom(member, weights) == pytest.approx(1)


def test_quantiles_are_students_with_groups_and_normal_without():
    assert grouped.quantile(0.95, None) == stats.norm.ppf(0.975)
    assert grouped.quantile(0.95, 7) == pytest.approx(2.364624)  # from printed tables
    assert np.isfinite(grouped.quantile(0.95, 0))
    # n (1.960 / 2.365)²
    assert grouped.effective_size(100, 0.95, 7) == pytest.approx(100 * (1.959964 / 2.364624) ** 2)
    assert grouped.effective_size(100, 0.95, None) == 100
    assert 0 < grouped.effective_size(100, 0.95, 0) < 1e-3


def effect(rows, member):
    rows = rows - rows.mean()
    return grouped.design_effect(rows, grouped.influences(rows, member), member)


def test_design_effects_of_copies_of_strangers_and_of_nothing():
    generator = np.random.default_rng(0)
    member = np.repeat(np.arange(400), 10)
    alone = (generator.random(400) < 0.7).astype(float)
    assert effect(np.repeat(alone, 10), member) == pytest.approx(10, rel=0.02)
    strangers = (generator.random(4000) < 0.7).astype(float)
    assert effect(strangers, member) == pytest.approx(1, abs=0.2)
    # Kish: 1 + (10 - 1)·ρ, here for half of the variance in common.
    half = np.repeat(generator.normal(size=400), 10) + generator.normal(size=4000)
    assert effect(half, member) == pytest.approx(1 + 9 / 2, rel=0.15)
    assert effect(np.ones(4000), member) == 10  # nothing varies: a group counts as one image


def test_few_groups_are_said_to_be_few():
    assert grouped.described(None, 30) == {"unit": "image", "groups": 30, "warning": None}
    even = grouped.described(MEMBER, 40)
    assert (even["unit"], even["groups"]) == ("group", 8)
    assert "rest on 8 groups: too few" in even["warning"]
    assert "one group" in grouped.described(np.zeros(30, int), 30)["warning"]
    many = np.repeat(np.arange(40), 2)
    assert grouped.described(many, 80)["warning"] is None
    lopsided = np.repeat(np.arange(40), [400] + [1] * 39)
    assert "40 groups, worth 1.0 of equal size" in grouped.described(lopsided, 439)["warning"]

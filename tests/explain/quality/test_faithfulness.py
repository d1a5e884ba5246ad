import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError
from cnnlab.explain.quality.faithfulness import (
    centre_prior,
    compare,
    energies,
    energy_in_box,
    hit_in_box,
    hits,
    overview,
    random_maps,
    verdicts,
)


def test_share_of_the_mass_inside():
    heatmap = np.zeros((4, 6))
    heatmap[1, 2] = 3  # row 1, column 2
    heatmap[3, 5] = 1
    assert energy_in_box(heatmap, (2, 1, 3, 2)) == 3 / 4
    assert energy_in_box(heatmap, (3, 1, 6, 4)) == 1 / 4
    assert energy_in_box(heatmap, (0, 0, 6, 4)) == 1
    assert energy_in_box(heatmap, (0, 0, 2, 4)) == 0


def test_a_flat_map_holds_the_share_of_the_area():
    assert energy_in_box(np.full((8, 8), 0.3), (0.5, 2, 4.5, 6)) == pytest.approx(16 / 64)


def test_an_empty_map_has_no_share():
    assert np.isnan(energy_in_box(np.zeros((4, 4)), (0, 0, 2, 2)))


@pytest.mark.parametrize("box", [(2, 0, 2, 4), (0, 0, 5, 4), (-1, 0, 2, 2), (0, 3, 2, 1)])
def test_a_box_outside_is_refused(box):
    with pytest.raises(InputError, match="4 wide and 4 high"):
        energy_in_box(np.ones((4, 4)), box)


@pytest.mark.parametrize(
    "heatmap",
    [np.ones((1, 4, 4)), -np.ones((4, 4)), np.full((4, 4), np.nan), np.full((4, 4), np.inf)],
)
def test_what_is_no_heatmap_is_refused(heatmap):
    with pytest.raises(InputError, match="expected"):
        energy_in_box(heatmap, (0, 0, 2, 2))


def test_the_centre_prior_peaks_in_the_middle_and_is_symmetric():
    prior = centre_prior(1, 9)[0]
    assert np.unravel_index(prior.argmax(), prior.shape) == (4, 4)
    np.testing.assert_allclose(prior, prior[::-1])
    np.testing.assert_allclose(prior, prior.T)
    edge = prior[4, 8] / prior[4, 4]
    assert edge == pytest.approx(np.exp(-0.5 * ((4 / 9) / 0.25) ** 2))


def test_the_highest_point_hits_or_misses():
    heatmap = np.zeros((4, 6))
    heatmap[1, 2] = 3
    assert hit_in_box(heatmap, (2, 1, 3, 2)) == 1
    assert hit_in_box(heatmap, (3, 1, 6, 4)) == 0
    heatmap[3, 5] = 3  # two are highest
    assert hit_in_box(heatmap, (2, 1, 3, 2)) == 0.5
    assert hit_in_box(heatmap, (2.5, 0, 6, 2.5)) == 0.25  # half of one of the two
    assert np.isnan(hit_in_box(np.zeros((4, 4)), (0, 0, 2, 2)))


@pytest.mark.parametrize("measure", [energies, hits])
def test_every_map_needs_its_box(measure):
    assert measure(np.ones((2, 4, 4)), np.array([[0, 0, 2, 4]] * 2)).tolist() == [0.5, 0.5]
    assert measure(np.ones((0, 4, 4)), np.ones((0, 4))).shape == (0,)
    for boxes in (np.ones((2, 4)), np.ones((3, 2)), np.ones(4)):
        with pytest.raises(InputError, match=r"3 heatmaps: expected boxes of shape \(3, 4\)"):
            measure(np.ones((3, 4, 4)), boxes)


def test_random_maps_have_the_grain_of_a_cell():
    maps = random_maps(200, 16, seed=1)
    assert maps.shape == (200, 16, 16)
    assert 0 <= maps.min() < maps.max() <= 1
    np.testing.assert_array_equal(maps, random_maps(200, 16, seed=1))
    assert (maps != random_maps(200, 16, seed=2)).any()
    flat = maps.reshape(200, -1)
    assert np.corrcoef(flat[:, 0], flat[:, 1])[0, 1] > 0.9  # neighbours
    assert abs(np.corrcoef(flat[:, 0], flat[:, 15])[0, 1]) < 0.25  # cells apart: chance


def test_compare_looks_at_the_differences_image_by_image():
    generator = np.random.default_rng(0)
    hard = generator.normal(0, 10, 60)  # images differ much, methods little
    scores = {
        "better": hard + 1 + generator.normal(0, 0.5, 60),
        "between": hard + 0.5,  # beats one of the two only
        "random": hard,
        "centre prior": hard + 0.5 + generator.normal(0, 0.01, 60),
    }
    table = compare(scores, seed=0).set_index("method")
    assert table["beats_both"].tolist() == [True, False, None, None]
    better = table.loc["better"]
    assert better["mean"] == pytest.approx(scores["better"].mean())
    assert better["gap"] == pytest.approx((scores["better"] - scores["centre prior"]).mean())
    deviation = np.std(scores["better"] - scores["centre prior"]) / np.sqrt(60)
    expected = better["gap"] + 1.96 * deviation * np.array([-1, 1])
    np.testing.assert_allclose([better["gap_low"], better["gap_high"]], expected, atol=0.03)
    assert better["high"] - better["low"] > 10 * (better["gap_high"] - better["gap_low"])


def test_where_lower_is_better_the_gaps_turn_round():
    scores = {
        "m": np.repeat([1.0, 2, 4], 4),
        "random": np.repeat([3.0, 5, 6], 4),
        "centre prior": np.ones(12) * 9,
    }
    up = compare(scores, seed=0).iloc[0]
    down = compare(scores, seed=0, higher=False).iloc[0]
    assert (up["gap"], down["gap"]) == (pytest.approx(-20 / 3), pytest.approx(7 / 3))
    assert down["gap_low"] <= down["gap"] <= down["gap_high"]
    assert (up["beats_both"], down["beats_both"]) == (False, True)


def test_a_method_is_judged_on_the_images_it_says_something_about():
    some = np.repeat([np.nan, 2, 3], [1, 5, 5])
    few = np.where(np.arange(11) < 2, np.nan, some)
    scores = {"silent": np.full(11, np.nan), "few": few, "some": some}
    scores |= dict.fromkeys(("random", "centre prior"), np.repeat([9.0, 1], [1, 10]))
    table = compare(scores, seed=0).set_index("method")
    assert table["images"].tolist() == [0, 9, 10, 11, 11]
    assert table.loc["some", "gap"] == 1.5
    assert table.loc["some", "beats_both"] is True
    assert table.loc["few", "beats_both"] is None  # it is better on all nine
    assert table.loc["silent", "beats_both"] is None
    assert np.isnan(table.loc["silent", "gap"])


def test_the_overview_has_every_interval_and_how_many_images_were_judged():
    def table(images, mean, low, high):
        rows = {"method": ["A", "random"], "images": images, "mean": mean, "low": low, "high": high}
        return pd.DataFrame(rows)

    found = overview(
        {
            "deletion": table([24, 24], [0.5, 0.7], [0.4, 0.61], [0.666, 0.8]),
            "energy": table([13, 24], [np.nan, 0.001], [np.nan, -0.1], [np.nan, -0.001]),
        }
    )
    plain = found.map(lambda text: text.replace("\N{NO-BREAK SPACE}", " "))
    assert plain.loc["A"].tolist() == ["0.50 (0.40 to 0.67)", "nan (nan to nan)", "13–24"]
    assert plain.loc["random"].tolist() == ["0.70 (0.61 to 0.80)", "0.00 (-0.10 to 0.00)", "24"]


def test_compare_needs_both_baselines():
    with pytest.raises(InputError, match="No scores of centre prior"):
        compare({"m": np.ones(2), "random": np.ones(2)}, seed=0)


def test_verdicts_say_who_does_not_beat_both():
    def table(*beats):
        names = ["A", "B", "C", "random", "centre prior"]
        return pd.DataFrame({"method": names, "beats_both": [*beats, None, None]})

    tables = {"deletion": table(True, True, False), "energy": table(True, False, False)}
    assert verdicts(tables) == [
        "A beats both baselines by deletion, energy.",
        "B beats both baselines by deletion; it does not by energy.",
        "C does not beat both baselines by any measure (deletion, energy).",
    ]
    assert verdicts({"deletion": table(True, None, None), "energy": table(None, False, None)}) == [
        "A beats both baselines by deletion. Too few maps to judge by energy.",
        "B does not beat both baselines by any measure (energy). "
        "Too few maps to judge by deletion.",
        "C: too few maps to judge by deletion, energy.",
    ]

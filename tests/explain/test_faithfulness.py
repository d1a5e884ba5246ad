import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.explain.faithfulness import centred_maps, energy_in_box, localisation


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


@pytest.mark.parametrize("heatmap", [np.ones((1, 4, 4)), -np.ones((4, 4))])
def test_what_is_no_heatmap_is_refused(heatmap):
    with pytest.raises(InputError, match="expected"):
        energy_in_box(heatmap, (0, 0, 2, 2))


def test_localisation_beside_the_yardsticks():
    boxes = np.array([[0, 0, 4, 4], [4, 4, 8, 8]], float)  # a quarter of 8 × 8, in corners
    on_the_object = np.zeros((2, 8, 8))
    on_the_object[0, :4, :4] = on_the_object[1, 4:, 4:] = 1
    table = localisation({"good": on_the_object, "bad": on_the_object[::-1]}, boxes)
    table = table.set_index("method")
    assert table.loc["good", "mean"] == 1
    assert table.loc["bad", "mean"] == 0
    assert table.loc["uniform", "mean"] == pytest.approx(0.25)
    assert table.loc["centred", "mean"] == pytest.approx(0.25)  # by symmetry, any centred map
    assert table["beats both"].tolist() == [True, False, None, None]


def test_a_method_whose_maps_are_all_empty_has_no_mean_and_beats_nothing():
    table = localisation({"blind": np.zeros((2, 8, 8))}, np.array([[0.0, 0, 4, 4]] * 2))
    blind = table.set_index("method").loc["blind"]
    assert blind["images"] == 0
    assert np.isnan(blind["mean"])
    assert np.isnan(blind["deviation"])
    assert blind["beats both"] is False


def test_the_centred_map_peaks_in_the_middle_and_is_symmetric():
    blob = centred_maps(1, 9)[0]
    assert np.unravel_index(blob.argmax(), blob.shape) == (4, 4)
    np.testing.assert_allclose(blob, blob[::-1])
    np.testing.assert_allclose(blob, blob.T)
    edge = blob[4, 8] / blob[4, 4]
    assert edge == pytest.approx(np.exp(-0.5 * ((4 / 9) / 0.25) ** 2))


def test_a_method_is_compared_on_the_images_it_says_something_about():
    boxes = np.array([[0, 0, 8, 8], [0, 0, 2, 2]], float)  # the whole picture; a corner of it
    maps = np.zeros((2, 8, 8))
    maps[1, :2, :4] = 1  # half of its mass in the corner box; the first map is empty
    table = localisation({"method": maps}, boxes).set_index("method")
    assert table.loc["method", ["images", "mean"]].tolist() == [1, 0.5]
    assert table.loc["uniform", "mean"] > 0.5  # over both images, the easy one included
    assert table.loc["method", "beats both"] is True

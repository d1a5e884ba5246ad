import matplotlib
import numpy as np
import pytest

from cnnlab import plots
from cnnlab.plots.style import HEAT


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, 6, 6, 3), np.uint8)


def _picture(axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def test_overlay_mixes_image_and_map_by_alpha():
    image = np.full((1, 3, 3), 100, np.uint8)
    heatmap = np.array([[0.0, 0.5, 1.0]], np.float32)
    colours = matplotlib.colormaps[HEAT](heatmap)[..., :3] * 255
    np.testing.assert_array_equal(plots.heatmap_overlay(image, heatmap, 0), image)
    np.testing.assert_array_equal(plots.heatmap_overlay(image, heatmap, 1), np.rint(colours))
    half = plots.heatmap_overlay(image, heatmap, 0.5)
    assert half.dtype == np.uint8
    np.testing.assert_allclose(half, 50 + colours / 2, atol=0.51)


def test_overlay_gets_lighter_with_heat_and_clips():
    grey = np.full((1, 5, 3), 128, np.uint8)
    overlay = plots.heatmap_overlay(grey, np.array([[-3, 0, 0.5, 1, 7]])).astype(int).sum(-1)[0]
    assert overlay[0] == overlay[1] < overlay[2] < overlay[3] == overlay[4]


@pytest.mark.parametrize(
    ("heatmap", "alpha", "says"),
    [(np.zeros((3, 3)), 0.5, r"\(3, 3\)"), (np.zeros((6, 6)), 1.5, "alpha=1.5")],
)
def test_overlay_refuses_what_does_not_fit(heatmap, alpha, says):
    with pytest.raises(ValueError, match=says):
        plots.heatmap_overlay(_images(1)[0], heatmap, alpha)


def test_cam_grid_has_originals_on_top_and_one_row_a_method():
    images, heat = _images(2), np.random.default_rng(0).random((2, 6, 6)).astype(np.float32)
    figure = plots.cam_grid(images, {"Grad-CAM": heat, "other": 1 - heat}, ["first", "second"])
    *panels, bar = figure.axes
    expected = [
        *images,
        *map(plots.heatmap_overlay, images, heat),
        *map(plots.heatmap_overlay, images, 1 - heat),
    ]
    np.testing.assert_array_equal([_picture(axes) for axes in panels], expected)
    labels = ["original", "", "Grad-CAM", "", "other", ""]
    assert [axes.get_ylabel() for axes in panels] == labels
    assert [axes.get_title() for axes in panels[:2]] == ["first", "second"]
    assert bar.get_ylabel() == "evidence"
    assert [tick.get_text() for tick in bar.get_yticklabels()] == ["none", "most"]


def test_cam_grid_names_the_method_with_a_map_too_few():
    with pytest.raises(ValueError, match="'Grad-CAM'"):
        plots.cam_grid(_images(2), {"Grad-CAM": np.zeros((1, 6, 6))})


def test_colour_filters_are_stretched_each_to_its_own_range():
    filters = np.random.default_rng(0).normal(size=(3, 3, 3, 5))
    filters[..., 4] = 2  # constant: nothing to stretch
    figure = plots.filter_grid(filters)
    for position in range(4):
        shown, one = _picture(figure.axes[position]), filters[..., position]
        np.testing.assert_allclose(shown, (one - one.min()) / np.ptp(one), atol=1e-6)
    assert (_picture(figure.axes[4]) == 0.5).all()


def test_deep_filters_share_one_scale_around_zero():
    filters = np.random.default_rng(0).normal(size=(3, 3, 8, 2))
    figure = plots.filter_grid(filters)
    means = filters.mean(axis=2)
    limits = {axes.images[0].get_clim() for axes in figure.axes}
    assert len(limits) == 1
    low, high = limits.pop()
    assert high == -low == pytest.approx(np.abs(means).max())
    np.testing.assert_allclose(_picture(figure.axes[1]), means[..., 1], rtol=1e-6)


def test_activations_are_ordered_by_their_mean():
    maps = np.zeros((2, 2, 4), np.float32)
    maps[0, 0] = [1, 4, 0, 2]
    figure = plots.activation_grid({"block1": maps}, _images(1)[0], channels=3)
    _, *panels = figure.axes
    assert [axes.get_title() for axes in panels] == ["1", "3", "0"]
    assert panels[0].get_ylabel() == "block1\n2×2×4"
    assert {axes.images[0].get_clim() for axes in panels} == {(0, 4)}
    np.testing.assert_array_equal(_picture(panels[1]), maps[..., 3])


def test_silent_layer_is_drawn_dark():
    figure = plots.activation_grid({"dead": np.zeros((2, 2, 3))}, _images(1)[0])
    low, high = figure.axes[1].images[0].get_clim()
    assert low == 0 < high

import numpy as np
import pytest
from matplotlib.colors import to_hex

from cnnlab import plots
from cnnlab.plots.images import fitted_titles
from cnnlab.plots.style import BAD, GOOD


def _images(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 6, 6, 3), np.uint8)


def _pictures(figure) -> list[np.ndarray]:
    return [np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images]


def test_grid_shows_the_images_in_order_with_their_titles():
    images = _images(5)
    figure = plots.image_grid(images, list("abcde"), columns=3)
    np.testing.assert_array_equal(_pictures(figure), images)
    assert [axes.get_title() for axes in figure.axes if axes.images] == list("abcde")
    figure.draw_without_rendering()
    rows = {round(axes.get_position().y0, 3) for axes in figure.axes if axes.images}
    assert len(rows) == 2


def test_grid_takes_images_of_different_sizes_and_floats():
    figure = plots.image_grid([np.zeros((4, 9, 3)), np.full((8, 8, 3), 254.6, np.float32)])
    first, second = _pictures(figure)
    assert first.shape == (4, 9, 3)
    assert (second == 255).all()


def test_borders_tell_right_from_wrong():
    figure = plots.image_grid(_images(4), borders=[True, False, None, "#123456"])
    spines = [axes.spines["left"] for axes in figure.axes]
    assert [spine.get_visible() for spine in spines] == [True, True, False, True]
    colours = [to_hex(spines[place].get_edgecolor()) for place in (0, 1, 3)]
    assert colours == [GOOD.lower(), BAD.lower(), "#123456"]


def test_dollar_signs_in_names_are_no_formula():
    figure = plots.image_grid(_images(1), ["$x_1$ \\frac"])
    figure.draw_without_rendering()
    assert not figure.axes[0].title.get_parse_math()


def test_pairs_stand_side_by_side_under_one_caption():
    left, right = _images(4)[:2], _images(4)[2:]
    figure = plots.image_pairs(left, right, ["exact copy", "near copy\ndistance 3"])
    np.testing.assert_array_equal(_pictures(figure), [left[0], right[0], left[1], right[1]])
    figure.draw_without_rendering()
    captions = [block.get_suptitle().strip() for block in figure.subfigs]
    assert captions == ["exact copy", "near copy\ndistance 3"]
    heights = [axes.get_position().y0 for axes in figure.axes]
    assert np.ptp(heights) < 0.01  # a longer caption does not push its pair down


def test_augmentation_grid_shows_the_original_once():
    images = _images(5)
    figure = plots.augmentation_grid(images[0], {"flip": images[1:3], "zoom": images[3:]})
    np.testing.assert_array_equal(_pictures(figure), images)
    assert [axes.get_ylabel() for axes in figure.axes] == ["", "flip", "", "zoom", ""]


def test_augmentation_rows_must_be_equally_long():
    images = _images(3)
    with pytest.raises(ValueError, match="row 'zoom'"):
        plots.augmentation_grid(images[0], {"flip": images[:2], "zoom": images[2:]})


def test_titles_shrink_before_they_are_cut():
    assert fitted_titles(["circle"], 1, inches=2)[1] == 8.0
    names, points, _ = fitted_titles(["true longsleeve"], 1, inches=0.8, lines=1)
    assert names == ["true longsleeve"]
    assert points < 8
    names, _, _ = fitted_titles(["x" * 99], 1, inches=0.8)
    assert names[0].endswith("…")


def test_fits_show_the_shape_that_each_would_give():
    images = _images(2)
    figure = plots.fits(images, [40, 60], [80, 60])
    tall, square = figure.axes[:4], figure.axes[4:]
    for axes in tall:
        np.testing.assert_array_equal(axes.images[0].get_array(), images[0])
    views = [(np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())) for axes in tall]
    assert views == [(0.5, 1), (1, 1), (1, 1), (0.5, 0.5)]
    pictures = [axes.images[0].get_extent() for axes in tall]
    whole = [-0.25, 0.25, -0.5, 0.5]
    assert [list(each) for each in pictures] == [whole, [-0.5, 0.5, -0.5, 0.5], whole, whole]
    assert all(axes.get_xlim() == axes.get_ylim() == (-0.5, 0.5) for axes in square)
    assert [axes.get_title() for axes in tall] == ["as it is", "stretch", "pad", "crop"]
    figure.draw_without_rendering()
    with pytest.raises(ValueError, match="2 images but 1 widths"):
        plots.fits(images, [40], [80, 60])

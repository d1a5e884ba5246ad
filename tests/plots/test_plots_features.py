import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from cnnlab import plots
from cnnlab.plots.style import GOOD


def _picture(axes) -> np.ndarray:
    return np.asarray(axes.images[0].get_array())


def test_mosaics_hold_the_patches_in_their_order():
    patches = np.arange(4, dtype=np.uint8).reshape(2, 2, 1, 1, 1).repeat(3, axis=-1) * 20
    page = _picture(plots.patch_mosaics({"a layer": patches}).axes[0])
    assert page.shape[:2] == (48 * 2 + 3, 48 * 2 + 3)
    corners = page[[0, 0, -1, -1], [0, -1, 0, -1], 0]
    assert corners.tolist() == [0, 20, 40, 60]  # a row a channel
    assert (page[48:51] == 255).all()


def test_rows_of_pictures_may_differ_in_length():
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (count, 5, 5, 3), np.uint8) for count in (3, 2))
    figure = plots.picture_rows({"disc": first, "star": second}, ["query", "1", "2"])
    shown = [axes for axes in figure.axes if axes.images]
    np.testing.assert_array_equal([_picture(axes) for axes in shown], [*first, *second])
    assert [axes.get_ylabel() for axes in shown] == ["disc", "", "", "star", ""]
    assert [axes.get_title(loc="center") for axes in shown[:3]] == ["query", "1", "2"]
    with pytest.raises(ValueError, match="3 columns but 1 titles"):
        plots.picture_rows({"disc": first}, ["query"])


def test_every_image_is_a_point_and_thumbnails_do_not_overlap():
    points = np.array([[0, 0], [0.001, 0], [1, 1], [0, 1]], float)
    images = np.zeros((4, 6, 6, 3), np.uint8)
    axes = plots.embedding_map(points, ["a", "b", "a", "b"], images).axes[0]
    drawn = np.concatenate([group.get_offsets() for group in axes.collections])
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, points))
    assert len(axes.artists) == 3


def test_gaps_are_filled_where_both_baselines_are_beaten():
    table = pd.DataFrame(
        {
            "method": ["good", "bad", "random"],
            "gap": [0.2, -0.1, np.nan],
            "gap_low": [0.1, -0.2, np.nan],
            "gap_high": [0.3, 0.0, np.nan],
            "beats_both": [True, False, None],
        }
    )
    axes = plots.baseline_gaps({"deletion": table}).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [dot.get_xdata()[0] for dot in dots] == [0.2, -0.1]
    assert [dot.get_markerfacecolor() for dot in dots] == [GOOD, "white"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["good", "bad"]


def test_curves_are_means_over_images():
    curves = {"deletion": {"m": np.array([[1.0, 0.5, 0], [0.5, 0.5, 0]])}}
    (line,) = plots.vanishing_curves(curves).axes[0].lines
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.75], [0.5, 0.5], [1, 0]])


def test_what_is_unknown_for_all_stages_has_no_panel():
    stages = pd.DataFrame({"layer": ["a", "b"], "selective": [0.5, 0.4], "probe": [0.1, 0.9]})
    titles = [
        [axes.get_title("left") for axes in plots.depth_profile(table).axes]
        for table in (stages.assign(on_object=np.nan), stages.assign(on_object=[0.2, 0.3]))
    ]
    assert [len(found) for found in titles] == [2, 3]
    assert titles[1][2] == "top patches on the object"


def test_one_known_measure_has_the_figure_to_itself():
    stages = pd.DataFrame({"layer": ["a", "b"], "selective": np.nan, "probe": [0.1, 0.9]})
    stages["on_object"] = np.nan
    (axes,) = plots.depth_profile(stages).axes
    assert axes.get_title("left") == "accuracy of a linear probe"
    with pytest.raises(ValueError, match="known columns"):
        plots.depth_profile(stages.assign(probe=np.nan))


def test_limits_are_a_band_in_the_colour_of_their_line():
    stages = pd.DataFrame(
        {"layer": ["a", "b"], "selective": [0.5, 0.4], "randomized_selective": 0.3}
    )
    stages = stages.assign(probe=np.nan, on_object=np.nan)
    limits = {"randomized_selective_low": 0.2, "randomized_selective_high": 0.4}
    (plain,), (banded,) = (
        plots.depth_profile(table).axes for table in (stages, stages.assign(**limits))
    )
    assert not plain.collections
    (band,) = banded.collections
    assert band.get_facecolor()[0, :3] == pytest.approx(to_rgb(banded.lines[1].get_color()))
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == (0.2, 0.4)

import numpy as np
import pandas as pd

from cnnlab import plots


def test_class_balance_draws_each_count_in_its_panel():
    counts = pd.DataFrame(
        [("b", "test", 4), ("a", "train", 30), ("b", "train", 20)],
        columns=["label", "split", "count"],
    )
    figure = plots.class_balance(counts)
    train, test = figure.axes  # in the order of the data's path, not of the alphabet
    assert [bar.get_width() for bar in train.patches] == [30, 20]
    assert [bar.get_width() for bar in test.patches] == [0, 4]  # a missing pair counts 0
    assert [label.get_text() for label in train.get_yticklabels()] == ["a", "b"]
    assert train.get_title(loc="left") == "train · 50"
    assert test.get_title(loc="left") == "test · 4"
    assert train.get_xlim() == test.get_xlim()
    assert train.yaxis_inverted()


def test_class_balance_of_a_flat_folder_is_one_panel():
    counts = pd.DataFrame({"label": ["a", "b"], "split": ["", ""], "count": [1, 2]})
    (axes,) = plots.class_balance(counts).axes
    assert axes.get_title(loc="left") == "all images · 3"


def test_size_scatter_draws_each_size_once_with_its_share_as_area():
    widths, heights = np.array([10, 10, 10, 90]), np.array([20, 20, 20, 50])
    (axes,) = plots.size_scatter(widths, heights, np.array(["a", "a", "a", "b"])).axes
    first, second = axes.collections
    assert first.get_offsets().tolist() == [[10, 20]]
    assert second.get_offsets().tolist() == [[90, 50]]
    assert first.get_sizes()[0] > second.get_sizes()[0]
    assert axes.get_title(loc="left") == "3 of 4 images are 10 × 20"


def test_size_scatter_of_one_size_has_a_range_to_draw_in():
    (axes,) = plots.size_scatter(np.array([64]), np.array([64]), np.array(["a"])).axes
    low, high = axes.get_xlim()
    assert low < 64 < high


def test_class_means_shows_each_image_above_its_colour():
    images = np.arange(7 * 40 * 40 * 3).reshape(7, 40, 40, 3).astype(np.uint8)
    colours = np.array([[30 * i, 5, 200] for i in range(7)], np.uint8)
    figure = plots.class_means(images, colours, list("abcdefg"))
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in shown] == list("abcdefg")
    for axes, image, colour in zip(shown, images, colours, strict=True):
        pixels = axes.images[0].get_array()
        np.testing.assert_array_equal(pixels[:40], image)
        assert (pixels[40] == 255).all()
        assert (pixels[-3:] == colour).all()


def test_histograms_hold_every_draw():
    draws = {"angle (degrees)": np.array([-1.0, 0.0, 0.0, 1.0]), "flipped": np.array([True] * 4)}
    angle, flipped = plots.draw_histograms(draws).axes
    assert np.isclose(sum(bar.get_height() for bar in angle.patches), 1)
    assert [bar.get_height() for bar in flipped.patches] == [0, 1]
    assert angle.get_xlabel() == "angle (degrees)"

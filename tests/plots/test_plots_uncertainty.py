import numpy as np
import pytest

from cnnlab import plots


def test_set_sizes_are_shares_with_their_counts():
    axes = plots.set_sizes(np.array([1, 1, 1, 3]), 0.875, 0.9).axes[0]
    assert [bar.get_height() for bar in axes.patches] == [0.75, 0, 0.25]
    assert [text.get_text() for text in axes.texts] == ["3", "0", "1"]
    assert axes.get_title(loc="left") == "87.5 % of the sets hold the true class; promised: 90 %"
    assert axes.get_xlabel() == "classes in the set"


def _area(corners):
    """Return the area of a polygon (K, 2) by the shoelace formula."""
    x, y = corners.T
    return abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2


def test_novelty_scores_count_what_is_flagged_and_each_histogram_sums_to_one():
    known, novel = np.array([0.55, 0.9, 0.95, 1.0]), np.array([0.3, 0.45, 0.99])
    figure = plots.novelty_scores(known, novel, 0.6)
    (axes,) = figure.axes
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "known: 4 images, 25.0 % flagged",
        "never seen: 3 images, 66.7 % flagged",
        "flagged below 0.600",
    ]
    width = (1 - 0.3) / 25  # of a bin
    areas = [_area(each.get_paths()[0].vertices) for each in axes.collections]
    assert areas == pytest.approx([width, width])
    assert axes.get_xlim() == pytest.approx((0.3, 1.0))
    assert axes.lines[0].get_xdata()[0] == 0.6


def test_certain_answers_only_can_be_drawn():
    ones = np.ones(3)
    assert plots.novelty_scores(ones, ones, 1.0).axes[0].get_xlim() == pytest.approx((0.9, 1))


def test_nothing_is_refused():
    none = np.array([])
    with pytest.raises(ValueError, match="No sizes"):
        plots.set_sizes(none, 0.9, 0.9)
    for known, novel in ((none, np.ones(1)), (np.ones(1), none)):
        with pytest.raises(ValueError, match="images to draw"):
            plots.novelty_scores(known, novel, 0.5)

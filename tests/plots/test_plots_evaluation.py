from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from cnnlab import plots

COUNTS = np.array([[8, 2, 0], [1, 3, 0], [0, 0, 0]])


def test_confusion_shows_counts_as_numbers_and_row_shares_as_colour():
    figure = plots.confusion_matrix(COUNTS, ["a", "b", "c"])
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == [str(count) for count in COUNTS.ravel()]
    shares = np.asarray(axes.collections[0].get_array()).reshape(3, 3)
    np.testing.assert_allclose(shares, [[80, 20, 0], [25, 75, 0], [0, 0, 0]])
    assert axes.collections[0].get_clim() == (0, 100)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c"]
    assert axes.yaxis_inverted()  # the first class on top, so the diagonal falls
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")


def test_ten_long_names_do_not_touch():
    names = [f"longsleeve{letter}" for letter in "abcdefghij"]
    figure = plots.confusion_matrix(np.full((10, 10), 999), names)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    below = axes.get_xticklabels()
    assert [label.get_text() for label in below] == names
    turn = np.deg2rad(below[0].get_rotation())
    assert 0 < turn < np.pi / 2
    feet = [label.get_transform().transform(label.get_position())[0] for label in below]
    for label in below:
        label.set_rotation(0)
    height = max(label.get_window_extent().height for label in below)
    assert np.diff(feet).min() * np.sin(turn) > height  # parallel lines, this far apart
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(upper.y0 > lower.y1 for upper, lower in pairwise(boxes))
    cell = axes.get_window_extent().width / 10
    assert max(text.get_window_extent().width for text in axes.texts) < 0.9 * cell


def test_short_names_stay_upright():
    axes = plots.confusion_matrix(np.eye(2, dtype=int), ["cat", "dog"]).axes[0]
    assert {label.get_rotation() for label in axes.get_xticklabels()} == {0}


def test_many_classes_are_colour_only():
    axes = plots.confusion_matrix(np.eye(40, dtype=int), [f"c{n}" for n in range(40)]).axes[0]
    assert len(axes.texts) == 0


@pytest.mark.parametrize(
    ("normalise", "numbers", "label"),
    [
        ("rows", [80, 20, 0, 25, 75, 0, 0, 0, 0], "share of the true class"),
        ("columns", [89, 40, 0, 11, 60, 0, 0, 0, 0], "share of the predicted class"),
    ],
)
def test_confusion_in_percent(normalise, numbers, label):
    axes, bar = plots.confusion_matrix(COUNTS, ["a", "b", "c"], normalise).axes
    assert [int(text.get_text()) for text in axes.texts] == numbers
    assert bar.get_ylabel() == label


def _score(**changes):
    score = {"class": "cat", "support": 1234, "precision": 0.9, "recall": 0.7, "f1": 0.8}
    return score | {"f1_low": 0.6, "f1_high": 0.85} | changes


def test_scores_draw_the_interval_and_write_the_support():
    figure = plots.per_class_scores([_score(), _score(**{"class": "dog", "f1": 0.5})])
    (axes,) = figure.axes
    lines = {line.get_label(): list(line.get_xdata()) for line in axes.lines}
    assert lines == {"precision": [0.9, 0.9], "recall": [0.7, 0.7], "F1": [0.8, 0.5]}
    whiskers = axes.collections[0].get_segments()
    assert [segment[:, 0].tolist() for segment in whiskers] == [[0.6, 0.85], [0.6, 0.85]]
    assert [text.get_text() for text in axes.texts] == ["1,234", "1,234", "images"]
    low, high = axes.get_xlim()
    assert low <= 0.5
    assert high >= 1


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_scores_without_an_interval_are_drawn(missing):
    (axes,) = plots.per_class_scores([_score(f1_low=missing, f1_high=missing)]).axes
    assert axes.get_xlim()[0] <= 0.7


def test_bars_are_sorted_and_labelled():
    probabilities = np.array([0.05, 0.873, 0.077])
    (axes,) = plots.probability_bars(["a", "b", "c"], probabilities, "photo.jpg").axes
    tracks, bars = axes.containers
    assert [bar.get_width() for bar in tracks] == [1, 1, 1]
    assert [bar.get_width() for bar in bars] == [0.873, 0.077, 0.05]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "c", "a"]
    assert [text.get_text() for text in axes.texts] == ["87.3 %", "7.7 %", "5.0 %"]
    assert axes.get_title(loc="left") == "photo.jpg"


CELLS = pd.DataFrame(
    [
        ("dog", 0.0, 0.5, 1_234, 0.2, 0.204, 0.9),
        ("dog", 0.5, 1.0, 8, 0.9, 0.5, 0.01),
        ("cat", 0.5, 1.0, 1, 0.7, 1.0, 0.05),
    ],
    columns=["class", "low", "high", "count", "predicted", "observed", "p_value"],
)
ERRORS = pd.DataFrame({"class": ["dog", "cat"], "error": [0.0123, 0.4], "by_chance": [0.01, 0.2]})


def test_calibration_by_class_shows_gap_and_images_of_every_cell_that_has_some():
    (axes,) = plots.calibration_by_class(CELLS, ERRORS).axes
    texts = [text.get_text() for text in axes.texts]
    assert texts[:3] == ["0  (1,234)", "−40  (8)", "+30  (1)"]
    columns = ["0.012", "0.400", "error", "0.010", "0.200", "by chance"]
    assert texts[3:] == columns
    assert [text.get_text() for text in axes.get_yticklabels()] == ["dog", "cat"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["0–50 %", "50–100 %"]


def test_calibration_by_class_colours_only_what_chance_does_not_explain():
    (axes,) = plots.calibration_by_class(CELLS, ERRORS).axes
    (mesh,) = axes.collections
    values = mesh.get_array().reshape(2, 2)  # rows dog, cat
    assert values.mask.tolist() == [[False, False], [True, False]]
    assert values.compressed().tolist() == pytest.approx([0, -40, 0])


@pytest.mark.parametrize("count", [2, 30])
def test_calibration_by_class_leaves_room_for_every_text(count, texts_of):
    names = [f"a very long class name {number}" for number in range(count)]
    cells = pd.concat([CELLS[:2].assign(**{"class": name}) for name in names])
    errors = pd.DataFrame({"class": names, "error": 0.1, "by_chance": 0.1})
    figure = plots.calibration_by_class(cells, errors)
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [text.get_window_extent() for text in texts_of(figure)]
    assert all(box.x0 >= -1 and box.x1 <= width + 1 and box.y1 <= height + 1 for box in boxes)
    assert not any(one.overlaps(other) for n, one in enumerate(boxes) for other in boxes[:n])


def test_calibration_of_no_class_is_refused():
    with pytest.raises(ValueError, match="No classes"):
        plots.calibration_by_class(CELLS[:0], ERRORS[:0])

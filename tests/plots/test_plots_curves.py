import numpy as np
import pandas as pd
import pytest

from cnnlab import plots


def test_roc_draws_the_curves_and_states_the_auc():
    rate = np.array([0, 0.5, 1])
    averages = {"macro average": (rate, rate**0.2, 0.9)}
    figure = plots.roc_curves({"cat": (rate, rate**0.1, 0.95)}, averages)
    whole, corner = figure.axes
    for axes in (whole, corner):
        cat, macro, diagonal = axes.lines
        np.testing.assert_array_equal(cat.get_ydata(), rate**0.1)
        np.testing.assert_array_equal(macro.get_ydata(), rate**0.2)
        assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    assert corner.get_xlim()[1] == pytest.approx(0.2)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["cat  0.950", "macro average  0.900"]


def test_roc_of_a_poor_classifier_has_no_empty_corner():
    rate = np.array([0, 0.5, 1])
    assert len(plots.roc_curves({"cat": (rate, rate, 0.5)}).axes) == 1


def test_precision_recall_curves_are_steps_that_enclose_the_average_precision():
    recall, precision = np.array([0, 0.5, 0.5, 1]), np.array([1, 1, 0.5, 2 / 3])
    area = 0.5 * 1 + 0.5 * 2 / 3
    figure = plots.precision_recall_curves({"cat": (recall, precision, area)})
    (line,) = figure.axes[0].lines
    assert line.get_drawstyle() == "steps-pre"  # the height of a step is that of its right end
    assert np.diff(line.get_xdata()) @ line.get_ydata()[1:] == pytest.approx(area)
    assert figure.legends[0].get_texts()[0].get_text() == "cat  0.833"


def test_reliability_shows_accuracy_with_its_interval_and_counts_every_image():
    table = pd.DataFrame(
        {
            "low": [0.41, 0.8],
            "high": [0.49, 1.0],
            "count": [30, 40],
            "confidence": [0.45, 0.9],
            "accuracy": [0.4, 0.8],
            "accuracy_low": [0.3, 0.7],
            "accuracy_high": [0.5, 0.9],
        }
    )
    upper, lower = plots.reliability_diagram({"before": table, "after": table}).axes
    diagonal, before, _ = upper.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())
    assert list(before.get_xdata()) == [0.45, 0.9]
    assert list(before.get_ydata()) == [0.4, 0.8]
    whiskers = upper.collections[0].get_segments()
    assert [segment[:, 1].tolist() for segment in whiskers] == [[0.3, 0.5], [0.7, 0.9]]
    images = lower.patches[0].get_data().values
    assert images.sum() == pytest.approx(70)
    np.testing.assert_allclose(images[16:], 10)
    assert [text.get_text() for text in upper.get_legend().get_texts()] == [
        *("calibrated", "before", "after")
    ]

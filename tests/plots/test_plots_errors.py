import numpy as np
import pandas as pd
import pytest

from cnnlab import plots
from cnnlab.plots.style import BAD, PALETTE


def images(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, 8, 8, 3), np.uint8)


def test_each_side_shows_its_own_images():
    left, right = [images(2), images(1)], [images(3), images(1)[:0]]
    figure = plots.confused_pairs(left, right, [("a", "b"), ("c", "d")])
    titles = [block.get_suptitle() for block in figure.subfigs]
    assert titles == ["a", "b", "c", "d"]
    shown = [[axes.images[0].get_array() for axes in block.axes if axes.images]
             for block in figure.subfigs]  # fmt: skip
    assert [len(each) for each in shown] == [2, 3, 1, 0]
    np.testing.assert_array_equal(shown[1][2], right[0][2])
    assert [text.get_text() for text in figure.subfigs[3].axes[0].texts] == ["no such error"]


def test_pairs_must_fit():
    with pytest.raises(ValueError, match="1 right sides but 2 titles"):
        plots.confused_pairs([images(1)] * 2, [images(1)], [("a", "b")] * 2)
    with pytest.raises(ValueError, match="No pairs"):
        plots.confused_pairs([], [], [])


@pytest.fixture
def slices() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "slice": ["dark", "small", "other"],
            "n": [1200, 40, 7],
            "accuracy": [0.9, 0.8, 1.0],
            "rest": [0.91, 0.95, 0.9],
            "adjusted": [-0.01, -0.12, np.nan],
            "low": [-0.03, -0.2, np.nan],
            "high": [0.01, -0.04, np.nan],
            "worse": [False, True, False],
        }
    )


def test_the_worst_slice_is_on_top_and_marked(slices):
    axes, beside = plots.slice_scores(slices).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["small", "dark", "other"]
    _, worse, others = axes.lines
    assert (worse.get_color(), others.get_color()) == (BAD, PALETTE[0])
    np.testing.assert_allclose(worse.get_xydata(), [[-12, 0]])
    np.testing.assert_allclose(others.get_xydata()[0], [-1, 1])
    spans = [each.get_segments()[0][:, 0] for each in axes.collections]
    np.testing.assert_allclose(spans, [[-20, -4], [-3, 1]])
    texts = [text.get_text() for text in beside.texts]
    assert texts == ["images", "40", "1,200", "7", "accuracy", "80.0 %", "90.0 %", "100.0 %",
                     "rest", "95.0 %", "91.0 %", "90.0 %"]  # fmt: skip


def test_slices_of_which_none_is_worse_need_one_entry_in_the_legend(slices):
    figure = plots.slice_scores(slices[:1])
    assert len(figure.legends[0].get_texts()) == 1

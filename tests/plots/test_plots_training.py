import numpy as np
import pandas as pd
import pytest

from cnnlab import plots
from cnnlab.plots.style import BAD, GOOD


@pytest.fixture
def history() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "loss": [3.0, 2.0, 1.0],
            "accuracy": [0.3, 0.6, 0.9],
            "validation_loss": [3.5, 2.5, 2.8],
            "validation_accuracy": [0.2, 0.5, 0.4],
        }
    )


def test_history_draws_the_columns_and_marks_the_best_epoch(history):
    figure = plots.training_history(history, best_epoch=2)
    for axes, name in zip(figure.axes, ("loss", "accuracy"), strict=True):
        train, validation, best, circle = axes.lines
        np.testing.assert_array_equal(train.get_xydata(), history[["epoch", name]])
        np.testing.assert_array_equal(
            validation.get_xydata(), history[["epoch", f"validation_{name}"]]
        )
        assert list(best.get_xdata()) == [2, 2]
        assert circle.get_xydata().tolist() == [[2, history[f"validation_{name}"][1]]]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["training", "validation", "best epoch: 2"]


def test_a_line_stands_between_two_stages(history):
    figure = plots.training_history(history.assign(stage=[1, 2, 3]), best_epoch=3)
    for axes in figure.axes:
        lines = [list(line.get_xdata()) for line in axes.lines[2:-1]]
        assert lines == [[1.5, 1.5], [2.5, 2.5], [3, 3]]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["training", "validation", "next stage", "best epoch: 3"]


def test_a_probe_continues_as_a_level_line(history):
    figure = plots.training_history(history.assign(stage=[1, 2, 2]), best_epoch=2, probe=True)
    for axes, level in zip(figure.axes, (3.5, 0.2), strict=True):
        assert list(axes.lines[2].get_ydata()) == [level, level]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["training", "validation", "probe, validation", "next stage", "best epoch: 2"]


def test_strengths_are_drawn_in_order_and_the_chosen_one_is_marked():
    axes = plots.strengths({1.0: 0.7, 0.01: 0.9, 0.1: 0.5}, 0.1).axes[0]
    curve, circle, chosen = axes.lines
    assert curve.get_xydata().tolist() == [[0.01, 0.9], [0.1, 0.5], [1.0, 0.7]]
    assert circle.get_xydata().tolist() == [[0.1, 0.5]]
    assert list(chosen.get_xdata()) == [0.1, 0.1]
    with pytest.raises(ValueError, match="No strengths to draw"):
        plots.strengths({}, 1.0)


@pytest.mark.parametrize("epochs", [1, 2])
def test_short_histories_have_whole_epochs_on_the_axis(history, epochs):
    figure = plots.training_history(history.head(epochs), best_epoch=1)
    figure.draw_without_rendering()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if low <= tick <= high]
    assert ticks == list(range(1, epochs + 1))


def test_fold_scores_state_mean_and_sample_deviation():
    folds = pd.DataFrame({"fold": [1, 2], "accuracy": [0.8, 0.9], "macro_f1": [0.5, 0.5]})
    accuracy, f1 = plots.fold_scores(folds).axes
    assert accuracy.get_title(loc="left") == "accuracy  0.850 ± 0.071"  # 0.1 / √2
    assert f1.get_title(loc="left") == "macro-F1  0.500 ± 0.000"
    mean, points = accuracy.lines
    assert mean.get_ydata()[0] == pytest.approx(0.85)
    assert list(points.get_ydata()) == [0.8, 0.9]


def test_one_fold_has_no_deviation():
    folds = pd.DataFrame({"fold": [1], "accuracy": [0.8], "macro_f1": [0.7]})
    axes = plots.fold_scores(folds).axes[0]
    assert axes.get_title(loc="left") == "accuracy  0.800 ± 0.000"


def test_paired_folds_join_the_scores_of_one_fold():
    axes = plots.paired_folds([0.9, 0.8, 0.7], [0.8, 0.9, 0.7], ("A", "B")).axes[0]
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.9, 0.8], [0.8, 0.9], [0.7, 0.7]]
    colours = [line.get_color() for line in axes.lines]
    assert colours == [GOOD, BAD, BAD]
    assert axes.get_title(loc="left") == "A ahead in 1 of 3 folds"
    assert [text.get_text() for text in axes.texts] == ["mean 0.800", "mean 0.800"]


def test_paired_folds_need_pairs():
    with pytest.raises(ValueError, match="2 scores but 1"):
        plots.paired_folds([0.9, 0.8], [0.8], ("A", "B"))


@pytest.fixture
def steps() -> pd.DataFrame:
    table = pd.DataFrame({"rate": [1e-6, 1e-4, 1e-2, 1.0], "smoothed": [3.0, 2.5, 2.0, 9.0]})
    return table.assign(loss=table["smoothed"] + 0.1)


def test_the_suggested_rate_is_marked(steps):
    figure = plots.rate_test(steps, 1.7e-4)
    (axes,) = figure.axes
    points, mean, mark = axes.lines
    np.testing.assert_array_equal(points.get_xydata(), steps[["rate", "loss"]])
    np.testing.assert_array_equal(mean.get_xydata(), steps[["rate", "smoothed"]])
    assert list(mark.get_xdata()) == [1.7e-4] * 2
    assert axes.get_xscale() == "log"
    assert figure.legends[0].get_texts()[-1].get_text() == "suggested: 1.7e-4"


def test_without_a_suggestion_nothing_is_marked(steps):
    figure = plots.rate_test(steps, np.nan)
    assert len(figure.axes[0].lines) == 2
    assert len(figure.legends[0].get_texts()) == 2


def test_the_rates_are_drawn_batch_by_batch_and_stages_parted():
    table = pd.DataFrame(
        {"epoch": [1, 1, 2, 2], "step": range(4), "stage": [1, 1, 2, 2],
         "rate": [0.1, 0.2, 0.05, 0.0]}
    )  # fmt: skip
    (axes,) = plots.learning_rates(table).axes
    first, second, between = axes.lines
    np.testing.assert_array_equal(first.get_xydata(), [[0, 0.1], [1, 0.2]])
    np.testing.assert_array_equal(second.get_xydata(), [[2, 0.05], [3, 0.0]])
    assert list(between.get_xdata()) == [1.5] * 2
    assert axes.get_title("left") == "2 epochs, 4 batches in all"


def test_a_learning_curve_is_the_mean_over_seeds():
    table = pd.DataFrame(
        {"seed": [0, 0, 1, 1], "fraction": [0.5, 1.0] * 2, "n": [50, 100, 52, 100],
         "macro_f1": [0.5, 0.7, 0.6, 0.9]}
    )  # fmt: skip
    (axes,) = plots.learning_curve(table, "macro_f1").axes
    mean, points = axes.lines
    np.testing.assert_allclose(mean.get_xydata(), [[51, 0.55], [100, 0.8]])
    np.testing.assert_allclose(points.get_xydata(), table[["n", "macro_f1"]])
    assert axes.get_ylabel() == "macro f1"
    assert plots.learning_curve(table[:2], "macro_f1").axes[0].get_legend() is None

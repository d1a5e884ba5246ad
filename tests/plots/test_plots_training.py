import numpy as np
import pandas as pd
import pytest

from cnnlab import plots


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

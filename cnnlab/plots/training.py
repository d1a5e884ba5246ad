"""Pictures of training: the course of one fit, the scores of several folds."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnnlab.plots.style import FAINT, INK, PALETTE, need_some, new_figure, split_colour, styled


@styled
def training_history(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Draw loss and accuracy side by side, training and validation, with the best epoch marked.

    Args:
        history: Columns epoch (from 1), loss, accuracy, validation_loss, validation_accuracy.
        best_epoch: The epoch whose weights were kept.
    """
    need_some("epochs", history)
    figure = new_figure(3.2)
    panels = figure.subplots(1, 2)
    epochs = history["epoch"].to_numpy()
    marker = "o" if len(epochs) <= 30 else ""
    for axes, name in zip(panels, ("loss", "accuracy"), strict=True):
        for split, column in (("train", name), ("validation", f"validation_{name}")):
            axes.plot(
                epochs,
                history[column].to_numpy(),
                color=split_colour(split),
                linestyle="solid" if split == "train" else (0, (4, 1.2)),
                marker=marker,
                markersize=3,
                label="training" if split == "train" else split,
            )
        axes.axvline(best_epoch, color=FAINT, linewidth=1, zorder=0, label=f"best: {best_epoch}")
        best = history.loc[history["epoch"] == best_epoch, f"validation_{name}"]
        axes.plot([best_epoch] * len(best), best, "o", mfc="white", mec=INK, ms=7, zorder=1.9)
        axes.set(xlabel="epoch", title=name, xlim=(epochs.min() - 0.5, epochs.max() + 0.5))
        axes.xaxis.set_major_locator(
            MaxNLocator(8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10])
        )
        axes.grid(axis="y")
    handles, labels = panels[0].get_legend_handles_labels()
    labels[-1] = f"best epoch: {best_epoch}"
    figure.legend(handles, labels, loc="outside upper center", ncols=3, handlelength=3)
    return figure


@styled
def fold_scores(folds: pd.DataFrame) -> Figure:
    """Draw accuracy and macro-F1 of each fold with their mean and standard deviation.

    Args:
        folds: Columns fold, accuracy, macro_f1; one row a fold. The deviation is the sample's
            (n − 1), 0 for a single fold.
    """
    need_some("folds", folds)
    figure = new_figure(2.9)
    panels = figure.subplots(1, 2, sharey=True)
    names = [str(fold) for fold in folds["fold"]]
    for axes, (column, title) in zip(
        panels, (("accuracy", "accuracy"), ("macro_f1", "macro-F1")), strict=True
    ):
        values = folds[column].to_numpy(dtype=float)
        mean, deviation = values.mean(), values.std(ddof=1) if len(values) > 1 else 0.0
        axes.axhspan(mean - deviation, mean + deviation, color=PALETTE[0], alpha=0.12, linewidth=0)
        axes.axhline(mean, color=PALETTE[0], linewidth=1.2)
        axes.plot(np.arange(len(values)), values, "o", color=PALETTE[0], markersize=6)
        axes.set_xticks(range(len(values)), names)
        axes.set(xlabel="fold", title=f"{title}  {mean:.3f} ± {deviation:.3f}")
        axes.set_xlim(-0.6, len(values) - 0.4)
        axes.grid(axis="y")
    panels[0].set_ylabel("score")
    return figure

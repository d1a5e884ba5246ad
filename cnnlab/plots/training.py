"""Pictures of training: one fit, a learning rate, folds of one and two models, more images."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, StrMethodFormatter

from cnnlab.plots.style import (
    BAD,
    FAINT,
    GOOD,
    INK,
    PALETTE,
    WIDTH,
    fitted,
    need_equal,
    need_some,
    new_figure,
    split_colour,
    styled,
)


@styled
def training_history(history: pd.DataFrame, best_epoch: int, *, probe: bool = False) -> Figure:
    """Draw loss and accuracy side by side, training and validation, with the best epoch marked.

    Args:
        history: Columns epoch (from 1), loss, accuracy, validation_loss, validation_accuracy; and
            stage, where there were several: a dotted line stands between two of them.
        best_epoch: The epoch whose weights were kept.
        probe: Whether the first epoch is a probe: a level line continues its validation value.
    """
    need_some("epochs", history)
    figure = new_figure(3.2)
    panels = figure.subplots(1, 2)
    epochs = history["epoch"].to_numpy()
    stages = history["stage"].to_numpy() if "stage" in history else np.ones(len(epochs))
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
        if probe:
            level = history[f"validation_{name}"].iloc[0]
            axes.axhline(level, color=INK, linewidth=0.8, zorder=0, label="probe, validation")
        for number, first in enumerate(epochs[1:][np.diff(stages) > 0]):
            label = "_" if number else "next stage"  # one entry of the legend for all of them
            axes.axvline(
                first - 0.5, color=FAINT, linewidth=1, linestyle="dotted", zorder=0, label=label
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
    figure.legend(
        handles, labels, loc="outside upper center", ncols=5 if probe else 4, handlelength=3
    )
    return figure


@styled
def strengths(losses: Mapping[float, float], chosen: float) -> Figure:
    """Draw by which loss the penalty of a head was chosen.

    Args:
        losses: C, the inverse strength of the penalty, → log loss of cross-validation.
        chosen: Which C was taken.
    """
    need_some("strengths", losses)
    figure = new_figure(3.0, WIDTH * 0.72)
    axes = figure.subplots()
    tried = sorted(losses)
    found = [losses[each] for each in tried]
    axes.plot(tried, found, "o-", color=PALETTE[0], markersize=4, label="cross-validation")
    axes.plot([chosen], [losses[chosen]], "o", mfc="white", mec=INK, ms=8, zorder=3)
    label = f"chosen: {chosen:g}"
    axes.axvline(chosen, color=BAD, linewidth=1.4, linestyle=(0, (4, 1.5)), label=label)
    axes.set(xscale="log", xlabel="C: the larger, the weaker the penalty", ylabel="log loss")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda strength, _: f"{strength:g}"))
    axes.grid()
    figure.legend(loc="outside upper center", ncols=2)
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


@styled
def paired_folds(
    first: Sequence[float] | np.ndarray,
    second: Sequence[float] | np.ndarray,
    names: tuple[str, str],
    score: str = "accuracy",
) -> Figure:
    """Draw the scores of two models on the same folds, a line a fold from one to the other.

    Lines of folds in which the first is ahead are blue, others orange-red.

    Args:
        first: k scores of one model.
        second: k scores of the other, the same folds in the same order.
        names: What the two are called.
        score: What is measured.
    """
    need_some("folds", first)
    need_equal("scores", len(first), "of the second model", len(second))
    scores = np.array([first, second], dtype=float)  # (2, k)
    figure = new_figure(3.0, WIDTH * 0.6)
    axes = figure.subplots()
    for pair in scores.T:
        colour = GOOD if pair[0] > pair[1] else BAD
        axes.plot([0, 1], pair, "o-", color=colour, linewidth=1.1, markersize=5)
    for place, side in enumerate(scores):
        axes.hlines(side.mean(), place - 0.12, place + 0.12, color=INK, linewidth=2.2, zorder=3)
        x, align = ((-0.16, "right"), (1.16, "left"))[place]
        axes.text(x, side.mean(), f"mean {side.mean():.3f}", ha=align, va="center", fontsize=8.5)
    axes.set_xticks([0, 1], [fitted(name, 24, lines=1) for name in names])
    ahead = int((scores[0] > scores[1]).sum())
    axes.set_title(f"{fitted(names[0], 24, lines=1)} ahead in {ahead} of {scores.shape[1]} folds")
    axes.set(xlim=(-0.62, 1.62), ylabel=score)
    axes.grid(axis="y")
    return figure


@styled
def rate_test(steps: pd.DataFrame, suggested: float) -> Figure:
    """Draw the loss against the learning rate of a range test.

    Args:
        steps: Columns rate (rising, above 0), loss, smoothed.
        suggested: The rate to mark; nan marks none.
    """
    need_some("steps", steps)
    figure = new_figure(3.0, WIDTH * 0.72)
    axes = figure.subplots()
    rates, smoothed = steps["rate"].to_numpy(), steps["smoothed"].to_numpy()
    axes.plot(rates, steps["loss"].to_numpy(), ".", color=PALETTE[5], ms=4, label="loss of a batch")
    axes.plot(rates, smoothed, color=PALETTE[0], label="running mean")
    if np.isfinite(suggested):
        label = f"suggested: {_plain(suggested, 1)}"
        axes.axvline(suggested, color=BAD, linewidth=1.4, linestyle=(0, (4, 1.5)), label=label)
    low, high = smoothed.min(), np.percentile(smoothed, 90)
    axes.set_ylim(low - 0.4 * (high - low) - 0.05, high + 1.2 * (high - low) + 0.05)  # not the end
    axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: _plain(rate)))
    axes.grid()
    figure.legend(loc="outside upper center", ncols=3)
    return figure


@styled
def learning_rates(table: pd.DataFrame) -> Figure:
    """Draw the learning rate of every batch of a training.

    Args:
        table: From ``training.schedules.used``: columns epoch (from 1), step (from 0), stage and
            rate; a dotted line stands between two stages.
    """
    need_some("batches", table)
    figure = new_figure(2.4, WIDTH * 0.72)
    axes = figure.subplots()
    for number, (_, own) in enumerate(table.groupby("stage")):
        axes.plot(own["step"].to_numpy(), own["rate"].to_numpy(), color=PALETTE[0])
        if number:
            first = own["step"].iloc[0] - 0.5
            axes.axvline(first, color=FAINT, linewidth=1, linestyle="dotted", zorder=0)
    axes.set(xlabel="batch", ylabel="learning rate", ylim=(0, 1.06 * table["rate"].max()))
    axes.set_title(f"{table['epoch'].nunique()} epochs, {len(table):,} batches in all")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid()
    return figure


def _plain(rate: float, digits: int = 0) -> str:
    """Return a rate as one writes it in a setting: 1e-4, 1.7e-4."""
    return f"{rate:.{digits}e}".replace("e-0", "e-").replace("e+00", "")


@styled
def learning_curve(table: pd.DataFrame, score: str = "accuracy") -> Figure:
    """Draw a score against the number of training images: a dot each training, a line the mean.

    Args:
        table: Columns seed, fraction, n (training images) and ``score``, a row a training.
        score: The column to draw.
    """
    need_some("trainings", table)
    figure = new_figure(3.0, WIDTH * 0.72)
    axes = figure.subplots()
    mean = table.groupby("fraction")[["n", score]].mean()
    axes.plot(mean["n"].to_numpy(), mean[score].to_numpy(), color=PALETTE[0], label="mean")
    seeds = table["seed"].nunique()
    label = "one training" if seeds > 1 else None
    axes.plot(table["n"].to_numpy(), table[score].to_numpy(), "o", color=PALETTE[5], ms=5,
              markeredgecolor="white", label=label)  # fmt: skip
    axes.set(xlabel="training images", ylabel=score.replace("_", " "), xlim=(0, None))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid()
    if seeds > 1:
        axes.legend(loc="lower right")
    return figure

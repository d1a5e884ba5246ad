"""Pictures of uncertainty: sizes of prediction sets, scores of images with no known class."""

import numpy as np
import seaborn
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cnnlab.plots.style import BAD, GOOD, INK, WIDTH, need_some, new_figure, styled

_BINS = 25


@styled
def set_sizes(sizes: np.ndarray, coverage: float, promised: float) -> Figure:
    """Draw how many classes the prediction sets hold, as shares of the images.

    Args:
        sizes: int (N,), classes in the set of each image, 1 or more.
        coverage: Measured share of the sets that hold the true class, 0–1.
        promised: The share that they were made for, 0–1.
    """
    need_some("sizes", sizes)
    counts = np.bincount(sizes)[1:]  # (largest size,)
    figure = new_figure(2.7, WIDTH * 0.7)
    axes = figure.subplots()
    seaborn.histplot(
        np.asarray(sizes),
        stat="proportion",
        binrange=(1, len(counts)),
        discrete=True,
        shrink=0.72,
        color=GOOD,
        alpha=1,
        linewidth=0,
        ax=axes,
    )
    if len(counts) <= 12:  # beyond, the numbers would touch each other
        (bars,) = (each for each in axes.containers if isinstance(each, BarContainer))
        axes.bar_label(bars, [f"{count:,}" for count in counts], padding=2, fontsize=8.5)
        axes.set_xticks(range(1, len(counts) + 1))
    axes.set_title(
        f"{100 * coverage:.1f} % of the sets hold the true class; promised: {100 * promised:g} %"
    )
    axes.set(xlabel="classes in the set", ylabel="share of the images")
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.set_ylim(0, 1.12 * counts.max() / counts.sum())
    axes.grid(axis="y")
    return figure


@styled
def novelty_scores(known: np.ndarray, novel: np.ndarray, threshold: float) -> Figure:
    """Draw the scores of known and of novel images, and the threshold below which one is flagged.

    Args:
        known: float (N,), largest probability of each image of the known classes, 0–1.
        novel: float (M,), the same for images that show none of them.
        threshold: 0–1; the legend counts what lies below.
    """
    need_some("known images", known)
    need_some("novel images", novel)
    known, novel = np.asarray(known, float), np.asarray(novel, float)
    lowest = min(known.min(), novel.min(), threshold)
    left = min(np.floor(10 * lowest) / 10, 0.9)  # every score may be 1
    edges = np.linspace(left, 1, _BINS + 1).tolist()
    figure = new_figure(3.0)
    axes = figure.subplots()
    for name, scores, colour in (("known", known, GOOD), ("never seen", novel, BAD)):
        flagged = np.mean(scores < threshold)
        label = f"{name}: {len(scores):,} images, {100 * flagged:.1f} % flagged"
        seaborn.histplot(
            scores,
            stat="proportion",
            bins=edges,
            element="step",
            color=colour,
            alpha=0.25,
            linewidth=1.6,
            label=label,
            ax=axes,
        )
    line = axes.axvline(threshold, color=INK, lw=1.4, linestyle=(0, (4, 2)))
    line.set_label(f"flagged below {threshold:.3f}")
    axes.set(xlabel="largest probability", ylabel="share of the images", xlim=(left, 1))
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
    axes.grid(axis="y")
    figure.legend(loc="outside upper left", ncols=3)
    return figure

"""Pictures of how well it works: confusion, scores and calibration by class, one prediction."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cnnlab.plots.style import (
    DIVERGING,
    FAINT,
    PALETTE,
    RULE,
    SEQUENTIAL,
    WIDTH,
    fitted,
    need_equal,
    need_some,
    new_figure,
    styled,
)

_UNLIKELY = 0.05  # p-value of a calibration gap that is drawn in colour
_MOST_ANNOTATED = 20  # classes; beyond, counts would be smaller than 6 points


@styled
def confusion_matrix(counts: np.ndarray, class_names: Sequence[str], normalise: str = "") -> Figure:
    """Draw a confusion matrix: counts or percentages as numbers, shares as colour.

    Args:
        counts: int (C, C), rows = true class, columns = predicted class.
        class_names: C names in label order.
        normalise: "": counts, coloured by the share of the true class; "rows": percentages of the
            true class (recall on the diagonal); "columns": of the predicted class (precision).
    """
    if normalise not in ("", "rows", "columns"):
        raise ValueError(f"normalise is {normalise!r}: expected '', 'rows' or 'columns'.")
    array = np.asarray(counts)
    size = len(class_names)
    if array.shape != (size, size):
        raise ValueError(f"counts have shape {array.shape}: expected ({size}, {size}).")
    by_column = normalise == "columns"
    shares = 100 * array / np.maximum(array.sum(axis=0 if by_column else 1, keepdims=True), 1)
    numbers = np.rint(shares).astype(int) if normalise else array
    of = "predicted" if by_column else "true"
    side = min(6.2, max(2.6, 0.48 * size))
    points = min(9.0, 72 * side / size * 0.27)
    figure = new_figure(side + 1.1, side + 2.0)
    axes = figure.subplots()
    seaborn.heatmap(
        shares,
        vmin=0,
        vmax=100,
        cmap=SEQUENTIAL,
        annot=numbers if size <= _MOST_ANNOTATED else None,
        fmt="d",
        annot_kws={"fontsize": points},
        square=True,
        linewidths=0.6,
        linecolor="white",
        xticklabels=False,
        yticklabels=False,
        cbar_kws={"label": f"share of the {of} class", "format": "%d %%", "shrink": 0.7},
        ax=axes,
    )
    for text in axes.texts:  # empty cells recede, so that the errors stand out
        if text.get_text() == "0":
            text.set_color("#c4c4c4")
    names = [fitted(name, 18, lines=1) for name in class_names]
    centres = np.arange(size) + 0.5
    points = min(8.5, 72 * side / size * 0.8)
    turn: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(centres, names, fontsize=points, **(turn if _too_wide(names, side) else {}))
    axes.set_yticks(centres, names, fontsize=points, rotation=0)
    axes.tick_params(length=0)
    axes.set(xlabel="predicted class", ylabel="true class")
    if normalise:
        axes.set_title(f"% of the {of} class")
    return figure


def _too_wide(names: Sequence[str], side: float) -> bool:
    """Return whether the longest name would touch its neighbour when written horizontally."""
    return max(map(len, names)) * 0.085 > side / len(names) - 0.08


@styled
def per_class_scores(per_class: Sequence[Mapping[str, Any]]) -> Figure:
    """Draw each class's F1 with its interval, precision and recall beside it, and its support.

    Args:
        per_class: One dict a class with class, support, precision, recall, f1, and where known
            f1_low and f1_high (the whiskers).
    """
    need_some("classes", per_class)
    figure = new_figure(1.15 + 0.3 * len(per_class))
    axes = figure.subplots()
    rows = np.arange(len(per_class))
    f1 = _column(per_class, "f1")
    low, high = _column(per_class, "f1_low"), _column(per_class, "f1_high")
    for name, marker, colour in (("precision", "^", PALETTE[4]), ("recall", "v", PALETTE[2])):
        values = _column(per_class, name)
        axes.plot(values, rows, linestyle="", marker=marker, color=colour, ms=6.5, label=name)
    axes.hlines(rows, low, high, color=PALETTE[0], linewidth=1.6, label="95 % interval of F1")
    axes.plot(f1, rows, "o", color=PALETTE[0], markersize=6, label="F1")
    names = [fitted(item["class"], 22, lines=1) for item in per_class]
    axes.set_yticks(rows, names)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    lowest = np.nanmin([_column(per_class, name) for name in ("f1", "precision", "recall")])
    lowest = np.nanmin([lowest, *low])
    axes.set_xlim(max(-0.01, np.floor(lowest * 10 - 0.2) / 10), 1.01)
    axes.set_xlabel("score")
    axes.grid()
    axes.tick_params(axis="y", length=0)
    _write_column(axes, 34, "images", [f"{int(item['support']):,}" for item in per_class])
    figure.legend(loc="outside upper center", ncols=4)
    return figure


def _column(per_class: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """Return one score of every class, NaN where it is not known."""
    values = [item.get(name) for item in per_class]
    return np.array([np.nan if value is None else value for value in values], dtype=float)


def _write_column(axes: Axes, place: float, name: str, values: Sequence[str]) -> None:
    """Write a text at the end of each row 0, 1, … and a name above them.

    Args:
        axes: Row 0 is the uppermost.
        place: Where the texts end, in points right of the axes.
        name: Above the column.
        values: One text a row.
    """
    style: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),  # x in axes shares, y in rows
        "textcoords": "offset points",
        "ha": "right",
        "fontsize": 8.5,
    }
    first = axes.get_yticks()[0]
    for row, value in enumerate(values):
        axes.annotate(value, (1, first + row), (place, 0), va="center", **style)
    axes.annotate(name, (1, first - 0.75), (place, 0), va="bottom", color=FAINT, **style)


@styled
def calibration_by_class(cells: pd.DataFrame, errors: pd.DataFrame) -> Figure:
    """Draw how far the frequency of each class is from the probability that it was given.

    A number is observed minus predicted, in percentage points: below 0 the class is overrated. The
    images behind it stand in brackets. A cell has a colour where chance would take the number so
    far from 0 in less than 5 of 100 cells.

    Args:
        cells: One row per class and bin with images: class, low and high (the limits of the bin),
            count, predicted, observed and p_value, all but count in 0…1.
        errors: One row a class, from the top: class, error and by_chance, both in 0…1.
    """
    need_some("classes", errors)
    names = list(errors["class"])
    bins = sorted(set(zip(cells["low"], cells["high"], strict=True)))
    table = cells.assign(gap=cells["observed"] - cells["predicted"]).set_index(["class", "low"])
    gaps, p_values, counts = (
        table[column].unstack("low").reindex(names).to_numpy()
        for column in ("gap", "p_value", "count")
    )
    told = p_values < _UNLIKELY
    shown = ~np.isnan(gaps)
    annotations = np.full(gaps.shape, "", dtype=object)
    annotations[shown] = [
        f"{round(100 * gap):+d}".replace("-", "−").replace("+0", "0") + f"  ({count:,.0f})"
        for gap, count in zip(gaps[shown], counts[shown], strict=True)
    ]
    figure = new_figure(1.0 + 0.27 * len(names))
    axes = figure.subplots()
    seaborn.heatmap(
        np.where(told, 100 * gaps, 0),
        mask=~shown,
        vmin=-50,
        vmax=50,
        cmap=DIVERGING,
        annot=annotations,
        fmt="",
        annot_kws={"fontsize": 8},
        linewidths=0.6,
        linecolor="white",
        cbar=False,
        ax=axes,
    )
    for text, strong in zip(axes.texts, told[shown], strict=True):
        if not strong:
            text.set_color("#707070")
    labels = [f"{100 * low:.0f}–{100 * high:.0f} %" for low, high in bins]
    axes.set_xticks(np.arange(len(bins)) + 0.5, labels, rotation=0)
    axes.set_yticks(np.arange(len(names)) + 0.5, [fitted(n, 22, lines=1) for n in names])
    axes.tick_params(length=0, labelrotation=0)
    axes.set(xlabel="predicted probability of the class", ylabel="")
    axes.set_title("Observed − predicted, percentage points (images); colour: p < 0.05")
    for place, column in ((40, "error"), (90, "by_chance")):
        values = [f"{value:.3f}" for value in errors[column]]
        _write_column(axes, place, column.replace("_", " "), values)
    return figure


@styled
def probability_bars(
    labels: Sequence[str], probabilities: Sequence[float] | np.ndarray, title: str = ""
) -> Figure:
    """Draw the most probable classes of one image as horizontal bars, the highest on top.

    Args:
        labels: K names.
        probabilities: K numbers in 0–1, in any order.
        title: Above the bars, such as the file's name.
    """
    need_some("probabilities", labels)
    need_equal("labels", len(labels), "probabilities", len(probabilities))
    values = np.asarray(probabilities, dtype=float)
    order = np.argsort(-values, kind="stable")
    figure = new_figure(0.75 + 0.3 * len(order), WIDTH * 0.6)
    axes = figure.subplots()
    rows = np.arange(len(order))
    axes.barh(rows, np.ones(len(order)), 0.66, color=RULE)
    colours = [PALETTE[0]] + [PALETTE[5]] * (len(order) - 1)
    bars = axes.barh(rows, values[order], 0.66, color=colours)
    for bar, value in zip(bars, values[order], strict=True):
        height = bar.get_y() + bar.get_height() / 2
        axes.text(1.15, height, f"{100 * value:.1f} %", ha="right", va="center", fontsize=8.5)
    axes.set_yticks(rows, [fitted(labels[index], 22, lines=1) for index in order])
    axes.set(xlim=(0, 1), ylim=(len(order) - 0.5, -0.5))
    axes.set_title(fitted(title, 44))
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    axes.set_xlabel("probability")
    axes.spines["left"].set_visible(False)
    return figure

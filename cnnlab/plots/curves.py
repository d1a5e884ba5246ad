"""Curves of the probabilities: ROC, precision and recall, reliability."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cnnlab.plots.style import (
    FAINT,
    INK,
    PALETTE,
    WIDTH,
    fitted,
    need_some,
    new_figure,
    series_style,
    styled,
)

Curves = Mapping[str, tuple[np.ndarray, np.ndarray, float]]

_AVERAGES: tuple[Any, ...] = ("solid", (0, (1, 1.2)))  # how the first and the second are drawn


@styled
def roc_curves(curves: Curves, averages: Curves | None = None) -> Figure:
    """Draw ROC curves with their AUC in the legend and the diagonal of guessing.

    If any AUC reaches 0.9, a second panel enlarges the upper left corner.

    Args:
        curves: Class → (false positive rate, true positive rate, AUC).
        averages: Name → the same, at most two; black, and in italics at the end of the legend. A
            class may have the name of one.
    """
    averages = averages or {}
    need_some("curves", [*curves, *averages])
    close = max(float(auc) for _, _, auc in (*curves.values(), *averages.values())) >= 0.9
    figure = new_figure(3.5, WIDTH if close else 5.4)
    panels = figure.subplots(1, 2 if close else 1, squeeze=False)[0]
    for axes in panels:
        _draw_curves(axes, curves)
        _draw_averages(axes, averages)
    for axes in panels:
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        axes.set(xlabel="false positive rate", aspect="equal")
        axes.grid()
    panels[0].set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), title="ROC, one class against the rest")
    panels[0].set_ylabel("true positive rate")
    if close:
        _show_corner(panels[1])
    _legend(figure, panels[0], "AUC", len(averages))
    return figure


def _show_corner(axes: Axes) -> None:
    """Limit a ROC panel to the corner where good classifiers differ."""
    ticks = np.array([0, 0.05, 0.1, 0.15, 0.2])
    axes.set(xlim=(-0.002, 0.2), ylim=(0.8, 1.002), title="its upper left corner")
    axes.set(xticks=ticks, yticks=1 - ticks[::-1])


@styled
def precision_recall_curves(curves: Curves) -> Figure:
    """Draw precision–recall curves as steps, with their average precision in the legend.

    Args:
        curves: Name → (recall, precision, average precision), recall rising.
    """
    need_some("curves", curves)
    figure = new_figure(3.5, 5.4)
    axes = figure.subplots()
    _draw_curves(axes, curves, drawstyle="steps-pre")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    axes.set(xlabel="recall", ylabel="precision", title="One class against the rest")
    axes.grid()
    _legend(figure, axes, "average precision")
    return figure


def _draw_curves(axes: Axes, curves: Curves, **kwargs: Any) -> None:
    """Draw each curve with its area in the label."""
    for position, (name, (across, up, area)) in enumerate(curves.items()):
        style = series_style(position) | {"linewidth": 1.5} | kwargs
        axes.plot(across, up, label=_label(name, area), zorder=2, **style)


def _draw_averages(axes: Axes, averages: Curves) -> None:
    """Draw each average in black, on top, with its area in the label."""
    for line, (name, (across, up, area)) in zip(_AVERAGES, averages.items(), strict=False):
        style: dict[str, Any] = {"color": INK, "linestyle": line, "linewidth": 2.2}
        axes.plot(across, up, label=_label(name, area), zorder=3, **style)


def _label(name: str, area: float) -> str:
    return f"{fitted(name, 18, lines=1)}  {area:.3f}"


def _legend(figure: Figure, axes: Axes, title: str, averages: int = 0) -> None:
    """Write the legend, its last ``averages`` entries in italics."""
    handles, labels = axes.get_legend_handles_labels()
    options: dict[str, Any] = {"loc": "outside right center", "alignment": "left"}
    legend = figure.legend(handles, labels, title=title, **options)
    for text in legend.get_texts()[len(labels) - averages :]:
        text.set_fontstyle("italic")


@styled
def reliability_diagram(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw how often answers of each confidence are right, and below how confident answers are.

    On the diagonal 80 % sure means right 80 times in 100; below it the network is too sure.

    Args:
        tables: Name, such as "before" → one row per bin: low, high, count, confidence, accuracy,
            accuracy_low and accuracy_high (the whiskers), all but count in 0…1.
    """
    need_some("tables", tables)
    figure = new_figure(4.9, 5.4)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3.4, 1])
    upper.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (4, 3)), label="calibrated")
    for position, (name, table) in enumerate(tables.items()):
        colour = PALETTE[position % len(PALETTE)]
        marker = "osD^"[position % 4]
        centre = table["confidence"]
        upper.vlines(
            centre, table["accuracy_low"], table["accuracy_high"], color=colour, alpha=0.45
        )
        upper.plot(
            centre, table["accuracy"], marker=marker, ms=4.5, color=colour, lw=1.2, label=name
        )
        _draw_density(lower, table, colour)
    lowest = min(float(table["low"].min()) for table in tables.values())
    upper.set(xlim=(max(0.0, lowest - 0.03), 1.01), ylim=(-0.01, 1.01))
    upper.set_ylabel("accuracy (95 % interval)")
    lower.set(xlabel="confidence: probability of the predicted class", ylabel="images\nper 0.05")
    lower.set_ylim(bottom=0)
    for axes in (upper, lower):
        axes.grid()
    upper.legend(loc="upper left")
    return figure


def _draw_density(axes: Axes, table: pd.DataFrame, colour: str) -> None:
    """Draw images per 0.05 of confidence, each bin's images spread evenly over it."""
    edges = np.linspace(0, 1, 21)
    total = np.cumsum(table["count"])
    across = np.column_stack([table["low"], table["high"]]).ravel()
    up = np.column_stack([total - table["count"], total]).ravel()
    images = np.diff(np.interp(edges, across, up, left=0))
    axes.stairs(images, edges, color=colour, linewidth=1.4)

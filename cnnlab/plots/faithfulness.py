"""Pictures of whether heatmaps are right: curves of vanishing pixels, gaps to the baselines."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cnnlab.plots.style import (
    FAINT,
    GOOD,
    INK,
    fitted,
    need_some,
    new_figure,
    series_style,
    styled,
)


@styled
def vanishing_curves(
    curves: Mapping[str, Mapping[str, np.ndarray]], baselines: Sequence[str] = ()
) -> Figure:
    """Draw the mean answer against the share of pixels replaced, a panel a kind.

    Args:
        curves: Kind ("deletion", "insertion") → method → float (N, F), over equal fractions.
        baselines: Methods that are drawn grey and dashed.
    """
    need_some("curves", curves)
    figure = new_figure(3.6)
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (kind, methods) in zip(panels, curves.items(), strict=True):
        for position, (method, values) in enumerate(methods.items()):
            look = series_style(position)
            if method in baselines:
                dash = (0, (2 + 3 * list(baselines).index(method), 2))
                look = {"color": FAINT, "linestyle": dash, "zorder": 1}
            shares = np.linspace(0, 1, np.shape(values)[1])
            axes.plot(shares, np.mean(values, axis=0), label=method, **look)
        axes.set(title=kind, xlabel="share of the pixels, most relevant first", xlim=(0, 1))
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.grid(axis="y")
    panels[0].set(ylabel="mean probability of the class", ylim=(0, 1.02))
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(5, len(names)))
    return figure


@styled
def baseline_gaps(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw by how much each method beats the closer baseline, a panel a measure.

    Args:
        tables: Measure → a table with method, gap, gap_low, gap_high and beats_both (None for the
            baselines, which are not drawn). Right of zero is better.
    """
    need_some("measures", tables)
    judged = {name: table[table["beats_both"].notna()] for name, table in tables.items()}
    methods = list(dict.fromkeys(m for table in judged.values() for m in table["method"]))
    need_some("methods", methods)
    figure = new_figure(0.27 * len(methods) + 1.1)
    panels = figure.subplots(1, len(tables), sharey=True, squeeze=False)[0]
    for axes, (measure, table) in zip(panels, judged.items(), strict=True):
        for row in table.itertuples():
            place, colour = methods.index(row.method), GOOD if row.beats_both else FAINT
            axes.plot([row.gap_low, row.gap_high], [place, place], color=colour, lw=1.6)
            face = colour if row.beats_both else "white"
            axes.plot(row.gap, place, "o", color=colour, markerfacecolor=face, markersize=5)
        axes.axvline(0, color=INK, lw=1)
        axes.set_title(fitted(measure, int(90 / len(tables))))
        axes.margins(x=0.12)
        axes.locator_params(axis="x", nbins=3)
        axes.grid(axis="x")
    panels[0].set_yticks(range(len(methods)), methods)
    panels[0].set_ylim(len(methods) - 0.5, -0.5)
    figure.supxlabel("gap to the closer baseline, 95 % interval (filled: beats both)", fontsize=9)
    return figure

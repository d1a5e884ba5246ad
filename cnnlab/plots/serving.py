"""Pictures of a server at work: what it answers a second, and how long its clients wait."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from cnnlab.plots.style import PALETTE, need_some, new_figure, styled


@styled
def load_curves(tables: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw answers a second and waiting times against the number of clients, on log scales.

    Args:
        tables: Name of a kind of request → a table with clients, per_second, p50_ms and p99_ms,
            one row for each number of clients; NaN and zero are left out.
    """
    need_some("tables", tables)
    figure = new_figure(3.3)
    rate, wait = figure.subplots(1, 2)
    for position, (name, table) in enumerate(tables.items()):
        need_some(f"rows of {name}", table)
        colour = PALETTE[position % len(PALETTE)]
        rate.plot(table["clients"], table["per_second"], "o-", color=colour, ms=4, label=name)
        wait.plot(table["clients"], table["p50_ms"], "o-", color=colour, ms=4)
        wait.plot(table["clients"], table["p99_ms"], "o", color=colour, ms=4, mfc="white", ls=":")
    rate.set(title="what is answered", ylabel="answers a second")
    wait.set(title="wait: median (full), 99th percentile (dotted)", ylabel="milliseconds")
    clients = sorted({int(each) for table in tables.values() for each in table["clients"]})
    for axes in (rate, wait):
        _scale(axes, clients)
    figure.legend(loc="outside upper left", ncols=len(tables))
    return figure


def _scale(axes: Axes, clients: list[int]) -> None:
    """Set log scales whose ticks are plain numbers."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(clients, [f"{each:,}" for each in clients])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_xlabel("clients at a time")
    axes.grid(axis="y")

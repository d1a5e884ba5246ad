"""A table in a notebook whose names are text: what ``pandas`` shows of them is not always."""

import pandas as pd

from cnnlab.text.printable import printable


class Shown:
    """A table as a notebook shows it.

    pandas escapes HTML. What it leaves are characters that do not show or that turn the reading
    order, and dollar signs, between which JupyterLab sets formulas.
    """

    def __init__(self, table: pd.DataFrame) -> None:
        shown = table.map(_visible).rename(index=_visible, columns=_visible)
        axes = (each.set_names(list(map(_visible, each.names))) for each in shown.axes)
        self.table = shown.set_axis(next(axes), axis=0).set_axis(next(axes), axis=1)

    def _repr_html_(self) -> str:
        whole = ("display.html.use_mathjax", False, "display.max_colwidth", None)
        with pd.option_context(*whole):
            return str(self.table._repr_html_())  # which escapes HTML, as no style of pandas does

    def __repr__(self) -> str:
        return repr(self.table)


def _visible(value: object) -> object:
    return printable(value) if isinstance(value, str) else value

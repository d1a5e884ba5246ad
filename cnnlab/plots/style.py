"""The shared look: one page width, one font size ladder, one palette, one colour map per purpose.

Every drawing function is wrapped in ``styled`` and starts from ``new_figure``. Both leave
matplotlib's global settings and pyplot's list of open figures as they were.
"""

import io
import textwrap
import unicodedata
from collections.abc import Callable, Sequence, Sized
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from cnnlab.plots import fonts

WIDTH = 8.2  # inches: 900 pixels at DPI, the text column of a notebook
DPI = 110
INK = "#222222"
FAINT = "#8a8a8a"
RULE = "#e6e6e6"
SEQUENTIAL = "Blues"  # shares and densities on white paper: lightness falls monotonically
HEAT = "inferno"  # heatmaps and activations: perceptually uniform, ends far from any photograph
DIVERGING = "RdBu_r"  # signed weights

# Okabe and Ito's palette without black and the yellow that fades on white: six colours that stay
# apart under the common colour-vision deficiencies. Further series change the line, not the hue.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("solid", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
GOOD, BAD = PALETTE[0], PALETTE[1]  # right and wrong: blue and orange-red, never red and green
_SPLITS = {"train": 0, "validation": 1, "test": 2}

STYLE: dict[Any, Any] = {
    "font.family": [fonts.BASE],
    "font.size": 9.0,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 7.0,
    "axes.labelsize": 9.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9a9a9a",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": False,
    "axes.unicode_minus": True,
    "text.parse_math": False,  # a dollar sign in a file name starts no formula
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": "#9a9a9a",
    "ytick.color": "#9a9a9a",
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "xtick.major.size": 3.0,
    "ytick.major.size": 3.0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.handlelength": 2.2,
    "lines.linewidth": 1.8,
    "image.interpolation": "nearest",  # pixels are shown, not smoothed
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
}

Images = Sequence[np.ndarray] | np.ndarray  # (H, W, 3) each, 0–255; a list may mix sizes
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Picture(Figure):
    """A figure that pyplot does not know, which a notebook nevertheless shows, once, as a PNG.

    IPython draws a plain ``Figure`` only after pyplot has set up its inline backend; before that
    the cell would end with ``<Figure size …>``. Ticks are made while drawing, hence the style
    is applied there as well.
    """

    def draw(self, renderer: Any) -> None:
        """Draw with the shared style, whatever the caller's settings are."""
        families = fonts.families()
        with matplotlib.rc_context({**STYLE, "font.family": families}):
            if len(families) > 1:  # a font may have been found after some text was made
                for text in self.findobj(Text):
                    text.set_fontfamily(families)
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        """Return the picture as PNG bytes: what a notebook shows."""
        target = io.BytesIO()
        self.savefig(target, format="png")
        return target.getvalue()


def styled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Run a drawing function under the shared style and restore the caller's settings."""

    @wraps(function)
    def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        with matplotlib.rc_context(STYLE):
            return function(*args, **kwargs)

    return wrapper


def new_figure(height: float, width: float = WIDTH, *, compressed: bool = False) -> Picture:
    """Return an empty figure of ``width`` × ``height`` inches whose labels never overlap the axes.

    Args:
        height: Inches.
        width: Inches; the notebook's text column by default.
        compressed: Pack axes of fixed aspect (images) closely together.
    """
    layout: Any = "compressed" if compressed else "constrained"
    figure = Picture(figsize=(width, height), dpi=DPI, layout=layout)
    FigureCanvasAgg(figure)
    engine: Any = figure.get_layout_engine()
    engine.set(w_pad=0.06, h_pad=0.07, wspace=0.03, hspace=0.03)
    return figure


def split_colour(split: str, position: int = 0) -> str:
    """Return the colour that a split has in every figure, or the palette's ``position``-th."""
    return PALETTE[_SPLITS.get(split, position) % len(PALETTE)]


def series_style(position: int) -> dict[str, Any]:
    """Return colour and dash of the ``position``-th line: 24 distinct ones before they repeat."""
    dash = DASHES[position // len(PALETTE) % len(DASHES)]
    return {"color": PALETTE[position % len(PALETTE)], "linestyle": dash}


def drawable(text: str) -> str:
    r"""Return text of characters that a font has: ``\\u65e5`` is told from another, a box is not.

    Line breaks stay. Where a legend would leave a label out, for its underscore, a space that is
    hardly seen stands first.
    """
    shown = "".join(
        sign
        if sign == "\n" or (sign.isprintable() and fonts.has(sign))
        else sign.encode("unicode_escape").decode()
        for sign in str(text)
    )
    return f"\u200a{shown}" if shown.startswith("_") else shown


def wrapped(text: str, characters: int) -> list[str]:
    """Return the lines of ``text``, none longer than ``characters``; its own breaks are kept.

    The text is made ``drawable``.
    """
    rows: list[str] = []
    for paragraph in drawable(text).split("\n"):
        rows += textwrap.wrap(paragraph, max(_room(paragraph, characters), 4)) or [""]
    return rows


def _room(text: str, characters: int) -> int:
    """Return how many characters of a text are as wide as so many Latin ones."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return characters * len(text) // (len(text) + wide) if wide else characters


def fitted(text: str, characters: int, lines: int = 2) -> str:
    """Return ``text`` in at most ``lines`` lines of ``characters``; what is too long ends in ….

    Text of spaces alone stays text: a legend leaves out an empty label.
    """
    rows = wrapped(text, characters)
    if len(rows) > lines:
        last = rows[lines - 1]
        rows = [*rows[: lines - 1], last[: max(_room(last, characters), 4) - 1] + "…"]
    return "\n".join(rows) or "\u200a" * bool(text)


def displayed(image: np.ndarray) -> np.ndarray:
    """Return a copy ready for drawing.

    Args:
        image: (H, W, 3) or (H, W), uint8 or float, 0–255.

    Returns:
        uint8 (H, W, 3): rounded and clipped to 0–255.
    """
    array = np.asarray(image)
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise ValueError(f"An image has shape {array.shape}: expected (H, W, 3) or (H, W).")
    return np.clip(np.rint(array.astype(np.float32)), 0, 255).astype(np.uint8)


def show_image(axes: Axes, image: np.ndarray, border: str | None = None, **kwargs: Any) -> None:
    """Draw one image without ticks, with a thick frame in the colour ``border`` if one is given."""
    axes.imshow(image, **kwargs)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=border is not None, color=border or RULE, linewidth=2.5)


def need_equal(what: str, count: int, other: str, other_count: int) -> None:
    """Raise ValueError unless both counts agree."""
    if count != other_count:
        raise ValueError(f"{count} {what} but {other_count} {other}: expected one for each.")


def need_some(what: str, values: Sized) -> None:
    """Raise ValueError if there is nothing to draw."""
    if len(values) == 0:
        raise ValueError(f"No {what} to draw: expected at least one.")

"""Pictures of errors: classes taken for each other, kinds of image that go worse."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from cnnlab.plots.images import aspect, fitted_titles
from cnnlab.plots.style import (
    BAD,
    FAINT,
    INK,
    PALETTE,
    WIDTH,
    Images,
    displayed,
    fitted,
    need_equal,
    need_some,
    new_figure,
    show_image,
    styled,
)


@styled
def confused_pairs(
    left: Sequence[Images], right: Sequence[Images], titles: Sequence[tuple[str, str]]
) -> Figure:
    """Draw pairs of classes that are taken for each other, a row a pair, one direction a side.

    Args:
        left: For each pair, images of the first class taken for the second: (H, W, 3) each,
            uint8 or float, 0–255; as many as one likes, or none.
        right: For each pair, images of the second class taken for the first.
        titles: For each pair, what stands above the left and the right side, such as
            ("12 coat taken for shirt", "7 shirt taken for coat").
    """
    need_some("pairs", titles)
    need_equal("left sides", len(left), "titles", len(titles))
    need_equal("right sides", len(right), "titles", len(titles))
    columns = max(1, *(len(images) for images in (*left, *right)))
    cell = min(WIDTH / 2 / columns - 0.08, 1.35)
    tall = max([aspect(images) for images in (*left, *right) if len(images)], default=1.0)
    sides = [text for pair in titles for text in pair]
    names, points, room = fitted_titles(sides, len(sides), columns * cell)
    figure = new_figure(len(titles) * (cell * tall + 0.3 + room), 2 * columns * (cell + 0.08))
    blocks = figure.subfigures(len(titles), 2, squeeze=False, wspace=0.04).ravel()
    images_of = [images for pair in zip(left, right, strict=True) for images in pair]
    for block, images, name in zip(blocks, images_of, names, strict=True):
        _side(block, images, columns)
        block.suptitle(name, fontsize=points, x=0.02, ha="left")
    return figure


def _side(block: SubFigure, images: Images, columns: int) -> None:
    """Draw the images of one direction from the left on, or say that there are none."""
    panels = block.subplots(1, columns, squeeze=False)[0]
    for axes in panels[len(images) :]:
        axes.set_axis_off()
    for axes, image in zip(panels, images, strict=False):
        show_image(axes, displayed(image), BAD)
        axes.set_anchor("NW")
    if not len(images):
        panels[0].text(0, 0.5, "no such error", color=FAINT, fontsize=8.5, va="center")


@styled
def slice_scores(slices: pd.DataFrame) -> Figure:
    """Draw how much better or worse each slice does than the same classes outside it.

    Args:
        slices: Columns slice, n, accuracy, rest (accuracies 0…1), adjusted, low, high (the
            difference within classes and its 95 % interval; nan where unknown), worse (bool).
            Drawn with the worst on top.
    """
    need_some("slices", slices)
    table = slices.sort_values("adjusted", kind="stable").reset_index(drop=True)
    figure = new_figure(1.35 + 0.3 * len(table))
    axes, beside = figure.subplots(1, 2, width_ratios=[3.2, 1], sharey=True)
    rows = np.arange(len(table))
    points, low, high = (100 * table[name].to_numpy(float) for name in ("adjusted", "low", "high"))
    worse = table["worse"].to_numpy(bool)
    axes.axvline(0, color=INK, linewidth=1)
    for chosen, colour, label in (
        (worse, BAD, "significantly worse, corrected for the number of slices"),
        (~worse, PALETTE[0], "not told apart from the rest, or better"),
    ):
        if chosen.any():
            axes.hlines(rows[chosen], low[chosen], high[chosen], color=colour, linewidth=1.6)
            axes.plot(points[chosen], rows[chosen], "o", color=colour, markersize=6, label=label)
    axes.set_yticks(rows, [fitted(name, 28, lines=1) for name in table["slice"]])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(
        "accuracy minus that of the same classes elsewhere (points), with 95 % interval"
    )
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    _columns(beside, table)
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def _columns(axes: Axes, table: pd.DataFrame) -> None:
    """Write number and accuracy of each slice, and the accuracy of the rest, in its row."""
    axes.set_axis_off()
    for place, heading, texts in (
        (0.2, "images", [f"{n:,}" for n in table["n"]]),
        (0.64, "accuracy", [f"{100 * value:.1f} %" for value in table["accuracy"]]),
        (1.0, "rest", [f"{100 * value:.1f} %" for value in table["rest"]]),
    ):
        axes.text(place, -0.75, heading, ha="right", va="bottom", color=FAINT, fontsize=8.5)
        for row, text in enumerate(texts):
            axes.text(place, row, text, ha="right", va="center", fontsize=8.5)

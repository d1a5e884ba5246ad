"""Pictures of a dataset: how many, how large, the mean of each class, what augmentation draws."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd
from matplotlib.artist import Artist, setp
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cnnlab.plots.images import image_grid
from cnnlab.plots.style import (
    FAINT,
    PALETTE,
    RULE,
    WIDTH,
    fitted,
    need_equal,
    need_some,
    new_figure,
    series_style,
    split_colour,
    styled,
)

_ORDER = ("train", "validation", "test", "excluded")


@styled
def class_balance(counts: pd.DataFrame) -> Figure:
    """Draw the images per class, one panel a split on a common scale, each bar with its count.

    Args:
        counts: Columns label, split, count; a missing pair counts 0. A split named "" (a flat
            folder) is titled "all images".
    """
    need_some("classes", counts)
    table = counts.pivot_table(
        index="label", columns="split", values="count", aggfunc="sum", fill_value=0
    )
    splits = sorted(table.columns, key=lambda s: (_ORDER.index(s) if s in _ORDER else 9, s))
    figure = new_figure(1.0 + 0.27 * len(table))
    panels = figure.subplots(1, len(splits), sharex=True, sharey=True, squeeze=False)[0]
    for position, (axes, split) in enumerate(zip(panels, splits, strict=True)):
        values = table[split].to_numpy()
        names = [fitted(label, 30, lines=1) for label in table.index]
        bars = axes.barh(range(len(values)), values, 0.72, color=split_colour(split, position))
        axes.bar_label(bars, [f"{value:,}" for value in values], padding=3, fontsize=8)
        axes.set_yticks(range(len(values)), names)
        axes.set_title(f"{split or 'all images'} · {values.sum():,}")
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
        axes.set_xlabel("images")
    panels[0].invert_yaxis()  # shared: the first class on top
    panels[0].set_xlim(0, max(1.0, table.to_numpy().max() * (1.12 + 0.05 * len(splits))))
    return figure


@styled
def size_scatter(widths: np.ndarray, heights: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw the images' stored sizes by class; a mark's area grows with the images that share it.

    Args:
        widths: int (N,), pixels.
        heights: int (N,), pixels.
        labels: str (N,), the class of each image.
    """
    need_equal("widths", len(widths), "heights", len(heights))
    need_equal("widths", len(widths), "labels", len(labels))
    need_some("sizes", widths)
    frame = pd.DataFrame({"width": widths, "height": heights, "label": labels})
    sizes = frame.groupby(["label", "width", "height"]).size().rename("count").reset_index()
    figure = new_figure(4.2, 5.8)
    axes = figure.subplots()
    low, high = _limits(frame)
    axes.plot([low, high], [low, high], color=RULE, linewidth=1, zorder=0)
    place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "top"}
    axes.annotate("square", (high, high), (-16, 0), fontsize=8, **place).set_color(FAINT)
    for position, (name, group) in enumerate(sizes.groupby("label")):
        axes.scatter(
            group["width"],
            group["height"],
            16 + 400 * (group["count"] - 1) / len(frame),
            series_style(position)["color"],
            marker="os^D"[position // len(PALETTE) % 4],
            alpha=0.6,
            linewidths=0,
            label=fitted(name, 18, lines=1),
        )
    axes.set(xlim=(low, high), ylim=(low, high), xlabel="width (pixels)", ylabel="height (pixels)")
    axes.set_title(_size_title(frame))
    legend = figure.legend(loc="outside right center")
    for handle in legend.legend_handles:
        setp(cast(Artist, handle), sizes=[30], alpha=1)
    return figure


def _limits(frame: pd.DataFrame) -> tuple[float, float]:
    """Return axis limits that hold both sides with a margin, never of zero length."""
    sides = frame[["width", "height"]].to_numpy()
    margin = max(8.0, 0.08 * (sides.max() - sides.min()))
    return max(0.0, float(sides.min() - margin)), float(sides.max() + margin)


def _size_title(frame: pd.DataFrame) -> str:
    """Return the title: the commonest size if it is common, else the range of sizes."""
    counts = frame.groupby(["width", "height"]).size()
    if counts.max() >= 0.1 * len(frame):
        width, height = counts.idxmax()
        return f"{counts.max():,} of {len(frame):,} images are {width} × {height}"
    sides = frame[["width", "height"]].to_numpy()
    return f"{len(frame):,} images with sides of {sides.min():,} to {sides.max():,} pixels"


def class_means(images: np.ndarray, colours: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw the mean image of each class above a bar of the class' mean colour.

    Args:
        images: uint8 (C, S, S, 3), RGB, 0–255.
        colours: uint8 (C, 3), RGB, 0–255.
        class_names: C names in label order.
    """
    need_some("mean images", images)
    need_equal("mean images", len(images), "colours", len(colours))
    side = np.shape(images)[1]
    gap, bar = max(1, side // 20), max(1, side // 6)  # pixels
    framed = np.pad(np.asarray(images), ((0, 0), (0, gap + bar), (0, 0), (0, 0)),
                    constant_values=255)  # fmt: skip
    framed[:, side + gap :] = np.asarray(colours)[:, None, None]
    rows = -(-len(images) // 6)
    return image_grid(framed, class_names, columns=-(-len(images) // rows))


@styled
def draw_histograms(draws: dict[str, np.ndarray]) -> Figure:
    """Draw the distribution of each random parameter, one small panel each.

    Args:
        draws: Axis label with its unit (``"angle (degrees)"``) → values (N,), numbers or bool.
    """
    need_some("distributions", draws)
    columns = min(4, len(draws))
    rows = -(-len(draws) // columns)
    figure = new_figure(0.2 + 1.9 * rows, WIDTH * max(columns, 2) / 4)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, values) in zip(panels, draws.items(), strict=False):
        array = np.asarray(values).ravel()
        need_some(f"values of {name!r}", array)
        weights = np.full(len(array), 1 / len(array))
        if array.dtype == bool:
            _draw_share(axes, array)
        else:
            axes.hist(array.astype(float), bins=20, weights=weights, color=PALETTE[0])
            axes.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10]))
        axes.set_xlabel(name)
        axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
        axes.grid(axis="y")
        axes.tick_params(axis="y", length=0)
    for axes in panels[len(draws) :]:
        axes.remove()
    figure.supylabel("share of draws", fontsize=9)
    return figure


def _draw_share(axes: Axes, values: np.ndarray) -> None:
    """Draw how often a yes-or-no parameter is no and yes."""
    share = float(values.mean())
    axes.bar([0, 1], [1 - share, share], 0.6, color=PALETTE[0])
    axes.set_xticks([0, 1], ["no", "yes"])
    axes.set(xlim=(-0.6, 1.6), ylim=(0, 1))

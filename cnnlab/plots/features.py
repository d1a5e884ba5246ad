"""Pictures of what a network learned: patches, measures against depth, the map of embeddings."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import PercentFormatter

from cnnlab.plots.style import (
    BAD,
    FAINT,
    GOOD,
    INK,
    WIDTH,
    Images,
    displayed,
    fitted,
    need_equal,
    need_some,
    new_figure,
    series_style,
    show_image,
    styled,
)


@styled
def patch_mosaics(patches: Mapping[str, np.ndarray]) -> Figure:
    """Draw the strongest patches of several layers side by side, a row a channel.

    Args:
        patches: Title of a layer → uint8 (C, n, h, w, 3), 0–255.
    """
    need_some("layers", patches)
    columns = min(len(patches), 4)
    lines = -(-len(patches) // columns)
    cell = (WIDTH - 0.2) / columns
    figure = new_figure(lines * (cell + 0.35), columns * cell, compressed=True)
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(patches) :]:
        axes.set_axis_off()
    for axes, (title, pictures) in zip(panels, patches.items(), strict=False):
        show_image(axes, _mosaic(np.asarray(pictures)))
        axes.set_title(fitted(title, 30, 2), loc="center", weight="normal", fontsize=8.5)
    return figure


def _mosaic(pictures: np.ndarray) -> np.ndarray:
    """Return pictures on white, a row for each first index, all blown up to about 48 pixels."""
    count, number, height, width = pictures.shape[:4]
    zoom = max(1, round(48 / max(height, width)))
    large = pictures.repeat(zoom, axis=2).repeat(zoom, axis=3)
    gap = max(2, zoom * width // 16)
    high, wide = zoom * height + gap, zoom * width + gap
    page = np.full((count * high - gap, number * wide - gap, 3), 255, np.uint8)
    for row in range(count):
        for column in range(number):
            top, left = row * high, column * wide
            page[top : top + high - gap, left : left + wide - gap] = large[row, column]
    return page


@styled
def picture_rows(rows: Mapping[str, Images], titles: Sequence[str] = ()) -> Figure:
    """Draw rows of pictures, each with its name beside it.

    Args:
        rows: Name → images (H, W, 3), uint8 or float, 0–255.
        titles: One above each column; none by default.
    """
    need_some("rows", rows)
    columns = max(len(images) for images in rows.values())
    if titles:
        need_equal("columns", columns, "titles", len(titles))
    cell = min(1.0, (WIDTH - 1.4) / columns)
    height = len(rows) * (cell + 0.08) + 0.15 + 0.2 * bool(titles)
    figure = new_figure(height, 1.4 + columns * cell, compressed=True)
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(panels, rows.items(), strict=True):
        for axes in line[len(images) :]:
            axes.set_axis_off()
        for axes, image in zip(line, images, strict=False):
            show_image(axes, displayed(image))
        line[0].set_ylabel(fitted(name, 18, 3), rotation=0, ha="right", va="center", labelpad=6)
    for axes, title in zip(panels[0], titles, strict=False):
        axes.set_title(fitted(title, 12), loc="center", weight="normal", fontsize=8)
    return figure


@styled
def depth_profile(stages: pd.DataFrame) -> Figure:
    """Draw what changes from stage to stage, beside the same network with randomized weights.

    Args:
        stages: A row a stage with selective, probe and on_object; beside them, where known,
            chance_on_object, randomized_selective and randomized_probe, and the limits of any but
            chance (probe_low, randomized_probe_high, …), drawn as a band; shares, 0–1, nan where
            unknown; what is unknown for all has no panel.
    """
    need_some("stages", stages)
    places = np.arange(len(stages))
    figure = new_figure(2.9)
    names = {
        "selective": "orientation-selective channels",
        "probe": "accuracy of a linear probe",
        "on_object": "top patches on the object",
    }
    names = {column: title for column, title in names.items() if stages[column].notna().any()}
    need_some("known columns", names)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    lines = {"": ("o-", GOOD, "trained"), "randomized_": ("s--", BAD, "weights randomized")}
    for axes, (column, title) in zip(panels, names.items(), strict=True):
        for kind, (form, color, label) in lines.items():
            name = kind + column
            if name in stages:
                axes.plot(places, stages[name], form, color=color, label=label, clip_on=False)
            if f"{name}_low" in stages:
                low, high = stages[f"{name}_low"], stages[f"{name}_high"]
                axes.fill_between(places, low, high, color=color, alpha=0.2, lw=0)
        if f"chance_{column}" in stages:
            axes.plot(places, stages[f"chance_{column}"], ":", color=INK, label="by chance")
        axes.set_title(title)
        axes.set_xticks(places, places + 1)
        axes.set(xlabel="stage", ylim=(0, 1), xlim=(-0.3, len(stages) - 0.7))
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axes.grid(axis="y")
    panels[0].set_ylabel("share")
    named = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=3)
    return figure


@styled
def embedding_map(points: np.ndarray, labels: Sequence[str], images: Images) -> Figure:
    """Draw a map of embeddings: a dot an image in the colour of its class, some as thumbnails.

    Args:
        points: float (N, 2).
        labels: N class names.
        images: N images (H, W, 3), uint8 or float, 0–255; those are shown that do not overlap.
    """
    points = np.asarray(points, float)
    need_some("points", points)
    need_equal("points", len(points), "labels", len(labels))
    need_equal("points", len(points), "images", len(images))
    figure = new_figure(5.6)
    axes = figure.subplots()
    colours = {}
    for position, name in enumerate(sorted(set(labels))):
        rows = np.flatnonzero(np.asarray(labels) == name)
        colours[name] = colour = series_style(position)["color"]
        marker = "osD^vP"[position // 6 % 6]
        x, y = points[rows].T
        axes.scatter(x, y, s=14, color=colour, marker=marker, label=fitted(name, 20, 1))
    span = np.maximum(np.ptp(points, axis=0), 1e-9)
    shown: list[np.ndarray] = []
    for row, place in enumerate((points - points.min(axis=0)) / span):
        if all(np.abs((place - other) * (1, 0.75)).max() > 0.065 for other in shown):
            shown.append(place)
            side = np.shape(images[row])[0]
            picture = OffsetImage(displayed(images[row]), zoom=20 / side)
            frame = {"edgecolor": colours[labels[row]], "linewidth": 1.4, "boxstyle": "square"}
            box = AnnotationBbox(picture, points[row], pad=0.12, bboxprops=frame)
            axes.add_artist(box)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel("distances between groups mean nothing", color=FAINT, fontsize=8.5)
    axes.margins(0.06)
    figure.legend(loc="outside upper left", ncols=min(6, len(set(labels))))
    return figure

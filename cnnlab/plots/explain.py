"""Pictures of what the network looks at: heatmaps over images, filters, activations."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from cnnlab.plots.images import aspect, fitted_titles
from cnnlab.plots.style import (
    DIVERGING,
    FAINT,
    HEAT,
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


def heatmap_overlay(image: np.ndarray, heatmap: np.ndarray, alpha: float = 0.55) -> np.ndarray:
    """Return an image with a heatmap laid over it.

    Args:
        image: (H, W, 3), uint8 or float, 0–255.
        heatmap: float (H, W), 0–1; clipped.
        alpha: Weight of the heatmap's colours, 0 (image only) to 1 (colours only).

    Returns:
        uint8 (H, W, 3); the inputs are untouched.

    Raises:
        ValueError: The sizes differ, or alpha is out of range.

    Example:
        >>> heatmap_overlay(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2)), 0.0).max()
        np.uint8(0)
    """
    base, heat = displayed(image), np.asarray(heatmap, dtype=np.float32)
    if heat.shape != base.shape[:2]:
        raise ValueError(f"heatmap has shape {heat.shape}: expected the image's {base.shape[:2]}.")
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha={alpha} is out of range: expected 0 to 1.")
    colours = matplotlib.colormaps[HEAT](np.clip(heat, 0, 1))[..., :3] * 255
    return np.rint((1 - alpha) * base + alpha * colours).astype(np.uint8)


@styled
def cam_grid(
    images: Images,
    heatmaps: Mapping[str, np.ndarray],
    titles: Sequence[str] | None = None,
) -> Figure:
    """Draw images in columns: the original on top, below it one row for each method's overlay.

    Args:
        images: B images (H, W, 3), uint8 or float, 0–255.
        heatmaps: Method → float (B, H, W), 0–1.
        titles: One above each column, such as "true: boot\\npredicted: shoe 0.62".
    """
    need_some("images", images)
    if titles is not None:
        need_equal("images", len(images), "titles", len(titles))
    for method, maps in heatmaps.items():
        need_equal("images", len(images), f"heatmaps of {method!r}", len(maps))
    rows = [("original", [displayed(image) for image in images])]
    for method, maps in heatmaps.items():
        pairs = zip(images, maps, strict=True)
        rows.append((method, [heatmap_overlay(image, heat) for image, heat in pairs]))
    cell = min(1.6, (WIDTH - 1.6) / len(images))
    names, points, room = fitted_titles(titles, len(images), cell - 0.02, lines=4)
    height = len(rows) * (cell * aspect(images) + 0.06) + room + 0.15
    figure = new_figure(height, 1.6 + cell * len(images), compressed=True)
    panels = figure.subplots(len(rows), len(images), squeeze=False)
    for line, (method, pictures) in zip(panels, rows, strict=True):
        for axes, picture in zip(line, pictures, strict=True):
            show_image(axes, picture)
        line[0].set_ylabel(fitted(method, 11), rotation=0, ha="right", va="center", labelpad=6)
    for axes, name in zip(panels[0], names, strict=True):
        axes.set_title(name, fontsize=points, weight="normal", loc="center", pad=4)
    if heatmaps:
        scale = ScalarMappable(matplotlib.colors.Normalize(0, 1), HEAT)
        bar = figure.colorbar(scale, ax=panels[1:], ticks=[0, 1], aspect=30, pad=0.015)
        bar.set_ticklabels(["none", "most"])  # of each map's own: scales differ between maps
        bar.set_label("evidence", labelpad=-12)
        bar.outline.set_visible(False)
    return figure


@styled
def filter_grid(filters: np.ndarray) -> Figure:
    """Draw a layer's filters.

    Filters over three channels are shown as colours, each stretched to its own range; deeper ones
    as the mean over their input channels, blue below and red above zero.

    Args:
        filters: float (kh, kw, in, out).
    """
    array = np.asarray(filters, dtype=np.float32)
    if array.ndim != 4 or array.shape[3] == 0:
        raise ValueError(f"filters have shape {array.shape}: expected (kh, kw, in, out).")
    count = array.shape[3]
    columns = min(count, 8 if count <= 32 else 16)
    rows = -(-count // columns)
    cell = min(0.9, WIDTH / columns)
    figure = new_figure(rows * (cell + 0.06) + 0.1, columns * cell, compressed=True)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    limit = max(float(np.abs(array.mean(axis=2)).max()), 1e-12)
    for position, axes in enumerate(panels):
        if position >= count:
            axes.set_axis_off()
            continue
        one = array[..., position]
        if array.shape[2] == 3:
            show_image(axes, _stretched(one))
        else:
            show_image(axes, one.mean(axis=2), cmap=DIVERGING, vmin=-limit, vmax=limit)
        axes.set_title(f"{position}", fontsize=7, weight="normal", color=FAINT, pad=2)
    return figure


def _stretched(one: np.ndarray) -> np.ndarray:
    """Return an array stretched to 0–1 over its own range; a constant one becomes mid-grey."""
    low, high = float(one.min()), float(one.max())
    return (one - low) / (high - low) if high > low else np.full_like(one, 0.5)


@styled
def activation_grid(
    activations: Mapping[str, np.ndarray], image: np.ndarray, channels: int = 7
) -> Figure:
    """Draw an image and, one row a layer, the maps of the channels that it excites most.

    Channels are ordered by their mean activation; all maps of a row share one scale, from 0 to
    the row's highest value.

    Args:
        activations: Layer → float (H, W, K) for this image.
        image: (H, W, 3), uint8 or float, 0–255.
        channels: Maps a row, at most.
    """
    need_some("layers", activations)
    channels = min(channels, max(np.shape(maps)[-1] for maps in activations.values()))
    label, wide = 1.25, 1.3
    cell = min(1.2, (WIDTH - label - wide) / channels)
    figure = new_figure(
        max(len(activations) * (cell + 0.24), wide + 0.4) + 0.1, label + wide + channels * cell
    )
    ratios = [wide, *[cell] * channels]
    grid = figure.add_gridspec(len(activations), channels + 1, width_ratios=ratios)
    first = figure.add_subplot(grid[:, 0])
    show_image(first, displayed(image))
    first.set_title("input", loc="center")
    for row, (layer, values) in enumerate(activations.items()):
        maps = np.asarray(values, dtype=np.float32)
        if maps.ndim != 3:
            raise ValueError(f"maps of {layer!r} have shape {maps.shape}: expected (H, W, K).")
        order = np.argsort(-maps.mean(axis=(0, 1)), kind="stable")[:channels]
        top = max(float(maps[..., order].max()), 1e-12)
        for column, channel in enumerate(order):
            axes = figure.add_subplot(grid[row, column + 1])
            show_image(axes, maps[..., channel], cmap=HEAT, vmin=0, vmax=top)
            axes.set_title(
                f"{channel}", fontsize=7, weight="normal", color=FAINT, loc="center", pad=2
            )
            if column == 0:
                size = "×".join(map(str, maps.shape))
                name = f"{fitted(layer, 14)}\n{size}"
                axes.set_ylabel(name, rotation=0, ha="right", va="center", labelpad=6, fontsize=8.5)
    return figure

"""Pictures made of images: galleries, pairs side by side, what augmentation does to one image."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from cnnlab.plots.style import (
    BAD,
    GOOD,
    RULE,
    WIDTH,
    Images,
    displayed,
    fitted,
    need_equal,
    need_some,
    new_figure,
    show_image,
    styled,
    wrapped,
)

_CHARACTER = 0.58  # mean width of DejaVu Sans' letters, as a share of the font size
_POINTS = (8.0, 7.5, 7.0, 6.5)


def fitted_titles(
    titles: Sequence[str] | None, count: int, inches: float, lines: int = 2
) -> tuple[list[str], float, float]:
    """Fit titles into columns: the largest font that cuts no word, else the smallest and an ….

    Returns:
        The titles (``count`` empty ones for None), their font size in points, and the height in
        inches that the tallest needs.
    """
    if titles is None:
        return [""] * count, _POINTS[0], 0.0
    for points in _POINTS:
        room = int(inches * 72 / (points * _CHARACTER))
        words = [word for title in titles for word in str(title).replace("-", " ").split()]
        tallest = max(len(wrapped(title, room)) for title in titles)
        if tallest <= lines and all(len(word) <= room for word in words):
            break
    names = [fitted(title, room, lines) for title in titles]
    return names, points, min(tallest, lines) * points * 1.25 / 72


def aspect(images: Images) -> float:
    """Return the largest height ÷ width among the images, at most 2."""
    return min(2.0, max(np.shape(image)[0] / np.shape(image)[1] for image in images))


@styled
def image_grid(
    images: Images,
    titles: Sequence[str] | None = None,
    columns: int = 6,
    borders: Sequence[bool | str | None] | None = None,
) -> Figure:
    """Draw images in rows, in the order given.

    Args:
        images: (H, W, 3) each, uint8 or float, 0–255; sizes may differ.
        titles: One above each image; wrapped to two lines and shortened to its width.
        columns: Images a row.
        borders: One frame each: True (right, blue), False (wrong, orange-red), a colour, or None.
    """
    need_some("images", images)
    for what, values in (("titles", titles), ("borders", borders)):
        if values is not None:
            need_equal("images", len(images), what, len(values))
    columns = max(1, min(columns, len(images)))
    cell = min(WIDTH / columns, 1.9)
    names, points, room = fitted_titles(titles, len(images), cell - 0.04)
    rows = -(-len(images) // columns)
    height = rows * ((cell - 0.1) * aspect(images) + 0.15 + room)
    figure = new_figure(height, cell * columns)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for position, (axes, image, name) in enumerate(zip(panels, images, names, strict=False)):
        border = borders[position] if borders is not None else None
        colour = {True: GOOD, False: BAD}[border] if isinstance(border, bool | np.bool_) else border
        show_image(axes, displayed(image), colour)
        axes.set_title(name, fontsize=points, weight="normal", loc="center", pad=3)
    for axes in panels[len(images) :]:
        axes.set_axis_off()
    return figure


@styled
def image_pairs(
    left: Images,
    right: Images,
    captions: Sequence[str],
) -> Figure:
    """Draw pairs of images side by side, a caption above each pair: a gallery of duplicates.

    Args:
        left: N images (H, W, 3), uint8 or float, 0–255.
        right: N images; sizes may differ from the left ones.
        captions: One a pair; wrapped to at most three lines.
    """
    need_some("pairs", left)
    need_equal("left images", len(left), "right images", len(right))
    need_equal("pairs", len(left), "captions", len(captions))
    columns = min(3, len(left))
    rows = -(-len(left) // columns)
    cell = WIDTH / 3
    names, points, room = fitted_titles(captions, len(left), cell - 0.25, lines=3)
    lines = max(name.count("\n") for name in names)  # the same for all, so that rows align
    tall = max(aspect(list(left)), aspect(list(right)))
    figure = new_figure(rows * (cell / 2 * tall + 0.2 + room), cell * columns)
    blocks = figure.subfigures(rows, columns, squeeze=False).ravel()
    for block, first, second, name in zip(blocks, left, right, names, strict=False):
        for axes, image in zip(block.subplots(1, 2), (first, second), strict=True):
            show_image(axes, displayed(image))
            axes.set_anchor("N")
        block.suptitle(name + "\n" * (lines - name.count("\n")), fontsize=points)
    return figure


@styled
def fits(images: Images, widths: Sequence[int], heights: Sequence[int]) -> Figure:
    """Draw what three ways of making an image square do to it, one row an image.

    Args:
        images: N images (S, S, 3), uint8 or float, 0–255, stretched to a square.
        widths: N widths in pixels from before, upright; only the ratio to the height counts.
        heights: N heights.
    """
    need_some("images", images)
    need_equal("images", len(images), "widths", len(widths))
    need_equal("images", len(images), "heights", len(heights))
    figure = new_figure(0.3 + 1.75 * len(images), 7.4)
    panels = figure.subplots(len(images), 4, squeeze=False)
    for row, image, width, height in zip(panels, images, widths, heights, strict=True):
        x, y = width / max(width, height), height / max(width, height)
        whole, short = (-x / 2, x / 2, -y / 2, y / 2), min(x, y) / 2
        for axes in row:
            show_image(axes, displayed(image), RULE, extent=whole, aspect="equal")
            axes.set(xlim=(-0.5, 0.5), ylim=(-0.5, 0.5))
        original, stretched, _, cropped = row
        original.set(xlim=whole[:2], ylim=whole[2:])
        stretched.images[0].set_extent((-0.5, 0.5, -0.5, 0.5))
        cropped.set(xlim=(-short, short), ylim=(-short, short))
        original.set_ylabel(f"{width} × {height}", fontsize=8)
    for axes, name in zip(panels[0], ("as it is", "stretch", "pad", "crop"), strict=True):
        axes.set_title(name, loc="center")
    return figure


@styled
def augmentation_grid(original: np.ndarray, rows: Mapping[str, Images]) -> Figure:
    """Draw an image and, beside it, one row of its variants under each transform.

    Args:
        original: (H, W, 3), uint8 or float, 0–255.
        rows: Name of the transform → its variants, the same number in every row.
    """
    need_some("rows", rows)
    columns = len(next(iter(rows.values())))
    for name, images in rows.items():
        need_equal(f"images in row {name!r}", len(images), "in the first row", columns)
        need_some(f"images in row {name!r}", images)
    shape = aspect([original])
    label = 1.05
    cell = min(1.5, (WIDTH - label) / (columns + 1.45))
    wide = 1.45 * cell
    figure = new_figure(
        max(len(rows) * (cell * shape + 0.08), wide * shape + 0.4), label + wide + cell * columns
    )
    grid = figure.add_gridspec(len(rows), columns + 1, width_ratios=[wide, *[cell] * columns])
    first = figure.add_subplot(grid[:, 0])
    show_image(first, displayed(original))
    first.set_title("original", loc="center")
    for row, (name, images) in enumerate(rows.items()):
        for column, image in enumerate(images):
            axes = figure.add_subplot(grid[row, column + 1])
            show_image(axes, displayed(image))
            if column == 0:
                axes.set_ylabel(fitted(name, 12), rotation=0, ha="right", va="center", labelpad=6)
    return figure

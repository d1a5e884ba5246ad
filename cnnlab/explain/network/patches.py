"""The pieces of real images that excite a channel most, as large as what it sees of an image.

A piece is never larger than the image, however much of it the channel sees. Where that is not
regular, whole images stand for the pieces.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain import layers
from cnnlab.explain.network import features
from cnnlab.explain.network.receptive_field import Axis, ReceptiveField, receptive_field

GREY = 128  # beyond the edge of an image


@dataclass(frozen=True)
class Patches:
    """The strongest patches of some channels of one layer.

    Attributes:
        channels: int (C,), the channels shown.
        rows: int (C, n), the image each patch comes from.
        centres: float (C, n, 2), x and y of its middle, in pixels of the image.
        pictures: uint8 (C, n, h, w, 3), grey beyond the edge of the image.
        possible: float (P, 2), the middles of all places where a patch could have been.
    """

    channels: np.ndarray
    rows: np.ndarray
    centres: np.ndarray
    pictures: np.ndarray
    possible: np.ndarray


def strongest(
    model: keras.Model, images: np.ndarray, layer: str, *, channels: int = 6, count: int = 6
) -> Patches:
    """Return the patches that excite a layer's channels most, at most one from an image.

    The channels are those whose strongest answers stand out most from their usual ones. The
    outermost ring of places is left out: what excites it is often the padding, not the image.

    Args:
        model: As for ``receptive_field``.
        images: uint8 (N, H, W, 3), RGB, 0…255.
        layer: Path of a layer with maps.
        channels: How many channels, at most.
        count: How many patches of each, at most.

    Raises:
        InputError: There are no images or they do not fit, nothing is asked for, or the layer has
            no maps.
    """
    return of_layers(model, images, [layer], channels=channels, count=count)[layer]


def of_layers(
    model: keras.Model,
    images: np.ndarray,
    layer_names: Sequence[str],
    *,
    channels: int = 6,
    count: int = 6,
) -> dict[str, Patches]:
    """Return ``strongest`` of several layers, from one pass over the images: layer → patches."""
    if min(channels, count) < 1:
        raise InputError(f"{channels} channels, {count} patches: expected 1 or more of each.")
    if not len(layers.image_batch(model, images[:1])):
        raise InputError("No images to find patches in: expected at least one.")
    peaks = features.reduced(model, images, layer_names, lambda maps, _: _peaks(maps))
    first = features.activations(model, images[:1], layer_names)
    return {
        name: _chosen(
            images, found, _field(model, name, images.shape[1:3]), first[name].shape[1:3],
            channels, count,
        )
        for name, found in peaks.items()
    }  # fmt: skip


def _chosen(
    images: np.ndarray,
    found: np.ndarray,
    field: ReceptiveField,
    sides: tuple[int, int],
    channels: int,
    count: int,
) -> Patches:
    """Return the patches of one layer.

    Args:
        images: uint8 (N, H, W, 3).
        found: float (N, K, 3), from ``_peaks``.
        field: What a place of the layer sees.
        sides: Height and width of its maps.
        channels: How many channels, at most.
        count: How many patches of each, at most.
    """
    values = found[..., 0]
    top = -np.sort(-values, axis=0)[:count].mean(axis=0)  # (K,)
    usual = values.std(axis=0)
    stands_out = np.divide(top - values.mean(axis=0), usual, out=0 * usual, where=usual > 0)
    chosen = np.argsort(-stands_out, kind="stable")[:channels]
    rows = np.argsort(-values[:, chosen], axis=0, kind="stable")[:count].T  # (C, n)
    places = found[rows, chosen[:, None], 1:].astype(np.int64)  # (C, n, 2): row, column
    starts = [axis.start + axis.step * places[..., i] for i, axis in enumerate(field.axes)]
    middles = [start + axis.size / 2 for start, axis in zip(starts, field.axes, strict=True)]
    shown = [min(axis.size, side) for axis, side in zip(field.axes, images.shape[1:3], strict=True)]
    tops, lefts = (
        start + (axis.size - side) // 2
        for start, axis, side in zip(starts, field.axes, shown, strict=True)
    )
    pictures = _cut(images, rows, tops, lefts, shown)
    lines = [
        axis.start + axis.step * np.arange(length)[features.inner(length)] + axis.size / 2
        for axis, length in zip(field.axes, sides, strict=True)
    ]
    possible = np.stack(np.meshgrid(lines[1], lines[0]), axis=-1).reshape(-1, 2)
    return Patches(chosen, rows, np.stack(middles[::-1], axis=-1), pictures, possible)


def _field(model: keras.Model, layer: str, size: tuple[int, int]) -> ReceptiveField:
    """Return what a layer sees; where that is not regular, the same whole image everywhere."""
    try:
        return receptive_field(model, layer, size)
    except InputError:
        return ReceptiveField(Axis(size[0], 0), Axis(size[1], 0))


def share_on_object(patches: Patches, boxes: np.ndarray) -> float:
    """Return the share of patches whose middle lies in the true box of their image.

    Args:
        patches: From ``strongest``.
        boxes: float (N, 4), left, top, right, bottom of each of its images; nan where unknown.

    Returns:
        0…1 over the patches of images with a box; nan if there are none.
    """
    return _share_inside(patches.centres, np.asarray(boxes)[patches.rows])


def chance_on_object(patches: Patches, boxes: np.ndarray) -> float:
    """Return ``share_on_object`` of patches anywhere: deep layers have places in the middle only.

    Arguments and result are those of ``share_on_object``.
    """
    return _share_inside(patches.possible[None], np.asarray(boxes)[:, None])


def _share_inside(points: np.ndarray, boxes: np.ndarray) -> float:
    x, y = np.moveaxis(points, -1, 0)
    sides = np.moveaxis(boxes, -1, 0)  # (4, …)
    inside = (sides[0] <= x) & (x < sides[2]) & (sides[1] <= y) & (y < sides[3])
    known = np.broadcast_to(np.isfinite(sides).all(axis=0), inside.shape)
    return float(inside[known].mean()) if known.any() else float("nan")


def _peaks(maps: np.ndarray) -> np.ndarray:
    """Return each channel's highest value, its row and its column: (b, h, w, K) → (b, K, 3)."""
    if maps.ndim != 4:
        raise InputError(f"The layer gives {maps.shape}: expected maps (b, h, w, K).")
    rows, columns = (features.inner(length) for length in maps.shape[1:3])
    inner = maps[:, rows, columns]
    flat = inner.reshape(len(maps), -1, maps.shape[-1])
    row, column = np.divmod(flat.argmax(axis=1), inner.shape[2])
    first = (rows.start, columns.start)
    return np.stack([flat.max(axis=1), row + first[0], column + first[1]], axis=-1)


def _cut(
    images: np.ndarray,
    rows: np.ndarray,
    tops: np.ndarray,
    lefts: np.ndarray,
    size: Sequence[int],
) -> np.ndarray:
    """Return pieces of some images: uint8 (…, height, width, 3), of rows, tops and lefts (…)."""
    y = (tops[..., None] + np.arange(size[0]))[..., :, None]
    x = (lefts[..., None] + np.arange(size[1]))[..., None, :]
    height, width = images.shape[1:3]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    pieces = images[rows[..., None, None], y.clip(0, height - 1), x.clip(0, width - 1)]
    return np.where(inside[..., None], pieces, GREY)

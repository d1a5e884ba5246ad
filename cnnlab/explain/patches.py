"""The pieces of real images that excite a channel most, as large as what it sees of an image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import features, layers
from cnnlab.explain.layers import Call

GREY = 128  # beyond the edge of an image


@dataclass(frozen=True)
class Field:
    """What a layer's places see of the image, along one axis, in pixels.

    Place i sees ``size`` pixels from ``start + i · step`` on; part of them may lie outside.
    """

    size: int = 1
    step: int = 1
    start: int = 0


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


def receptive_fields(model: keras.Model, layer: str, size: int) -> tuple[Field, Field]:
    """Return what a layer sees along the height and the width, from the layers before it.

    Args:
        model: A model of convolutions, pooling and layers that keep every place where it is.
        layer: Path of a layer with maps.
        size: Pixels a side of the image.

    Raises:
        InputError: The layer sees the image in no such regular way.
    """
    wanted, known = layers.find(model, layer), {}
    found: list[tuple[Field, Field]] = []
    image = tf.zeros((1, size, size, 3))
    known[id(image)] = (Field(), Field())
    kept = [image]  # so that no other tensor gets its id

    def seen(call: Call) -> None:
        before = [known.get(id(tensor)) for tensor in call.inputs]
        kept.append(call.output)
        if len(call.output.shape) == 4 and before and None not in before:
            known[id(call.output)] = tuple(  # type: ignore[assignment]
                _after(call, [pair[axis] for pair in before if pair], axis) for axis in (0, 1)
            )
        if call.operation is wanted and id(call.output) in known:
            found.append(known[id(call.output)])

    layers.run(model, image, seen)
    if not found:
        raise InputError(
            f"Layer {layer!r} has no regular receptive field: expected one with maps (h, w, K) "
            "behind convolutions, pooling and layers that move nothing."
        )
    return found[-1]


def _after(call: Call, before: list[Field], axis: int) -> Field:
    """Return the field behind an operation that sees ``before``, the union of several inputs."""
    start, steps = min(field.start for field in before), {field.step for field in before}
    size = max(field.start + field.size for field in before) - start
    operation, length = call.operation, int(call.inputs[0].shape[axis + 1])
    kernel = _pair(operation, "kernel_size", "pool_size")[axis]
    stride = _pair(operation, "strides")[axis]
    reach = (kernel - 1) * _pair(operation, "dilation_rate")[axis] + 1
    padded = 0
    if getattr(operation, "padding", "valid") == "same":
        padded = max((-(-length // stride) - 1) * stride + reach - length, 0) // 2
    if isinstance(operation, keras.layers.ZeroPadding2D):
        padded = operation.padding[axis][0]
    elif len(steps) > 1 or (kernel == 1 == stride and call.output.shape[axis + 1] != length):
        raise InputError(f"Layer {operation.name!r} moves places: it has no receptive field.")
    step = steps.pop()
    return Field(size + (reach - 1) * step, step * stride, start - padded * step)


def _pair(operation: Any, *names: str) -> tuple[int, int]:
    value = next((getattr(operation, name) for name in names if hasattr(operation, name)), 1)
    return (value, value) if isinstance(value, int) else tuple(value)


def strongest(
    model: keras.Model, images: np.ndarray, layer: str, *, channels: int = 6, count: int = 6
) -> Patches:
    """Return the patches that excite a layer's channels most, at most one from an image.

    The channels are those whose strongest answers stand out most from their usual ones. The
    outermost ring of places is left out: what excites it is often the padding, not the image.

    Args:
        model: As for ``receptive_fields``.
        images: uint8 (N, H, W, 3), RGB, 0…255.
        layer: Path of a layer with maps.
        channels: How many channels, at most.
        count: How many patches of each, at most.
    """
    height, width = receptive_fields(model, layer, images.shape[1])
    found = features.reduced(model, images, [layer], _peaks)[layer]  # (N, K, 3)
    values = found[..., 0]
    top = -np.sort(-values, axis=0)[:count].mean(axis=0)  # (K,)
    usual = values.std(axis=0)
    stands_out = np.divide(top - values.mean(axis=0), usual, out=0 * usual, where=usual > 0)
    chosen = np.argsort(-stands_out, kind="stable")[:channels]
    rows = np.argsort(-values[:, chosen], axis=0, kind="stable")[:count].T  # (C, n)
    places = found[rows, chosen[:, None], 1:].astype(np.int64)  # (C, n, 2): row, column
    tops, lefts = (
        field.start + field.step * places[..., axis] for axis, field in enumerate((height, width))
    )
    centres = np.stack([lefts + width.size / 2, tops + height.size / 2], axis=-1)
    pictures = _cut(images[rows], tops, lefts, height.size, width.size)
    sides = features.activations(model, images[:1], [layer])[layer].shape[1:3]
    lines = [
        field.start + field.step * np.arange(length)[_inner(length)] + field.size / 2
        for field, length in zip((height, width), sides, strict=True)
    ]
    possible = np.stack(np.meshgrid(lines[1], lines[0]), axis=-1).reshape(-1, 2)
    return Patches(chosen, rows, centres, pictures, possible)


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
    rows, columns = (_inner(length) for length in maps.shape[1:3])
    inner = maps[:, rows, columns]
    flat = inner.reshape(len(maps), -1, maps.shape[-1])
    row, column = np.divmod(flat.argmax(axis=1), inner.shape[2])
    first = (rows.start, columns.start)
    return np.stack([flat.max(axis=1), row + first[0], column + first[1]], axis=-1)


def _inner(length: int) -> slice:
    """Return a line without its first and last place, where any others are left."""
    return slice(1, length - 1) if length > 2 else slice(0, length)


def _cut(
    images: np.ndarray, tops: np.ndarray, lefts: np.ndarray, height: int, width: int
) -> np.ndarray:
    """Return pieces of images (…, H, W, 3): uint8 (…, height, width, 3)."""
    border = ((height, height), (width, width), (0, 0))
    pieces = [
        np.pad(image, border, constant_values=GREY)[
            top + height : top + 2 * height, left + width : left + 2 * width
        ]
        for image, top, left in zip(
            images.reshape(-1, *images.shape[-3:]), tops.ravel(), lefts.ravel(), strict=True
        )
    ]
    return np.stack(pieces).reshape(*tops.shape, height, width, 3)

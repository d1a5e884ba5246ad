"""The pieces of real images that excite a channel most, as large as what it sees of an image."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import layers
from cnnlab.explain.layers import Call
from cnnlab.explain.network import features

GREY = 128  # beyond the edge of an image
MOVERS = (keras.layers.Conv2DTranspose, keras.layers.Permute)  # whatever their strides say


@dataclass(frozen=True)
class Field:
    """What a layer's places see of the image, along one axis, in pixels.

    Place i sees ``size`` pixels from ``start + i · step`` on; part of them may lie outside.
    """

    size: int = 1
    step: int = 1
    start: int = 0


# What a tensor sees along the height and the width, or why that is unknown.
Sight = tuple[Field, Field] | str


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


def receptive_fields(
    model: keras.Model, layer: str, size: int | tuple[int, int]
) -> tuple[Field, Field]:
    """Return what a layer sees along the height and the width, from the layers before it.

    Args:
        model: A model of convolutions, pooling and layers that keep every place where it is.
        layer: Path of a layer with maps.
        size: Height and width of the image in pixels; one number if it is square.

    Raises:
        InputError: The model takes no such image, or the layer does not see it in a regular way.
    """
    inputs = getattr(model, "inputs", None)
    colours = (inputs[0].shape[-1] if inputs else None) or 3
    black = np.zeros((1, *np.broadcast_to(size, 2), colours), np.uint8)
    image = tf.constant(layers.image_batch(model, black))
    wanted = layers.find(model, layer)
    known: dict[int, Sight] = {id(image): (Field(), Field())}
    found: list[Sight] = [""]
    kept = [image]  # so that no other tensor gets its id

    def seen(call: Call) -> None:
        kept.append(call.output)
        sight = _behind(call, [known.get(id(tensor), "") for tensor in call.inputs])
        known[id(call.output)] = sight
        if call.operation is wanted:
            found.append(sight)

    layers.run(model, image, seen)
    sight = found[-1]
    if isinstance(sight, str):
        raise InputError(
            f"Layer {layer!r} has no regular receptive field{sight}: expected one with maps "
            "(h, w, K) behind convolutions, pooling and layers that move nothing."
        )
    return sight


def _behind(call: Call, before: list[Sight]) -> Sight:
    """Return what is seen behind an operation, given what each of its inputs sees."""
    reasons = [sight for sight in before if isinstance(sight, str)]
    if reasons or not before or len(call.output.shape) != 4:
        return max(reasons, default="")
    both = [sight for sight in before if not isinstance(sight, str)]
    height, width = (_after(call, [pair[axis] for pair in both], axis) for axis in (0, 1))
    if height is None or width is None:
        return f", because layer {call.operation.name!r} moves places"
    return height, width


def _after(call: Call, before: list[Field], axis: int) -> Field | None:
    """Return the field behind an operation that sees ``before``, the union of several inputs.

    None if it moves places: if place i of it does not lie over place i · stride of its inputs.
    """
    start, steps = min(field.start for field in before), {field.step for field in before}
    size = max(field.start + field.size for field in before) - start
    operation, length = call.operation, int(call.inputs[0].shape[axis + 1])
    lengths = {length, *(int(tensor.shape[axis + 1]) for tensor in call.inputs)}
    kernel = _pair(operation, "kernel_size", "pool_size")[axis]
    stride = _pair(operation, "strides", "pool_size")[axis]
    reach = (kernel - 1) * _pair(operation, "dilation_rate")[axis] + 1
    padded = 0
    if getattr(operation, "padding", "valid") == "same":
        padded = max((-(-length // stride) - 1) * stride + reach - length, 0) // 2
    if isinstance(operation, keras.layers.ZeroPadding2D):
        padded = operation.padding[axis][0]
    elif kernel == 1 == stride:
        lengths.add(int(call.output.shape[axis + 1]))
    if len(steps) > 1 or len(lengths) > 1 or isinstance(operation, MOVERS):
        return None
    step = steps.pop()
    return Field(size + (reach - 1) * step, step * stride, start - padded * step)


def _pair(operation: Any, *names: str) -> tuple[int, int]:
    values = (getattr(operation, name, None) for name in names)
    value = next((value for value in values if value is not None), 1)
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

    Raises:
        InputError: There are no images or they do not fit, nothing is asked for, or the layer
            does not see an image in a regular way.
    """
    if min(channels, count) < 1:
        raise InputError(f"{channels} channels, {count} patches: expected 1 or more of each.")
    if not len(layers.image_batch(model, images[:1])):
        raise InputError("No images to find patches in: expected at least one.")
    height, width = receptive_fields(model, layer, images.shape[1:3])
    peaks = features.reduced(model, images, [layer], lambda maps, _: _peaks(maps))
    found = peaks[layer]  # (N, K, 3)
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
    pictures = _cut(images, rows, tops, lefts, (height.size, width.size))
    sides = features.activations(model, images[:1], [layer])[layer].shape[1:3]
    lines = [
        field.start + field.step * np.arange(length)[features.inner(length)] + field.size / 2
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
    size: tuple[int, int],
) -> np.ndarray:
    """Return pieces of some images: uint8 (…, height, width, 3), of rows, tops and lefts (…)."""
    y = (tops[..., None] + np.arange(size[0]))[..., :, None]
    x = (lefts[..., None] + np.arange(size[1]))[..., None, :]
    height, width = images.shape[1:3]
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    pieces = images[rows[..., None, None], y.clip(0, height - 1), x.clip(0, width - 1)]
    return np.where(inside[..., None], pieces, GREY)

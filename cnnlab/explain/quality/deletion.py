"""Deletion and insertion: the answer while an image vanishes, or comes back, by a heatmap's order.

If a map marks what the network uses, the probability falls soon when the marked pixels go first,
and rises soon when they come first.
"""

import math

import numpy as np
from scipy.ndimage import gaussian_filter

from cnnlab import hashing
from cnnlab.config import InputError, child_seed
from cnnlab.engine import keras, tf
from cnnlab.explain import execution, layers, maps, targets
from cnnlab.explain.targets import Target
from cnnlab.explain.traced import trace


def curves(
    model: keras.Model,
    images: np.ndarray,
    heatmaps: np.ndarray,
    *,
    target: Target = None,
    reference: np.ndarray | None = None,
    steps: int = 10,
    insert: bool = False,
    seed: int = 0,
    known: np.ndarray | None = None,
) -> np.ndarray:
    """Return the answers while pixels are replaced, the most relevant first.

    Args:
        model: As for ``cam.grad_cam``.
        images: uint8 or float32 (N, H, W, 3), RGB, 0…255.
        heatmaps: (N, H, W), numbers or bool, higher where it matters more. Only the order counts.
        target: The answer watched: as for ``cam.grad_cam``, but a class stands for the model's
            own output, usually a probability, and not for the score before softmax.
        reference: What replaces the pixels, 0…255, broadcast to the images; by default
            ``blurred(images)``, which takes the detail away and adds no edge.
        steps: Equal fractions of the image, from none to all of it.
        insert: Start from the reference and bring the image back, instead of taking it away.
        seed: Decides the order of pixels that the map holds equal, for each image by itself.
        known: From ``ends``, which saves two passes a call: all curves of an image share them.

    Returns:
        float32 (N, steps + 1): the answer after each fraction, first the untouched image (or
        the reference). An image's curve is the same alone and in company.

    Raises:
        InputError: The images, heatmaps or target do not fit, or steps is below 1.

    Source:
        Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box
        Models", BMVC 2018, algorithm 1. There deletion replaces by grey; a blur serves both here.
    """
    if steps < 1:
        raise InputError(f"steps={steps}: expected 1 or more.")
    images, order = checked(model, images, heatmaps, seed)
    given = None if reference is None else _spread(reference, images.shape)
    classes, function = targets.settle(model, target, images)
    found = np.empty((len(images), steps + 1), np.float32)
    for rows in maps.batches(len(images)):
        whole = images[rows]
        base = blurred(whole) if given is None else given[rows]
        first, then = (base, whole) if insert else (whole, base)
        for step in range(steps + 1):
            if known is not None and step in (0, steps):
                found[rows, step] = known[rows, int(insert == (step == 0))]
                continue
            changed = order[rows] < round(step / steps * order[0].size)
            mixed = np.where(changed[..., None], then, first)
            found[rows, step] = answers(model, mixed, function or classes[rows])
    return found


def ends(
    model: keras.Model, images: np.ndarray, reference: np.ndarray, *, target: Target = None
) -> np.ndarray:
    """Return the answers for the untouched images and for the reference: float32 (N, 2).

    All curves of an image begin or end there. Arguments and errors are those of ``curves``.
    """
    images = layers.image_batch(model, images)
    classes, function = targets.settle(model, target, images)
    both = images, _spread(reference, images.shape)
    return np.stack([answers(model, each, function or classes) for each in both], axis=1)


def areas(curves: np.ndarray) -> np.ndarray:
    """Return the area below each curve over the fraction of pixels: float (N, F) → float64 (N,).

    Trapezoidal; in the unit of the answer. Low is good for deletion, high for insertion.

    Example:
        >>> areas(np.array([[1.0, 0.0, 0.0]]))
        array([0.25])
    """
    curves = np.asarray(curves, np.float64)
    return (curves[:, 1:] + curves[:, :-1]).mean(axis=1) / 2


def blurred(images: np.ndarray) -> np.ndarray:
    """Return images without detail: Gaussian blur by an eighth of the shorter side, float32."""
    images = np.asarray(images, np.float32)
    width = min(images.shape[1:3]) / 8
    return gaussian_filter(images, (0, width, width, 0), mode="nearest")


def checked(
    model: keras.Model, images: np.ndarray, heatmaps: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the images as float32 and the rank of each pixel in its heatmap, 0 the most relevant.

    Pixels that a map holds equal, as all of an empty map, are ranked by chance.

    Raises:
        InputError: Images or heatmaps do not fit.
    """
    images = layers.image_batch(model, images)
    heatmaps = np.asarray(heatmaps, np.float64)  # bytes have no negatives to sort by
    if heatmaps.shape != images.shape[:3] or not np.isfinite(heatmaps).all():
        raise InputError(
            f"Heatmaps {heatmaps.shape} for images {images.shape}: expected finite numbers of "
            f"shape {images.shape[:3]}."
        )
    flat = heatmaps.reshape(len(images), math.prod(heatmaps.shape[1:]))
    chance = np.empty(flat.shape)
    for row, image in zip(chance, images, strict=True):
        row[:] = generator(seed, "ties", image).random(len(row))
    ranks = np.empty(flat.shape, np.int64)
    np.put_along_axis(ranks, np.lexsort((chance, -flat)), np.arange(flat.shape[1])[None], axis=1)
    return images, ranks.reshape(heatmaps.shape)


def generator(seed: int, purpose: str, image: np.ndarray) -> np.random.Generator:
    """Return the image's own source of chance, whatever else is in its batch and at which place.

    Args:
        seed: What all of it hangs on.
        purpose: What it is for, so that two draws for one image have nothing in common.
        image: float32 (H, W, C).
    """
    name = hashing.digest(image.tobytes())
    return np.random.default_rng(child_seed(seed, f"{purpose}/{name}"))


def answers(model: keras.Model, images: np.ndarray, target: Target) -> np.ndarray:
    """Return the model's own output for a class, or the function of the outputs: float32 (N,).

    Arguments and errors are those of ``targets.scores``.
    """
    images = layers.image_batch(model, images)
    classes, function = targets.settle(model, target, images)
    run = trace(
        model, function, ("answers", images.shape[1:]), _answered, targets.signature(images)
    )
    parts = [run(images[rows], classes[rows]) for rows in maps.batches(len(images))]
    found = np.concatenate([np.zeros(0, np.float32), *parts])
    if len(found) != len(images):
        raise InputError(
            f"The target function gives {len(found)} scores for {len(images)} images: expected "
            "one score per image, shape (B,)."
        )
    return found


def _answered(
    model: keras.Model,
    function: targets.Function | None,
    images: tf.Tensor,
    classes: tf.Tensor,
) -> tf.Tensor:
    """Return the answers float32 (b,): ops, to be traced."""
    output = execution.run(model, images, lambda call: None)
    if function is not None:
        return targets.score(output, [], classes, function)[0]
    return tf.gather(tf.cast(output, tf.float32), classes, batch_dims=1)


def _spread(reference: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.broadcast_to(np.asarray(reference, np.float32), shape)
    except ValueError:
        raise InputError(
            f"Reference {np.shape(reference)} for images {shape}: expected a shape that can be "
            "broadcast to theirs."
        ) from None

"""What each image is given: parameters by op, a function of (seed, epoch, image, op) alone."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from cnnlab.augment.registry import OPS
from cnnlab.augment.streams import uniform
from cnnlab.config import child_seed

# Op → the parameters of B images, (B, p), see ``Op.parameters``; a missing op does nothing.
Draw = dict[str, np.ndarray]

# The numbers an image takes of the stream that the first ops share; every other op has its own
# stream, so that naming one more op changes no draw of the others.
SHARED = 4


def draw(indices: ArrayLike, strengths: Mapping[str, float], *, seed: int, epoch: int) -> Draw:
    """Return one independent draw an image and op.

    Args:
        indices: int (B,), which image of the dataset each one is.
        strengths: Op → strength, see ``registry.strengths``.
        seed: The run's root seed.
        epoch: Which pass over the data; another epoch is another draw.

    Example:
        >>> draw([7], {"rotation": 20.0}, seed=0, epoch=1)["rotation"].shape
        (1, 1)
    """
    rows, stream = np.asarray(indices), f"augment/{epoch}"
    shared = uniform(child_seed(seed, stream), rows, SHARED)
    drawn = {}
    for name, strength in strengths.items():
        op = OPS[name]
        if op.shared is None:
            numbers = uniform(child_seed(seed, f"{stream}/{name}"), rows, op.numbers)
        else:
            numbers = shared[:, op.shared, None]
        drawn[name] = op.draw(numbers, strength)
    return drawn


def sweep(strengths: Mapping[str, float], count: int) -> Draw:
    """Return ``count`` draws that take each op evenly from one end of its range to the other.

    The first number of every op goes from 0 to 1; further ones are spread over [0, 1) (a Kronecker
    sequence: multiples of √2, √3, √5, …, modulo 1).
    """
    steps = np.arange(count)[:, None]
    roots = np.sqrt([2, 3, 5, 7, 11, 13])
    drawn = {}
    for name, strength in strengths.items():
        op = OPS[name]
        numbers = ((steps + 1) * roots[: op.numbers] % 1).astype(np.float32)
        numbers[:, :1] = steps / max(count - 1, 1)
        drawn[name] = op.draw(numbers, strength)
    return drawn

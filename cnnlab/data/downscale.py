"""Smaller pictures made of the prepared pixels, so that nothing is decoded again.

A small picture of a prepared one is not quite the picture prepared at that size, which is resized
once. So these are for a first look, a cheap rival or the early epochs of a training, never for what
a model is served or judged with.
"""

import numpy as np

from cnnlab.config import InputError

BLOCK = 256  # pictures reduced at a time: bounds the memory


def shrink(pixels: np.ndarray, rows: np.ndarray, side: int) -> np.ndarray:
    """Return some pictures at a smaller size, each pixel the mean of the area it stands for.

    Args:
        pixels: uint8 (N, S, S, 3), 0–255; a memory map is read block by block.
        rows: int (M,), the pictures wanted, in this order.
        side: Pixels a side, 1…S; S need not be a multiple.

    Returns:
        float32 (M, side, side, 3), 0–255.

    Raises:
        InputError: ``side`` is out of range.
    """
    size = pixels.shape[1]
    if not 1 <= side <= size:
        raise InputError(f"side={side}: expected 1 to {size}, the size of the prepared pixels.")
    shares = _shares(size, side)
    small = np.empty((len(rows), side, side, 3), np.float32)
    for start in range(0, len(rows), BLOCK):
        block = pixels[rows[start : start + BLOCK]].astype(np.float32)
        small[start : start + BLOCK] = np.einsum(
            "ai,bj,nijc->nabc", shares, shares, block, optimize=True
        )
    return small


def _shares(size: int, side: int) -> np.ndarray:
    """Return how much each of ``size`` pixels counts in each of ``side``: float32 (side, size)."""
    edges = np.linspace(0, size, side + 1)[:, None]
    begins = np.arange(size)
    overlap = np.minimum(edges[1:], begins + 1) - np.maximum(edges[:-1], begins)
    return (np.maximum(overlap, 0) * side / size).astype(np.float32)

"""Whether two pictures are copies, told by their pixels, in two ways.

*Sharp*: place by place, a date or watermark aside. Finds copies of another size, compression, or
brightness, as long as their fine structure is the same.

*Soft*: after a blur and aligned, so that copies that were shifted, cropped, turned a little,
blurred or compressed hard are found too. A blur hides small differences, so the limits are closer
and nothing is left aside.

What escapes both: copies that were mirrored, turned by more than 3°, shifted or cropped by more
than about 5 % of their side, framed, or reduced to grey, and those that lost much to white.
Mirrored and grey ones are left alone on purpose: a mirrored letter is another letter, and a black
shirt is not the grey version of a red one. How many are found of which kind:
``benchmarks/duplicates.py --recall``.
"""

from collections.abc import Callable

import numpy as np

from cnnlab.data.audit import alignment

SIDE = 64  # pixels a side at which two pictures are compared
CELL = 8  # pixels a side of the cells that must each agree
MIN_TEXTURE = 4.0  # grey levels; below, two pictures cannot be told apart and none is a copy
MIN_CORRELATION = 0.95
MAX_CELL_DIFFERENCE = 12.0  # grey levels, mean over a cell; copies stay below 4, others above 19
MARKED_CELLS = 2  # of 64 that may differ: a date, a watermark
GAIN = (0.6, 1.7)  # brightness or contrast factor between a picture and its copy
CLIPPED = (8, 247)  # grey levels; below and above, a value may have been cut off
MIN_KEPT = 0.3  # share of the values that two pictures must have kept to be told by them

SOFT_CORRELATION = 0.98
SOFT_CELL_DIFFERENCE = 10.0
NEARLY = 0.8  # correlation, blurred, below which two pictures are not worth aligning
MIN_INSIDE = 0.25  # of a cell that both pictures show; below, the cell is not compared
CHUNK = 16  # pairs at a time: their arrays stay in the processor's cache


def same_pictures(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Tell which pairs of pictures are copies.

    One gain and one offset for all channels are fitted to make one picture look like the other.
    What is left over must be small as a whole and in nearly every cell: two different objects
    before the same background agree in most places, but not where the objects are. Where too much
    light was cut off at white (or black), the fit asks only the values that survived.

    Args:
        first: uint8 (N, SIDE, SIDE, 3), RGB, 0–255.
        second: The same shape.

    Returns:
        bool (N,); the same if first and second change places.
    """
    same = np.zeros(len(first), bool)
    for start in range(0, len(first), CHUNK):
        part = np.s_[start : start + CHUNK]
        same[part] = _same(first[part], second[part])
    return same


def _same(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    kept = _unclipped(first), _unclipped(second)
    counts = [np.count_nonzero(each.reshape(len(each), -1), axis=1) for each in kept]
    sums = [each.sum(axis=(1, 2, 3), dtype=np.int64) for each in (first, second)]
    more = (counts[0] > counts[1]) | ((counts[0] == counts[1]) & (sums[0] > sums[1]))
    swap = more[:, None, None, None]  # what lost less to white or black can explain the other
    a = np.where(swap, second, first).astype(np.float32)
    b = np.where(swap, first, second).astype(np.float32)
    same = _explained(a, b)
    both = kept[0] & kept[1]
    share = both.mean(axis=(1, 2, 3))
    again = np.flatnonzero(~same & (share >= MIN_KEPT) & (share < 1))
    same[again] = _explained(a[again], b[again], both[again])
    other = np.flatnonzero(~same)
    same[other] = _softly(a[other], b[other])
    return same


def _unclipped(pictures: np.ndarray) -> np.ndarray:
    """Return which values are neither black nor white, nor blurred into it; bool."""
    return (pictures >= CLIPPED[0]) & (pictures <= CLIPPED[1])


def _explained(a: np.ndarray, b: np.ndarray, fitted: np.ndarray | None = None) -> np.ndarray:
    """Tell which of ``b`` in another light, cut off at black and white, are ``a``.

    Args:
        a: float32 (N, SIDE, SIDE, 3), 0–255.
        b: The same.
        fitted: bool, the same shape: the values that gain and offset are fitted to; None for all.
    """
    correlation, relit = _relit(a, b, fitted)
    told = correlation >= MIN_CORRELATION
    if told.any():
        cells = cell_differences(a[told], relit(told))
        told[told] = np.sort(cells, axis=1)[:, -1 - MARKED_CELLS] <= MAX_CELL_DIFFERENCE
    return told


def _softly(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Tell which of ``b``, blurred, aligned and in another light, are ``a`` blurred."""
    a, b = alignment.blurred(a), alignment.blurred(b)
    same = _relit(a, b, None)[0] >= NEARLY
    if not same.any():
        return same
    a, b = a[same], b[same]
    b, inside, near = alignment.align(a, b)
    correlation, relit = _relit(a, b, np.broadcast_to(inside[..., None], a.shape))
    near &= correlation >= SOFT_CORRELATION
    if near.any():
        cells = cell_differences(a[near], relit(near), inside[near])
        near[near] = cells.max(axis=1) <= SOFT_CELL_DIFFERENCE
    same[same] = near
    return same


def _relit(
    a: np.ndarray, b: np.ndarray, fitted: np.ndarray | None
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Fit gain and offset that make ``b`` look like ``a``.

    Returns:
        The correlation, float32 (N,), 0 where the fit is none: too little texture, or a gain out of
        ``GAIN``; and a function that gives some of ``b`` in the light of ``a``.
    """
    shape = (len(a), 1, 1, 1)
    flat = (len(a), int(np.prod(a.shape[1:])))
    weights = None if fitted is None else fitted.astype(np.float32)
    total = np.float32(flat[1]) if weights is None else weights.reshape(flat).sum(axis=1)

    def mean(values: np.ndarray) -> np.ndarray:
        summed = values if weights is None else values * weights
        return summed.reshape(flat).sum(axis=1) / np.maximum(total, np.float32(1))

    a_mean, b_mean = mean(a).reshape(shape), mean(b).reshape(shape)
    a0, b0 = a - a_mean, b - b_mean
    a_spread, b_spread = np.sqrt(mean(a0 * a0)), np.sqrt(mean(b0 * b0))
    textured = np.minimum(a_spread, b_spread) >= MIN_TEXTURE
    correlation = mean(a0 * b0) / np.where(textured, a_spread * b_spread, np.float32(1))
    gain = correlation * a_spread / np.where(textured, b_spread, np.float32(1))
    fit = textured & (GAIN[0] <= gain) & (gain <= GAIN[1])

    def relit(chosen: np.ndarray) -> np.ndarray:
        light = gain.reshape(shape)[chosen] * b0[chosen] + a_mean[chosen]
        return np.clip(light, 0, 255, out=light)

    return np.where(fit, correlation, np.float32(0)), relit


def cell_differences(
    first: np.ndarray, second: np.ndarray, inside: np.ndarray | None = None
) -> np.ndarray:
    """Return the mean absolute difference in each cell, float32 (N, cells).

    Args:
        first: float32 (N, S, S, 3).
        second: The same shape.
        inside: float32 (N, S, S), 0 where nothing is to be compared; cells with less than
            ``MIN_INSIDE`` count as equal.
    """
    count, side = len(first), first.shape[1]
    cells = SIDE // CELL
    cell = side // cells
    difference = np.abs(first - second)
    if inside is None:
        return _cell_sums(difference.reshape(count, side, -1), cells) / (cell * cell * 3)
    weights = _cell_sums(inside, cells)
    summed = _cell_sums((difference * inside[..., None]).reshape(count, side, -1), cells)
    return np.where(weights < MIN_INSIDE * cell * cell, 0, summed / np.maximum(weights * 3, 1))


def _cell_sums(values: np.ndarray, cells: int) -> np.ndarray:
    """Return the sums over a grid of cells: float32 (N, H, W) → (N, cells · cells)."""
    rows = values.reshape(len(values), cells, values.shape[1] // cells, -1).sum(axis=2)
    return rows.reshape(len(values), cells * cells, -1).sum(axis=2)

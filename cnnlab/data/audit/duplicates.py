"""Copies of one picture: proposed by their perceptual hashes, confirmed on their pixels.

The hash finds candidates among all pairs in bounded memory; flat or similar pictures may share
one, so no pair counts as a copy before its pixels were compared.

What escapes: copies that were mirrored, turned or cropped, and those that lost much to white. Of
256 photographs brightened by 1.3, which leaves 22 % of the pixels with a white channel, 99.6 % were
found; by 1.6 (42 %) 81 %, by 2 (56 %) 19 %.
"""

import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import imagehash
import numpy as np
from PIL import Image
from tqdm.auto import tqdm

FLAT = 2.0  # grey levels (standard deviation) below which a picture has no hash of its own
MAX_DISTANCE = 10  # of 64 bits; two unrelated pictures are 32 ± 4 apart, copies 0 to 4
BLOCK = 512  # hashes a side of one comparison: 2 MiB, which stays in the processor's cache
KEPT = 8192  # pictures held for comparison: 96 MiB

SIDE = 64  # pixels a side at which two pictures are compared
CELL = 8  # pixels a side of the cells that must each agree
MIN_TEXTURE = 4.0  # grey levels; below, two pictures cannot be told apart and none is a copy
MIN_CORRELATION = 0.95
MAX_CELL_DIFFERENCE = 12.0  # grey levels, mean over a cell; copies stay below 4, others above 19
MARKED_CELLS = 2  # of 64 that may differ: a date, a watermark
GAIN = (0.6, 1.7)  # brightness or contrast factor between a picture and its copy
CLIPPED = (8, 247)  # grey levels; below and above, a value may have been cut off
MIN_KEPT = 0.3  # share of the values that two pictures must have kept to be told by them


def perceptual_hash(pixels: np.ndarray) -> str:
    """Return the 64-bit perceptual hash of a picture as 16 hex digits.

    It is a DCT hash: close in Hamming distance for copies of one picture at another size,
    quality or brightness.

    Args:
        pixels: uint8 (H, W, 3), RGB, 0–255.

    Returns:
        Hex text; empty for a picture without texture, whose hash would be an accident of noise.

    Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010.
    """
    picture = Image.fromarray(pixels).convert("L")
    return "" if np.std(np.asarray(picture)) < FLAT else str(imagehash.phash(picture))


def candidate_pairs(hashes: np.ndarray, distance: int = MAX_DISTANCE) -> Iterator[np.ndarray]:
    """Yield the pairs whose hashes differ in at most ``distance`` bits.

    Args:
        hashes: uint64 (N,).
        distance: Bits, 0…64.

    Yields:
        int64 (K, 2) index pairs, first < second; every such pair of indices comes exactly once.
    """
    bits = np.empty((BLOCK, BLOCK), np.uint64)
    counts = np.empty((BLOCK, BLOCK), np.uint8)
    for top in range(0, len(hashes), BLOCK):
        rows = hashes[top : top + BLOCK, None]
        for left in range(top, len(hashes), BLOCK):
            columns = hashes[None, left : left + BLOCK]
            shape = (slice(len(rows)), slice(columns.shape[1]))
            np.bitwise_xor(rows, columns, out=bits[shape])
            apart = np.bitwise_count(bits[shape], out=counts[shape])
            if apart.min() > distance:  # as in most blocks; asking is faster than searching
                yield np.empty((0, 2), np.int64)
                continue
            pairs = np.argwhere(apart <= distance) + np.array([top, left])
            yield pairs[pairs[:, 0] < pairs[:, 1]]


def clusters(
    hashes: Sequence[str], load: Callable[[int], np.ndarray], *, progress: bool = False
) -> list[int]:
    """Return the cluster of each picture: copies of one picture share it, transitively.

    Args:
        hashes: N hashes as 16 hex digits; a picture whose hash is empty has no copies.
        load: Gives picture ``i`` as uint8 (SIDE, SIDE, 3); called from several threads, only
            for candidates.
        progress: Show a bar on standard output.

    Returns:
        N integers: the smallest index of the cluster that each picture belongs to.

    Example:
        >>> clusters(["00000000000000ff", "00000000000000fe"], load=[picture, picture].__getitem__)
        [0, 0]
    """
    hashed = np.array([i for i, text in enumerate(hashes) if text], np.int64)
    numbers = np.array([int(hashes[i], 16) for i in hashed], np.uint64)
    parents = list(range(len(hashes)))
    held: OrderedDict[int, np.ndarray] = OrderedDict()
    blocks = -(-len(hashed) // BLOCK)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        bar = tqdm(candidate_pairs(numbers), "copies", blocks * (blocks + 1) // 2,
                   unit="block", file=sys.stdout, disable=not progress)  # fmt: skip
        for pairs in bar:
            for start in range(0, len(pairs), KEPT // 2):  # no more pictures than are held
                part = hashed[pairs[start : start + KEPT // 2]]
                _hold(held, np.unique(part).tolist(), load, pool)
                for first, second in part.tolist():
                    roots = _root(parents, first), _root(parents, second)
                    if roots[0] != roots[1] and same_picture(held[first], held[second]):
                        parents[max(roots)] = min(roots)
    return [_root(parents, i) for i in range(len(hashes))]


def _hold(
    held: OrderedDict[int, np.ndarray],
    wanted: list[int],
    load: Callable[[int], np.ndarray],
    pool: ThreadPoolExecutor,
) -> None:
    """Load what is wanted and not yet held, and let go of what was wanted longest ago."""
    missing = [i for i in wanted if i not in held]
    held.update(zip(missing, pool.map(load, missing), strict=True))
    for i in wanted:
        held.move_to_end(i)
    while len(held) > KEPT:
        held.popitem(last=False)


def _root(parents: list[int], i: int) -> int:
    """Return the root of ``i`` in a forest, and shorten the way there."""
    while parents[i] != i:
        parents[i] = parents[parents[i]]
        i = parents[i]
    return i


def same_picture(first: np.ndarray, second: np.ndarray) -> bool:
    """Tell whether two pictures are copies but for size, compression, brightness and contrast.

    One gain and one offset for all channels are fitted to make one picture look like the other.
    What is left over must be small as a whole and in nearly every cell: two different objects
    before the same background agree in most places, but not where the objects are. Where too much
    light was cut off at white (or black), the fit asks only the values that survived.

    Args:
        first: uint8 (SIDE, SIDE, 3), RGB, 0–255.
        second: The same shape.
    """
    kept = _unclipped(first), _unclipped(second)
    if kept[0].sum() > kept[1].sum():  # only the picture that lost less can explain the other
        first, second = second, first
    both = kept[0] & kept[1]
    a, b = first.astype(np.float32), second.astype(np.float32)
    return _explained(a, b, np.ones_like(both)) or (
        float(both.mean()) >= MIN_KEPT and _explained(a, b, both)
    )


def _unclipped(picture: np.ndarray) -> np.ndarray:
    """Return which values are neither black nor white, nor blurred into it; bool."""
    return (picture >= CLIPPED[0]) & (picture <= CLIPPED[1])


def _explained(picture: np.ndarray, by: np.ndarray, fitted: np.ndarray) -> bool:
    """Tell whether ``by`` in another light, cut off at black and white, is ``picture``.

    Args:
        picture: float32 (SIDE, SIDE, 3), 0–255.
        by: The same.
        fitted: bool (SIDE, SIDE, 3), the values that gain and offset are fitted to.
    """
    a, b = picture[fitted], by[fitted]
    a_spread, b_spread = float(a.std()), float(b.std())
    if min(a_spread, b_spread) < MIN_TEXTURE:
        return False
    correlation = float(((a - a.mean()) * (b - b.mean())).mean()) / (a_spread * b_spread)
    gain = correlation * a_spread / b_spread
    if correlation < MIN_CORRELATION or not GAIN[0] <= gain <= GAIN[1]:
        return False
    relit = np.clip(gain * (by - b.mean()) + a.mean(), 0, 255)
    return cell_difference(picture, relit) <= MAX_CELL_DIFFERENCE


def cell_difference(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean absolute difference in the worst cell, ``MARKED_CELLS`` left aside.

    Args:
        first: float32 (SIDE, SIDE, 3).
        second: The same shape.
    """
    cells = SIDE // CELL
    difference = np.abs(first - second).reshape(cells, CELL, cells, CELL, 3)
    return float(np.sort(difference.mean(axis=(1, 3, 4)), axis=None)[-1 - MARKED_CELLS])

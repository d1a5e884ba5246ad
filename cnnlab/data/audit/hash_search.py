"""Pairs of 64-bit hashes that are near each other, found without comparing all pairs.

Two hashes that differ in at most ``d`` bits, cut into ``d + k`` blocks of bits, agree in at least
``k`` whole blocks. So there is a table for every choice of ``k`` blocks: the hashes sorted by these
blocks, in which only hashes that agree in all of them are compared. The more hashes, the larger
``k``: more tables, but shorter runs of equal keys.

Source: Manku, Jain and Das Sarma, "Detecting Near-Duplicates for Web Crawling", 2007, section 3.
"""

from collections.abc import Callable, Iterator
from itertools import combinations, pairwise
from math import comb
from typing import NamedTuple

import numpy as np

BITS = 64
SMALL = 4096  # hashes up to which all pairs are compared: one table, one run
RUN = 64  # hashes that agree in the blocks by chance, on average; beyond, one block more
KEY_BITS = 16  # of a key; NumPy sorts 16 bits several times as fast as 64
WINDOW = 512  # hashes of a longer run are compared with as many that follow them
DENSE = 4  # where a quarter of the hashes have one to compare, comparing all is faster
CHUNK = 2**15  # hashes compared in one step: what they need stays in the processor's cache


class Found(NamedTuple):
    """Pairs of near hashes; an empty one ends each table.

    Attributes:
        pairs: int64 (K, 2), indices, first < second.
        beyond_window: Whether they are the first that the window leaves out: not all such pairs,
            but every hash that has any within ``distance`` of the window's edge stands in one.
    """

    pairs: np.ndarray
    beyond_window: bool


def candidate_pairs(
    hashes: np.ndarray,
    distance: int,
    *,
    beyond: int = -1,
    groups: Callable[[], np.ndarray] | None = None,
) -> Iterator[Found]:
    """Yield the pairs whose hashes differ in more than ``beyond`` and at most ``distance`` bits.

    Every such pair comes exactly once, neighbours in sorted order first, unless more than
    ``WINDOW`` hashes agree in the blocks of a table: each of these is compared with as many that
    follow it in sorted order. Memory grows with N alone.

    Args:
        hashes: uint64 (N,).
        distance: Bits, 0…48.
        beyond: Bits; the nearer pairs are left out.
        groups: Gives an int array (N,), asked once a table: hashes that agree in the blocks and
            are all of one group are not compared.
    """
    if len(hashes) < 2:
        return
    by_value = np.argsort(hashes, kind="stable")  # runs are then sorted by the other blocks
    ordered = hashes[by_value]
    kept = _blocks_kept(len(hashes), distance)
    blocks = _blocks(distance + kept)
    for chosen in combinations(range(len(blocks)), kept):
        order, left = _runs(ordered, [blocks[i] for i in chosen])
        if groups and left.max(initial=0) > RUN:
            left = _of_several_groups(left, groups()[by_value[order]])
        earlier = [blocks[i] for i in range(chosen[-1]) if i not in chosen] if kept else []
        window = WINDOW if kept else len(hashes)
        for places, step in _near(ordered[order], left, (beyond, distance), window, earlier):
            pairs = np.stack([by_value[order[places]], by_value[order[places + step]]], axis=1)
            yield Found(np.sort(pairs, axis=1), step > window)
        yield Found(np.empty((0, 2), np.int64), False)


def tables(count: int, distance: int) -> int:
    """Return in how many tables ``candidate_pairs`` looks for the pairs of ``count`` hashes."""
    kept = _blocks_kept(count, distance)
    return comb(distance + kept, kept)


def _blocks_kept(count: int, distance: int) -> int:
    """Return ``k``, the number of blocks that a table asks to agree."""
    if distance == 0:
        return 1
    if count <= SMALL:
        return 0
    kept = 1
    while count > RUN << kept * BITS // (distance + kept):
        if -(-BITS // (distance + kept + 1)) * (kept + 1) > KEY_BITS:
            break
        kept += 1
    return kept


def _blocks(count: int) -> list[tuple[int, int]]:
    """Return the first bit and the width of each block; none of no blocks."""
    edges = [i * BITS // count for i in range(count + 1)] if count else []
    return [(low, high - low) for low, high in pairwise(edges)]


def _runs(hashes: np.ndarray, chosen: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Sort by the chosen blocks; return the order and the rest of the run from each place on."""
    width = sum(bits for _, bits in chosen)
    keys = np.zeros(len(hashes), np.uint64)
    for low, bits in chosen:
        keys <<= np.uint64(bits % BITS)
        keys |= hashes >> np.uint64(low) & np.uint64(2**bits - 1)
    if width <= KEY_BITS:
        keys = keys.astype(np.uint16)
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    lengths = np.diff(starts, append=len(keys))
    ends = np.repeat(starts + lengths, lengths)
    return order, ends - np.arange(len(keys))


def _of_several_groups(left: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return what is left of each run, 0 in runs of one group."""
    starts = np.flatnonzero(np.concatenate(([True], left[1:] >= left[:-1])))
    one = np.minimum.reduceat(groups, starts) == np.maximum.reduceat(groups, starts)
    return np.where(np.repeat(one, left[starts]), 0, left)


def _near(
    hashes: np.ndarray,
    left: np.ndarray,
    limits: tuple[int, int],
    window: int,
    earlier: list[tuple[int, int]],
) -> Iterator[tuple[np.ndarray, int]]:
    """Yield places (K,) in sorted order and a step: hashes that are near the one so far behind.

    Only those that agree in no earlier table: all blocks before the last chosen one, the chosen
    ones aside, differ. The last step is the one beyond the window.
    """
    masks = [np.uint64((2**bits - 1) << low) for low, bits in earlier]
    places = np.flatnonzero(left > 1)
    for step in range(1, window + 2):
        places = places[left[places] > step]
        if not len(places):
            return
        every = len(places) > len(hashes) // DENSE
        for start in range(0, len(hashes) - step if every else len(places), CHUNK):
            if every:
                end = min(start + CHUNK, len(hashes) - step)
                differ = hashes[start:end] ^ hashes[start + step : end + step]
            else:
                first = places[start : start + CHUNK]
                differ = hashes[first] ^ hashes[first + step]
            bits = np.bitwise_count(differ)
            near = np.flatnonzero(bits <= limits[1])
            if every:
                near = near[left[start + near] > step]
            if limits[0] >= 0:
                near = near[bits[near] > limits[0]]
            for mask in masks:
                near = near[differ[near] & mask != 0]
            if len(near):
                yield start + near if every else first[near], step

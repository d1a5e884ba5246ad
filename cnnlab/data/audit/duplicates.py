"""Copies of one picture: proposed by their perceptual hashes, confirmed on their pixels.

Pairs whose hashes are near are compared on their pixels, the nearest first, unless their pictures
are known to be copies already: flat or similar pictures may share a hash, so no pair counts as a
copy before that. What this costs grows with the files and the confirmed copies, not with the
square of the pictures that look alike. Two bounds see to it: ``TRIES`` and
``hash_search.WINDOW``. Where one of them leaves candidates out, the result names the pictures.
"""

import os
import sys
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import imagehash
import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from cnnlab.data.audit import hash_search
from cnnlab.data.audit.comparison import same_pictures

FLAT = 2.0  # grey levels (standard deviation) below which a picture has no hash of its own
DISTANCES = (0, 3, 10)  # of 64 bits; two unrelated pictures are 32 ± 4 apart, copies 0 to 4
TRIES = 32  # comparisons that may fail for each of two pictures before they are not compared
ALIKE = 8  # confirmed copies with one hash that are compared with others; more would show no more
KEPT = 8192  # pictures held for comparison: 96 MiB
LEFT_OUT = 1_000_000  # pairs that were not compared, noted at a time: 16 MB
BATCH = 64  # pictures loaded, and pairs compared, in one step of a thread

Load = Callable[[Sequence[int]], np.ndarray]


class Copies(NamedTuple):
    """Which pictures are copies.

    Attributes:
        clusters: int64 (N,), the smallest index of the cluster that each picture belongs to.
        crowded: bool (N,), pictures for which candidates were left out: more look like them than
            are compared. They may have copies outside their cluster.
    """

    clusters: np.ndarray
    crowded: np.ndarray


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


def find_copies(hashes: Sequence[str], load: Load, *, progress: bool = False) -> Copies:
    """Return which pictures are copies of one another, transitively.

    Args:
        hashes: N hashes as 16 hex digits; a picture whose hash is empty has no copies.
        load: Gives the pictures of K indices as uint8 (K, SIDE, SIDE, 3); called from several
            threads, only for candidates.
        progress: Show a bar on standard output.

    Example:
        >>> pictures = np.stack([picture, picture])
        >>> find_copies(["00000000000000ff", "00000000000000fe"], lambda rows: pictures[rows])
        Copies(clusters=array([0, 0]), crowded=array([False, False]))
    """
    shown = np.array([i for i, text in enumerate(hashes) if text], np.int64)
    numbers = np.array([int(hashes[i], 16) for i in shown], np.uint64)
    beyond = -1
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        search = _Search(len(hashes), load, pool)
        for distance in DISTANCES:
            found = hash_search.candidate_pairs(
                numbers, distance, beyond=beyond, groups=partial(search.roots, shown)
            )
            tables = hash_search.tables(len(shown), distance)
            with tqdm(None, f"copies within {distance} bits", tables, unit="table",
                      file=sys.stdout, disable=not progress) as bar:  # fmt: skip
                for pairs, beyond_window in found:
                    search.leave_out(shown[pairs]) if beyond_window else search.add(shown[pairs])
                    bar.update(not len(pairs))
            search.compare()
            alike = _first_of_each(numbers, search.roots(shown), ALIKE)
            shown, numbers, beyond = shown[alike], numbers[alike], distance
    return Copies(search.roots(np.arange(len(hashes))), search.crowded())


def _first_of_each(numbers: np.ndarray, roots: np.ndarray, count: int) -> np.ndarray:
    """Return the indices, in order, of the first ``count`` that agree in number and root."""
    order = np.lexsort((roots, numbers))  # stable
    number, root = numbers[order], roots[order]
    again = (number[count:] == number[:-count]) & (root[count:] == root[:-count])
    return np.sort(np.delete(order, count + np.flatnonzero(again)))


class _Search:
    """What is known of the copies, and the pairs that are still to be compared."""

    def __init__(self, count: int, load: Load, pool: ThreadPoolExecutor) -> None:
        self._left_out = [np.empty((0, 2), np.int64)]
        self._noted = 0
        self._parents = np.arange(count)
        self._failed = np.zeros(count, np.int64)
        self._load = load
        self._pool = pool
        self._held: OrderedDict[int, np.ndarray] = OrderedDict()
        self._waiting: list[np.ndarray] = []

    def roots(self, pictures: np.ndarray) -> np.ndarray:
        """Return the smallest index of each picture's cluster."""
        roots = self._parents[pictures]
        while not np.array_equal(further := self._parents[roots], roots):
            roots = further
        self._parents[pictures] = roots
        return roots

    def add(self, pairs: np.ndarray) -> None:
        """Take note of candidates, int64 (K, 2); compare them as soon as they are many."""
        self._waiting.append(pairs)
        if sum(map(len, self._waiting)) >= BATCH:
            self.compare()

    def compare(self) -> None:
        """Compare the candidates that wait, and join the clusters of those that are copies."""
        waiting = np.concatenate([*self._waiting, np.empty((0, 2), np.int64)])
        self._waiting.clear()
        for start in range(0, len(waiting), KEPT // 2):  # no more pictures than are held
            pairs = self._open(waiting[start : start + KEPT // 2])
            if not len(pairs):
                continue
            self._hold(np.unique(pairs).tolist())
            batches = [pairs[i : i + BATCH] for i in range(0, len(pairs), BATCH)]
            same = np.concatenate(list(self._pool.map(self._same, batches)))
            np.add.at(self._failed, pairs[~same], 1)
            for first, second in pairs[same]:
                self._join(first, second)

    def _open(self, pairs: np.ndarray) -> np.ndarray:
        """Return the pairs that are not known to be copies and may still be compared."""
        pairs = self._apart(pairs)
        tried = (self._failed[pairs] >= TRIES).all(axis=1)
        if tried.any():
            self.leave_out(pairs[tried])
        return pairs[~tried]

    def leave_out(self, pairs: np.ndarray) -> None:
        """Take note of candidates that are not compared: one of each picture is enough."""
        self._left_out.append(pairs)
        self._noted += len(pairs)
        if self._noted > LEFT_OUT + 2 * len(self._parents):
            apart = self._apart(np.concatenate(self._left_out))
            ones = [np.unique(side, return_index=True)[1] for side in apart.T]
            self._left_out = [apart[np.unique(np.concatenate(ones))]]
            self._noted = len(self._left_out[0])

    def crowded(self) -> np.ndarray:
        """Return which pictures have a candidate, not compared, in another cluster; bool (N,)."""
        crowded = np.zeros(len(self._parents), bool)
        crowded[self._apart(np.concatenate(self._left_out))] = True
        return crowded

    def _apart(self, pairs: np.ndarray) -> np.ndarray:
        """Return the pairs that are not known to be copies."""
        roots = self.roots(pairs.ravel()).reshape(pairs.shape)
        return pairs[roots[:, 0] != roots[:, 1]]

    def _hold(self, wanted: list[int]) -> None:
        """Load what is wanted and not yet held, and let go of what was wanted longest ago."""
        missing = [i for i in wanted if i not in self._held]
        batches = [missing[i : i + BATCH] for i in range(0, len(missing), BATCH)]
        for batch, pictures in zip(batches, self._pool.map(self._load, batches), strict=True):
            # Copies: each view would keep its whole batch, long after the others are let go.
            self._held.update(zip(batch, map(np.copy, pictures), strict=True))
        for i in wanted:
            self._held.move_to_end(i)
        while len(self._held) > KEPT:
            self._held.popitem(last=False)

    def _same(self, pairs: np.ndarray) -> np.ndarray:
        first, second = (np.stack([self._held[i] for i in side]) for side in pairs.T.tolist())
        return same_pictures(first, second)

    def _join(self, first: int, second: int) -> None:
        ends = self.roots(np.array([first, second]))
        self._parents[ends.max()] = ends.min()

"""A bounded cache of predictions: thread-safe, least recently used first out, a folder behind."""

import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from cnnlab import hashing
from cnnlab.config import InputError
from cnnlab.images import PREPROCESSING_VERSION
from cnnlab.serving.disk_cache import DISK_BYTES, DiskCache, Entry

ENTRY_OVERHEAD = 700  # bytes, roughly: the key's text, the array's header, two dictionary slots


def key(image_bytes: bytes, model_id: str) -> str:
    """Return the name of an entry: ``<SHA-256 of the bytes>-<model id>-<preprocessing version>``.

    Another image, another model or another decoder is another name, so no entry can be stale.

    Example:
        >>> key(b"", "m")[:8]
        'e3b0c442'
    """
    return f"{hashing.digest(image_bytes)}-{model_id}-{PREPROCESSING_VERSION}"


@dataclass(frozen=True)
class CacheStats:
    """What a cache has done so far, all counted at one moment.

    Attributes:
        hits: How often ``get`` found an entry, in memory or on disk.
        misses: How often it found none.
        evictions: Entries thrown out of memory to make room.
        entries: Entries in memory.
        bytes: What they take.
        saved_ms: Milliseconds that the hits' predictions took when they were computed.
        disk_hits: Hits that came from disk.
        disk_faults: Entries on disk that could not be trusted, read or written.
        disk_bytes: What the entries on disk take, as far as this process knows.
    """

    hits: int
    misses: int
    evictions: int
    entries: int
    bytes: int
    saved_ms: float
    disk_hits: int = 0
    disk_faults: int = 0
    disk_bytes: int = 0

    @property
    def hit_rate(self) -> float:
        """Share of all ``get`` that found an entry, 0…1; 0 before the first."""
        return self.hits / max(self.hits + self.misses, 1)


class _CountingLRU(LRUCache):
    """An LRU cache that counts what it throws out to make room."""

    evictions = 0

    def popitem(self) -> tuple[str, Entry]:
        """Remove and return the entry that was used longest ago."""
        self.evictions += 1
        return super().popitem()


def entry_bytes(classes: int) -> int:
    """Return the bytes that an entry of so many probabilities is counted with.

    Example:
        >>> Cache(100 * entry_bytes(10))  # room for a hundred predictions  # doctest: +SKIP
    """
    return 4 * classes + ENTRY_OVERHEAD


def _size(entry: Entry) -> int:
    """Return the bytes that an entry is counted with."""
    return entry_bytes(entry.probabilities.size)


class Cache:
    """Probabilities by key: in memory within a bound of bytes, and in a folder if one is given.

    Any number of threads may use one cache. Stored arrays are private read-only copies, so no
    caller can change another's prediction.

    Args:
        max_bytes: Upper bound of ``bytes``; 0 stores nothing in memory.
        folder: Where entries are also written, and looked for when memory has none; any number of
            processes may share it. None for memory alone.
        disk_bytes: Upper bound of that folder, exceeded by at most a twentieth for each further
            process.

    Raises:
        InputError: A bound is negative, or the folder cannot be made.

    Example:
        >>> cache = Cache(10_000)
        >>> cache.put("a", np.array([0.25, 0.75], "float32"), elapsed_ms=8.0)
        >>> cache.get("a").tolist(), cache.get("b"), cache.stats().hits, cache.stats().saved_ms
        ([0.25, 0.75], None, 1, 8.0)
    """

    def __init__(
        self, max_bytes: int, folder: Path | str | None = None, disk_bytes: int = DISK_BYTES
    ) -> None:
        if max_bytes < 0:
            raise InputError(f"A cache of {max_bytes} bytes cannot be: expected 0 or more.")
        self._disk = None if folder is None else DiskCache(folder, disk_bytes)
        self._lock = threading.Lock()
        self._entries = _CountingLRU(max_bytes, getsizeof=_size)
        self._hits = self._misses = self._disk_hits = 0
        self._saved_ms = 0.0

    def get(self, name: str) -> np.ndarray | None:
        """Return the stored array (read-only) and count a hit, or None and count a miss."""
        entry, on_disk = self._find(name)
        with self._lock:
            if entry is None:
                self._misses += 1
                return None
            self._hits += 1
            self._disk_hits += on_disk
            self._saved_ms += entry.elapsed_ms
        return entry.probabilities

    def peek(self, name: str) -> np.ndarray | None:
        """Return what ``get`` would; nothing is counted."""
        entry, _ = self._find(name)
        return None if entry is None else entry.probabilities

    def put(self, name: str, value: np.ndarray, elapsed_ms: float = 0.0) -> None:
        """Store a copy of an array; the oldest entries make room, one too large is not stored.

        Args:
            name: Made by ``key``.
            value: float32 (C,).
            elapsed_ms: What it took to compute, in milliseconds; every hit saves as much.
        """
        entry = Entry(np.array(value, "float32"), elapsed_ms)
        entry.probabilities.flags.writeable = False
        self._keep(name, entry)
        if self._disk:
            self._disk.put(name, entry)

    def clear(self) -> None:
        """Forget all entries, those on disk as well; the counters stay."""
        with self._lock:
            evictions = self._entries.evictions
            self._entries.clear()
            self._entries.evictions = evictions  # emptying by hand is not making room
        if self._disk:
            self._disk.clear()

    def stats(self) -> CacheStats:
        """Return all counters, as they are at one moment."""
        faults, on_disk = (self._disk.faults, self._disk.bytes) if self._disk else (0, 0)
        with self._lock:
            return CacheStats(
                self._hits,
                self._misses,
                self._entries.evictions,
                len(self._entries),
                int(self._entries.currsize),
                self._saved_ms,
                self._disk_hits,
                faults,
                on_disk,
            )

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    def _find(self, name: str) -> tuple[Entry | None, bool]:
        """Return an entry, if there is one, and whether it had to be read from disk."""
        with self._lock:
            entry: Entry | None = self._entries.get(name)
        if entry is not None or self._disk is None:
            return entry, False
        entry = self._disk.get(name)
        if entry is not None:
            self._keep(name, entry)
        return entry, entry is not None

    def _keep(self, name: str, entry: Entry) -> None:
        """Store an entry in memory, if it fits at all."""
        with self._lock:
            if _size(entry) <= self._entries.maxsize:
                self._entries[name] = entry

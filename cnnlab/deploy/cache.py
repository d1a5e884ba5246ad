"""A bounded memory of answers: thread-safe, least recently used first out."""

import hashlib
import threading

import numpy as np
from cachetools import LRUCache

from cnnlab.config import InputError
from cnnlab.images import PREPROCESSING_VERSION

ENTRY_OVERHEAD = 400  # bytes, roughly: the key's text, the array's header, two dictionary slots


def key(image_bytes: bytes, model_id: str) -> str:
    """Return the name of an answer: ``<SHA-256 of the bytes>-<model id>-<preprocessing version>``.

    Another image, another model or another decoder is another name, so an answer cannot be stale.

    Example:
        >>> key(b"", "m")[:8]
        'e3b0c442'
    """
    return f"{hashlib.sha256(image_bytes).hexdigest()}-{model_id}-{PREPROCESSING_VERSION}"


class _CountingLRU(LRUCache):
    """An LRU cache that counts what it throws out to make room."""

    evictions = 0

    def popitem(self) -> tuple[str, np.ndarray]:
        """Remove and return the entry that was used longest ago."""
        self.evictions += 1
        return super().popitem()


def _size(value: np.ndarray) -> int:
    """Return the bytes that an entry is counted with."""
    return value.nbytes + ENTRY_OVERHEAD


class Cache:
    """Probabilities by key, within a bound of bytes.

    Any number of threads may use one cache. Stored arrays are private read-only copies, so no
    caller can change another's answer.

    Args:
        max_bytes: Upper bound of ``bytes``; 0 stores nothing.

    Example:
        >>> cache = Cache(10_000)
        >>> cache.put("a", np.array([0.25, 0.75], "float32"))
        >>> cache.get("a").tolist(), cache.get("b"), cache.hits, cache.misses
        ([0.25, 0.75], None, 1, 1)
    """

    def __init__(self, max_bytes: int) -> None:
        if max_bytes < 0:
            raise InputError(f"A cache of {max_bytes} bytes cannot be: expected 0 or more.")
        self._lock = threading.Lock()
        self._entries = _CountingLRU(max_bytes, getsizeof=_size)
        self._hits = 0
        self._misses = 0

    def get(self, name: str) -> np.ndarray | None:
        """Return the stored array (read-only) and count a hit, or None and count a miss."""
        with self._lock:
            value: np.ndarray | None = self._entries.get(name)
            if value is None:
                self._misses += 1
            else:
                self._hits += 1
            return value

    def put(self, name: str, value: np.ndarray) -> None:
        """Store a copy of an array; the oldest entries make room, one too large is not stored."""
        stored = np.array(value)
        stored.flags.writeable = False
        with self._lock:
            if _size(stored) <= self._entries.maxsize:
                self._entries[name] = stored

    def clear(self) -> None:
        """Forget all entries; the counters stay."""
        with self._lock:
            kept = self._entries.evictions
            self._entries.clear()
            self._entries.evictions = kept  # emptying by hand is not making room

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)

    @property
    def hits(self) -> int:
        """How often ``get`` found an entry."""
        return self._hits

    @property
    def misses(self) -> int:
        """How often ``get`` found none."""
        return self._misses

    @property
    def evictions(self) -> int:
        """How many entries were thrown out to make room."""
        return self._entries.evictions

    @property
    def bytes(self) -> int:
        """What the entries take, in bytes; never above the bound."""
        return int(self._entries.currsize)

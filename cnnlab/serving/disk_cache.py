"""Predictions on disk: a JSON file each, whole or ignored, shared by any number of processes."""

import contextlib
import json
import os
import re
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cnnlab import files, hashing
from cnnlab.config import InputError

FORMAT = 1  # counts up with every change of an entry's fields; others are dropped
DISK_BYTES = 64 * 2**20
BLOCK = 4096  # bytes: what file systems give out, so what even a short file takes
SLACK = 20  # a folder is looked through after each 1/20 of its bound that was written
MAX_ENTRY_BYTES = 2**20  # an entry of 1,000 classes takes 20 kB
ABANDONED = 3600  # seconds after which an unfinished entry is that of a killed process

_ENTRY = re.compile(r"[0-9a-f]{64}-\w+-\d+\.json")
# Windows has neither flag.
_READ = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Entry(NamedTuple):
    """What is remembered about an image.

    Attributes:
        probabilities: float32 (C,), read-only.
        elapsed_ms: What they took to compute, in milliseconds.
    """

    probabilities: np.ndarray
    elapsed_ms: float


class DiskCache:
    """Entries by key in a folder, within a bound of bytes; the longest unused go first.

    A file appears whole or not at all, holds its own key and a SHA-256 over its content, and
    brings float32 back to the last bit. One that is damaged, of another format or not what its
    name says is deleted and counted as a fault, never used. Any number of threads and processes
    may share a folder. Files that are no entries are left alone.

    The SHA-256 tells damage, not forgery: who may write to the folder decides predictions.

    Args:
        folder: Where the files lie; made if missing.
        max_bytes: Upper bound of all entries, in blocks of 4 KiB. One process keeps to it; every
            further one may add a twentieth, since each counts only what it wrote itself between
            two looks at the folder.

    Raises:
        InputError: The folder cannot be made, or the bound is negative.
    """

    def __init__(self, folder: Path | str, max_bytes: int = DISK_BYTES) -> None:
        if max_bytes < 0:
            raise InputError(f"A cache of {max_bytes} bytes cannot be: expected 0 or more.")
        self.folder = Path(folder)
        self.max_bytes = max_bytes
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"No cache can be kept in {self.folder} ({error.strerror}): expected a folder "
                "that can be written to."
            ) from None
        self._lock = threading.Lock()
        self._faults = 0
        self._seen = self._written = 0  # bytes: at the last look, and by this process since
        self._trim()

    @property
    def bytes(self) -> int:
        """What the entries take, as far as this process knows."""
        return self._seen + self._written

    @property
    def faults(self) -> int:
        """How many entries could not be trusted, read or written."""
        return self._faults

    def get(self, name: str) -> Entry | None:
        """Return an entry, or None if there is none that can be trusted."""
        path = self._path(name)
        try:
            content = _content(path)
            entry = _decoded(content, name)
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            self._fault()
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # used now, so others go before it
        return entry

    def put(self, name: str, entry: Entry) -> None:
        """Write an entry; a disk that is full or gone costs the entry and nothing else."""
        path = self._path(name)
        try:
            content = _encoded(name, entry)
            files.write(path, content, durable=False)  # the checksum tells a torn file
        except (OSError, ValueError):  # ValueError: not a number, which JSON does not know
            self._fault()
            return
        with self._lock:
            self._written += _taken(len(content))
            due = self._written * SLACK > self.max_bytes
        if due:
            self._trim()

    def clear(self) -> None:
        """Delete all entries."""
        self._trim(0)

    def _path(self, name: str) -> Path:
        """Return an entry's file; a name that could lead elsewhere is a mistake."""
        file = f"{name}.json"
        if not _ENTRY.fullmatch(file):
            raise InputError(f"{name!r} names no entry: expected <SHA-256>-<model id>-<version>.")
        return self.folder / file

    def _fault(self) -> None:
        with self._lock:
            self._faults += 1

    def _trim(self, most: int | None = None) -> None:
        """Look through the folder and delete what was unused longest, down to a bound."""
        if most is None:
            most = self.max_bytes - self.max_bytes // SLACK
        files.remove_abandoned(self.folder, ABANDONED)
        with self._lock:
            found = sorted(_entries(self.folder))
            total = sum(size for _, size, _ in found)
            for _, size, path in found:
                if total <= most:
                    break
                with contextlib.suppress(OSError):  # another process was faster
                    os.unlink(path)
                total -= size
            self._seen, self._written = total, 0


def _entries(folder: Path) -> list[tuple[int, int, str]]:
    """Return (last use in ns, bytes taken, path) of all entries."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as listed:
        for file in listed:
            with contextlib.suppress(OSError):  # another process was faster
                if _ENTRY.fullmatch(file.name):
                    status = file.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, _taken(status.st_size), file.path))
    return found


def _taken(size: int) -> int:
    """Return the bytes that a file of a size takes on disk."""
    return -(-size // BLOCK) * BLOCK


def _content(path: Path) -> bytes:
    """Return the start of a file, neither following a link nor waiting for a pipe."""
    number = os.open(path, _READ)
    try:
        return os.read(number, MAX_ENTRY_BYTES)
    finally:
        os.close(number)


def _encoded(name: str, entry: Entry) -> bytes:
    """Return the content of an entry's file."""
    fields = {
        "format": FORMAT,
        "key": name,
        "probabilities": entry.probabilities.tolist(),  # float64 holds every float32 exactly
        "elapsed_ms": float(entry.elapsed_ms),
    }
    checked = fields | {"sha256": hashing.json_digest(fields)}
    return hashing.canonical_json(checked).encode()


def _decoded(content: bytes, name: str) -> Entry:
    """Return the entry that a file holds.

    Raises:
        ValueError: It is not whole, not of this format, or another entry's.
    """
    try:
        fields = json.loads(content)
        intact = fields.pop("sha256") == hashing.json_digest(fields)
        if not intact or (fields["format"], fields["key"]) != (FORMAT, name):
            raise ValueError("not the entry that its name promises")
        probabilities = np.array(fields["probabilities"], "float32")
        if probabilities.ndim != 1 or not np.isfinite(probabilities).all():
            raise ValueError("no row of numbers")
        elapsed_ms = float(fields["elapsed_ms"])
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("not an entry") from error
    probabilities.flags.writeable = False
    return Entry(probabilities, elapsed_ms)

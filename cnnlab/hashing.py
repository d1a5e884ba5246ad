"""SHA-256 of bytes and files, and JSON that is the same text for equal values."""

import hashlib
import json
from collections.abc import Iterable
from io import BufferedIOBase
from pathlib import Path
from typing import Any


def digest(content: bytes | memoryview) -> str:
    """Return the SHA-256 of some bytes, 64 hexadecimal digits.

    Example:
        >>> digest(b"")[:8]
        'e3b0c442'
    """
    return hashlib.sha256(content).hexdigest()


def stream_digest(parts: Iterable[bytes | memoryview]) -> str:
    """Return the digest of all parts joined, holding one of them at a time.

    Example:
        >>> stream_digest([b"a", b"bc"]) == digest(b"abc")
        True
    """
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def file_digest(file: Path | BufferedIOBase, *, algorithm: str = "sha256") -> str:
    """Return the digest of a file, or of what is left to read of an open one.

    Args:
        file: Which.
        algorithm: Another than SHA-256 only where others published their digests so: ``md5``.

    Raises:
        OSError: It cannot be read.
    """
    if isinstance(file, Path):
        with file.open("rb") as opened:
            return file_digest(opened, algorithm=algorithm)
    return hashlib.file_digest(file, algorithm).hexdigest()


def canonical_json(value: Any, *, indent: int | None = None) -> str:
    r"""Return JSON that is the same text for equal values: sorted keys, ASCII, no NaN.

    Args:
        value: Dictionaries, lists, texts, numbers, booleans and None.
        indent: Spaces a level, and a line for every entry; None for one line in all.

    Raises:
        ValueError: There is a NaN or an infinity in it, which JSON cannot hold.

    Example:
        >>> canonical_json({"b": 1.5, "a": ["é", None]})
        '{"a": ["\\u00e9", null], "b": 1.5}'
    """
    return json.dumps(value, sort_keys=True, indent=indent, allow_nan=False)


def json_digest(value: Any) -> str:
    """Return the digest of ``canonical_json(value)``.

    Example:
        >>> json_digest({"b": 1, "a": 2}) == json_digest({"a": 2, "b": 1})
        True
    """
    return digest(canonical_json(value).encode())

"""A cache entry: an array in ``<key>.npy``, and in ``<key>.json`` what it must be.

Both appear by renaming, the record last. An entry that does not match its record, as after a power
cut, counts as missing.
"""

import json
from pathlib import Path

from cnnlab import files, hashing

STALE = 24 * 3600  # seconds; no build takes as long: an older folder is of one that was killed


def intact(file: Path, shape: tuple[int, ...], dtype: str) -> bool:
    """Tell whether an entry is complete and unchanged since it was written.

    The whole file is read, which also brings it into the system's page cache.

    Args:
        file: The array's.
        shape: That it must have.
        dtype: NumPy's name of the type that it must have.
    """
    try:
        record = json.loads(file.with_suffix(".json").read_text("utf-8"))
        content = hashing.file_digest(file)
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and record == _record(file, shape, dtype, content)


def write_record(file: Path, shape: tuple[int, ...], dtype: str, content: str) -> None:
    """Complete the entry of an array that stands in its place.

    Args:
        file: The array's.
        shape: Its shape.
        dtype: NumPy's name of its type.
        content: SHA-256 (hex) of the file, taken before it was moved there.
    """
    record = json.dumps(_record(file, shape, dtype, content)) + "\n"
    files.write(file.with_suffix(".json"), record, durable=False)


def _record(file: Path, shape: tuple[int, ...], dtype: str, content: str) -> dict[str, object]:
    return {"key": file.stem, "shape": list(shape), "dtype": dtype, "sha256": content}

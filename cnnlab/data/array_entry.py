"""A cache entry: an array in ``<key>.npy``, and in ``<key>.json`` what it must be.

Both appear by renaming, the record last. An entry that does not match its record, as after a power
cut, counts as missing.
"""

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cnnlab import files, hashing, places


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


@contextmanager
def writing(
    file: Path, shape: tuple[int, ...], dtype: str
) -> Iterator[Callable[[int, np.ndarray], None]]:
    """Give ``put(start, rows)``; if the block succeeds, the entry is complete.

    Rows may be put in any order and by several threads, each once. The file is written and never
    mapped meanwhile: where the disk becomes full, a mapped file ends the process (SIGBUS).

    Args:
        file: The array's; its folder exists.
        shape: (N, …).
        dtype: NumPy's name of its type, which the rows have.

    Raises:
        CannotWrite: The disk has no room for it, or it cannot be written.
    """
    size = math.prod(shape) * np.dtype(dtype).itemsize
    places.check_room(file, size)
    with files.replacing(file, durable=False) as partial:
        with open(partial, "wb") as whole:
            head = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(whole, head)
            whole.flush()
            begin = whole.tell()
            os.ftruncate(whole.fileno(), begin + size)

            def put(start: int, rows: np.ndarray) -> None:
                content = memoryview(np.asarray(rows, dtype).tobytes())
                place = begin + start * size // max(shape[0], 1)
                while content:
                    done = os.pwrite(whole.fileno(), content, place)
                    content, place = content[done:], place + done

            yield put
        content = hashing.file_digest(partial)
    record = json.dumps(_record(file, shape, dtype, content)) + "\n"
    files.write(file.with_suffix(".json"), record, durable=False)


def _record(file: Path, shape: tuple[int, ...], dtype: str, content: str) -> dict[str, object]:
    return {"key": file.stem, "shape": list(shape), "dtype": dtype, "sha256": content}

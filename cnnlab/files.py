"""Files that are whole or absent: written beside their place, then moved onto it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path of the same name; move it onto ``path`` if the block succeeds.

    A crash at any moment leaves the old file or the new one, never half of one.

    Args:
        path: The file to write; its folder exists.

    Example:
        >>> with replacing(Path("table.csv")) as temporary:  # doctest: +SKIP
        ...     temporary.write_text("a,b")
    """
    # A folder of its own: the file keeps its ending, which some writers insist on, and no
    # pattern such as *.png finds it before it is done.
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as folder:
        temporary = Path(folder) / path.name
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
    _to_disk(path.parent)


def _to_disk(path: Path) -> None:
    """Wait until the operating system has written a file or a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The one way a file or folder appears: written beside its place, then moved onto it.

What is being written is, or lies in, ``.unfinished-…`` beside its place, so no pattern such as
``*.png`` finds it too early. Only a killed process leaves that behind.
"""

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_UNFINISHED = ".unfinished-"
_REPLACED = ".replaced-"  # an earlier folder, for the instant before it is deleted


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path of the same name; move it onto ``path`` if the block succeeds.

    A crash at any moment leaves the old file or the new one, never half of one. The temporary file
    has a folder of its own: it keeps its name, whose ending some writers insist on.

    Args:
        path: The file to write; its folder exists.
        durable: Wait for the disk, so that this holds for a power cut too. Without it, the reader
            must recognise a torn file.

    Example:
        >>> with replacing(Path("table.csv")) as temporary:  # doctest: +SKIP
        ...     temporary.write_text("a,b")
    """
    with _workspace(path.parent) as workspace:
        temporary = workspace / path.name
        yield temporary
        _move(temporary, path, durable)


def write(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write a whole file, text as UTF-8; arguments are those of ``replacing``."""
    data = content.encode() if isinstance(content, str) else content
    # No folder of its own: nothing here looks at endings, and making a folder may take 3 ms.
    temporary = path.with_name(_UNFINISHED + uuid.uuid4().hex)
    try:
        temporary.write_bytes(data)
        _move(temporary, path, durable)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of ``folder`` if the block succeeds.

    After an error the earlier folder is as it was. A reader sees the old folder or the new one,
    complete; between two renames, for an instant, none. The new one is on disk by then.

    Args:
        folder: Where the result goes; its parents are made. An earlier folder there is deleted.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _workspace(folder.parent) as workspace:
        new = workspace / folder.name
        old = folder.with_name(workspace.name.replace(_UNFINISHED, _REPLACED))
        new.mkdir()
        yield new
        _tree_to_disk(new)
        if folder.exists():
            _exchange(new, folder, old)
        else:
            os.replace(new, folder)
        _to_disk(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it becomes ``folder`` if the block succeeds, and replaces none.

    It is not flushed to disk, which takes long with thousands of files: for what can be made again.

    Args:
        folder: Where the result goes; its parents are made. The given folder has the same name,
            and a parent that is deleted afterwards: a place for what only the making needs.

    Raises:
        OSError: It cannot be written, or ``folder`` has content by now: another process was faster.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _workspace(folder.parent) as workspace:
        new = workspace / folder.name
        new.mkdir()
        yield new
        os.replace(new, folder)


def remove_abandoned(folder: Path, seconds: float) -> None:
    """Delete what killed processes left unfinished in a folder at least so many seconds ago."""
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.name.startswith(_UNFINISHED):
                with suppress(OSError):  # another process may be faster
                    if time.time() - entry.stat(follow_symlinks=False).st_mtime > seconds:
                        _remove(Path(entry.path))


@contextmanager
def _workspace(folder: Path) -> Iterator[Path]:
    """Give a hidden folder inside ``folder`` that is gone after the block."""
    with tempfile.TemporaryDirectory(
        prefix=_UNFINISHED, dir=folder, ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


def _move(temporary: Path, path: Path, durable: bool) -> None:
    """Put a finished file in its place, first on disk if that is asked for."""
    if durable:
        _to_disk(temporary)
    os.replace(temporary, path)
    if durable:
        _to_disk(path.parent)


def _exchange(new: Path, folder: Path, old: Path) -> None:
    """Move ``folder`` to ``old`` and ``new`` to ``folder``, or leave all as it is."""
    os.replace(folder, old)  # a folder that is not empty cannot be replaced in one step
    try:
        os.replace(new, folder)
    except BaseException:
        os.replace(old, folder)
        raise


def _remove(path: Path) -> None:
    """Delete a file or a whole folder; of a link, the link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _tree_to_disk(folder: Path) -> None:
    """Do as ``_to_disk`` for everything in a folder, and for the folder itself."""
    for place, _, names in os.walk(folder):
        for name in names:
            if not os.path.islink(os.path.join(place, name)):
                _to_disk(Path(place, name))
        _to_disk(Path(place))


def _to_disk(path: Path) -> None:
    """Wait until the operating system has written a file or a folder's entries."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

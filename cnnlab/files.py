"""The one way a file or folder appears: written beside its place, then moved onto it.

What is being written is, or lies in, ``.unfinished-…`` beside its place, so no pattern such as
``*.png`` finds it too early. Only a killed process leaves that behind; the name says which process
it was, so another one of the same machine can tell, and removes it (``remove_abandoned``).
"""

import fcntl
import functools
import os
import shutil
import socket
import tempfile
import time
import uuid
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnnlab.places import explained

_UNFINISHED = ".unfinished-"
DAY = 24 * 3600  # seconds; nothing is written for as long: what is older was left by a killed one
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
    with _workspace(path) as workspace:
        temporary = workspace / path.name
        yield temporary
        _move(temporary, path, durable)


def write(path: Path, content: str | bytes, *, durable: bool = True) -> None:
    """Write a whole file, text as UTF-8; arguments are those of ``replacing``."""
    data = content.encode() if isinstance(content, str) else content
    # No folder of its own: nothing here looks at endings, and making a folder may take 3 ms.
    temporary = path.with_name(f"{_UNFINISHED}{_owner()}-{uuid.uuid4().hex}")
    try:
        with explained(path, temporary):
            temporary.write_bytes(data)
            _move(temporary, path, durable)
    except BaseException:
        with suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()
        raise


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of ``folder`` if the block succeeds.

    After an error the earlier folder is as it was. A reader sees the old folder or the new one,
    complete; between two renames, for an instant, none. The new one is on disk by then.

    Of several processes that do so at once, the last one's stays, whole.

    Args:
        folder: Where the result goes; its parents are made. An earlier folder there is deleted.
    """
    make_folder(folder.parent)
    with _workspace(folder) as workspace:
        new = workspace / folder.name
        old = folder.with_name(workspace.name.replace(_UNFINISHED, _REPLACED))
        new.mkdir()
        yield new
        _tree_to_disk(new)
        with _turn(folder.parent):
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
    What killed processes left of earlier tries is removed first.

    Args:
        folder: Where the result goes; its parents are made. The given folder has the same name,
            and a parent that is deleted afterwards: a place for what only the making needs.

    Raises:
        OSError: It cannot be written, or ``folder`` has content by now: another process was faster.
    """
    make_folder(folder.parent)
    remove_abandoned(folder.parent)
    with _workspace(folder) as workspace:
        new = workspace / folder.name
        new.mkdir()
        yield new
        os.replace(new, folder)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents where they are missing; raises CannotWrite."""
    with explained(folder, folder):
        folder.mkdir(parents=True, exist_ok=True)


def remove_abandoned(folder: Path, seconds: float = DAY) -> None:
    """Delete what killed processes left unfinished in a folder.

    That is what a process of this machine, since its start, left that lives no more, or anybody at
    least so many seconds ago. A folder that was about to be replaced comes back where nothing took
    its place.
    """
    with suppress(OSError):
        for entry in list(os.scandir(folder)):
            name = entry.name
            with suppress(OSError):  # another process may be faster
                if name.startswith((_UNFINISHED, _REPLACED)) and (
                    _is_dead(name)
                    or time.time() - entry.stat(follow_symlinks=False).st_mtime > seconds
                ):
                    if name.startswith(_REPLACED):
                        _bring_back(Path(entry.path))
                    _remove(Path(entry.path))


def remove_all_abandoned(folder: Path) -> None:
    """Do as ``remove_abandoned`` in a folder and all folders below it; no link is followed."""
    for place, folders, _ in os.walk(folder):
        remove_abandoned(Path(place))
        folders[:] = [name for name in folders if not name.startswith((_UNFINISHED, _REPLACED))]


@contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    """Give a hidden folder beside ``target`` that is gone after the block; raises CannotWrite."""
    # The place is asked before the folder is gone, which makes room: hence the order.
    with (
        explained(target, target.parent),
        tempfile.TemporaryDirectory(
            prefix=f"{_UNFINISHED}{_owner()}-", dir=target.parent, ignore_cleanup_errors=True
        ) as made,
        explained(target, Path(made)),
    ):
        yield Path(made)


def _owner() -> str:
    """Return what names this process among all that write to a shared folder: machine and id."""
    return f"{_machine()}-{os.getpid()}"


@functools.cache
def _machine() -> str:
    """Return what tells running machines and containers apart, eight digits: ids may be equal.

    Machines may share a folder and have one name, so each start of one counts as another machine:
    what was left before it goes by its age.
    """
    facts = [socket.gethostname()]
    with suppress(OSError):  # not a Linux
        facts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        facts.append(os.readlink("/proc/self/ns/pid"))
    return f"{zlib.crc32(' '.join(facts).encode()):08x}"


def _is_dead(name: str) -> bool:
    """Whether an unfinished name is that of a process of this machine that lives no more."""
    _, _, rest = name.partition("-")
    machine, _, rest = rest.partition("-")
    number = rest.partition("-")[0]
    if machine != _machine() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is another user's
        pass
    return False


def _bring_back(replaced: Path) -> None:
    """Move a folder back that was about to be replaced, unless something has its place."""
    for folder in replaced.iterdir():
        if not (replaced.parent / folder.name).exists():
            os.replace(folder, replaced.parent / folder.name)


def _move(temporary: Path, path: Path, durable: bool) -> None:
    """Put a finished file in its place, first on disk if that is asked for."""
    if durable:
        _to_disk(temporary)
    os.replace(temporary, path)
    if durable:
        _to_disk(path.parent)


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Let one process at a time rename what lies in a folder, where its file system has locks."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _exchange(new: Path, folder: Path, old: Path) -> None:
    """Move ``folder`` into ``old`` and ``new`` to ``folder``, or leave all as it is."""
    old.mkdir()
    try:
        os.replace(folder, old / folder.name)  # one with content cannot be replaced in one step
        try:
            os.replace(new, folder)
        except BaseException:
            os.replace(old / folder.name, folder)
            raise
    except BaseException:
        old.rmdir()
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

"""Locks between processes: whoever lives holds them, whoever dies holds them no more.

They are those of ``flock(2)``. Where a file system has none (some network file systems), work goes
on without: ``alone`` says so, because two may then do the same work at once.
"""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import psutil

from cnnlab.config import InputError
from cnnlab.files import make_folder
from cnnlab.places import explained

IN_USE = ".in-use"  # in a folder that one process at a time may work in: who that is
PATIENCE = 5.0  # seconds; what a killed process started ends within two, see training.processes
_PAUSE = 0.1  # seconds
# What systems answer that have no locks, or none on a folder.
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF)


def wait(file: int | IO[Any]) -> None:
    """Lock an open file or folder until it is closed, after whoever holds it; if it can be."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise


@contextmanager
def alone(folder: Path | None, doing: str, patience: float = PATIENCE) -> Iterator[None]:
    """Keep other processes, and other threads, from doing the same in a folder.

    Args:
        folder: Made if missing; None: nothing is locked. ``.in-use`` stands in it meanwhile, and
            after a kill until the next call; it means nothing without the lock on it.
        doing: What is done there, for the message: "Run 'quick' is being executed".
        patience: Seconds to wait before it is an error.

    Raises:
        InputError: Another process does it; the message says which, where and since when.
        CannotWrite: The folder cannot be made or written to.
    """
    if folder is None:
        yield
        return
    file = _locked(folder / IN_USE, doing, time.monotonic() + patience)
    try:
        owner = {"pid": os.getpid(), "host": socket.gethostname(), "since": _now()}
        with suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(owner).encode(), 0)
        yield
    finally:
        with suppress(OSError):  # it may be gone, with its folder
            os.unlink(folder / IN_USE)
        os.close(file)


def refuse_another(folder: Path, doing: str) -> None:
    """Raise InputError while another process works alone in a folder; nothing is locked.

    A process that was started by the one at work, at whatever distance, works for it.

    Args:
        folder: See ``alone``.
        doing: What is done there, see ``alone``.
    """
    with suppress(OSError):  # nobody ever worked there
        file = os.open(folder / IN_USE, os.O_RDONLY)
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            if not _is_ours(_owner(file)):
                raise _refusal(doing, _owner(file)) from None
        finally:
            os.close(file)


def _is_ours(owner: dict[str, Any]) -> bool:
    """Whether a lock is this process' or that of one that started it; so if nobody can tell."""
    if not owner or owner["host"] != socket.gethostname():
        return not owner
    return owner["pid"] in (os.getpid(), *(each.pid for each in psutil.Process().parents()))


def _refusal(doing: str, owner: dict[str, Any]) -> InputError:
    said = f" ({owner['pid']} on {owner['host']}, since {owner['since']})" if owner else ""
    return InputError(f"{doing} by another process{said}: wait for it to end, or end it.")


def _locked(path: Path, doing: str, deadline: float) -> int:
    """Return the open file once this process has its lock; its folder is made."""
    while True:
        make_folder(path.parent)
        try:
            with explained(path, path):
                file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another process just removed the folder, which was empty
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(path, file):  # and not one that its last owner removed
                return file
        except BlockingIOError:
            if time.monotonic() > deadline:
                refusal = _refusal(doing, _owner(file))
                os.close(file)
                raise refusal from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                os.close(file)
                raise
            print(
                f"note: the file system of {path.parent} has no locks: nothing keeps a second "
                "process from doing the same there at once.",
                flush=True,
            )
            return file
        os.close(file)
        time.sleep(_PAUSE)


def _is(path: Path, file: int) -> bool:
    """Whether an open file is the one that a path names now."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


def _owner(file: int) -> dict[str, Any]:
    """Return who holds a lock: pid, host, since; nothing where its file does not say."""
    try:
        found = json.loads(os.pread(file, 1000, 0))
        return {"pid": int(found["pid"]), "host": str(found["host"]), "since": str(found["since"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

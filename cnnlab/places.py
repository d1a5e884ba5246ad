"""A place that cannot be written to: full, read-only or forbidden; what to say of it, and when."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the last: beyond what one file may have
PLACES = (*FULL, errno.EACCES, errno.EPERM, errno.EROFS)  # a fault of a place, not of the program
ROOM = (
    "Make room there (data/prepared and data/features may be deleted), then run the same again: "
    "what was finished is kept."
)
WRITABLE = "Make it writable, or let CNNLAB_HOME name another place."


class CannotWrite(OSError):  # noqa: N818 - said as it happens
    """A place that is full or cannot be written to; the message has what, where, why and the cure.

    Attributes:
        errno: One of ``PLACES``.
        strerror: The system's words.
        filename: What should have been written.
    """

    def __init__(self, number: int, path: Path, facts: str = "") -> None:
        super().__init__(number, os.strerror(number), str(path))
        self.facts = facts

    def __reduce__(self) -> tuple:  # OSError's own would call it with other arguments
        return type(self), (self.errno, self.filename, self.facts)

    def __str__(self) -> str:
        cure = ROOM if self.errno in FULL else WRITABLE
        facts = f" ({self.facts})" if self.facts else ""
        return f"Cannot write {self.filename}: {self.strerror}{facts}. {cure}"


def reason(error: OSError) -> str:
    """Return why something could not be written, in words, and how much room there is."""
    facts = getattr(error, "facts", "")
    return f"{error.strerror or error}" + (f" ({facts})" if facts else "")


def check_room(path: Path, size: int) -> None:
    """Raise CannotWrite now if the disk has no room for a file; it may still become full.

    Args:
        path: Where the file is to be; its folder exists.
        size: Its bytes.
    """
    free = shutil.disk_usage(path.parent).free
    if free < size:
        facts = f"it takes {_bytes(size)}, {_bytes(free)} are free: {_bytes(size - free)} missing"
        raise CannotWrite(errno.ENOSPC, path, facts)


@contextmanager
def explained(target: Path, temporary: Path) -> Iterator[None]:
    """Raise CannotWrite for an error that says that ``target`` could not be written.

    Args:
        target: Named in the message.
        temporary: The file or folder that is written; errors that name another are left alone.
    """
    try:
        yield
    except CannotWrite:
        raise
    except Exception as error:
        number = _fault_of_place(error)
        named = getattr(error, "filename", None)
        if number is None or (isinstance(named, str) and not _related(Path(named), temporary)):
            raise
        raise CannotWrite(number, target, _room(target) if number in FULL else "") from error


def _related(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _fault_of_place(error: Exception) -> int | None:
    """Return which of ``PLACES`` an error is; None: another one."""
    if isinstance(error, OSError) and error.errno in PLACES:
        return error.errno
    said = str(error)  # of libraries in other languages there are only words
    return next((number for number in FULL if os.strerror(number) in said), None)


def _room(target: Path) -> str:
    """Return how much room there is at a place; "" where it does not say."""
    place = next((each for each in target.parents if each.exists()), target.parent)
    with suppress(OSError):
        return f"{_bytes(shutil.disk_usage(place).free)} free in {place}"
    return ""


def _bytes(count: int) -> str:
    """Return a number of bytes in words."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count = -(-count // 1000)
    return f"{count:,.0f} GB"

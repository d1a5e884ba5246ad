"""The files of a model folder: the SHA-256 of each, checked before anything is loaded."""

import io
import os
import stat
from collections.abc import Iterable, Iterator, Set
from pathlib import Path

from cnnlab import hashing
from cnnlab.config import InputError

MAX_ENTRIES = 20_000  # files and folders; a contract lists half as many files


class ModelRefused(InputError):  # noqa: N818
    """A model folder from which nothing is loaded; the Go server refuses it with the same code.

    Attributes:
        code: ``damaged``: a file is not what the contract says, or the contract was edited;
            ``unsupported_contract``: a later version of cnnlab wrote it;
            ``invalid_contract``: an entry is missing, unknown, of a wrong type or out of range;
            ``untrusted``: the trusted key did not sign it;
            ``foreign_model``: it holds what no network of cnnlab does, see ``allow_list``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class ArtifactDamaged(ModelRefused):
    """A model folder is not what its contract says; the message names the file."""

    def __init__(self, message: str) -> None:
        super().__init__("damaged", message)


def damaged(folder: Path, name: str, what: str) -> ArtifactDamaged:
    """Return the error that names a damaged file, whose name may be anything."""
    name = name if name.isprintable() else ascii(name)
    return ArtifactDamaged(f"{name} in {folder} {what}: copy or save the model again.")


def hashes(folder: Path, leave_out: Set[str]) -> dict[str, str]:
    """Return the SHA-256, hexadecimal, of every file below a folder by its POSIX path, sorted.

    Args:
        folder: Where to look; empty folders in it do not count.
        leave_out: The paths that are not listed: a list cannot hold its own hash.

    Raises:
        ArtifactDamaged: There is a link, a FIFO or a device.
    """
    return {name: digest(folder, name) for name in sorted({*_names(folder)} - leave_out)}


def check(
    folder: Path, expected: dict[str, str], leave_out: Set[str], total: int | None = None
) -> None:
    """Compare every file below a folder with the hashes it should have.

    Args:
        folder: Where to look.
        expected: SHA-256 by POSIX path.
        leave_out: Paths that do not count.
        total: The bytes of all files together; None: unknown. Of more than twice as much nothing is
            read.

    Raises:
        ArtifactDamaged: A file is missing, changed, extra, unreadable or not a regular file.
    """
    found = set(_names(folder)) - leave_out
    for name in sorted(found ^ expected.keys()):
        what = "is not listed in the contract" if name in found else "is missing"
        raise damaged(folder, name, what)
    size = total_bytes(folder, expected)
    disagrees = damaged(folder, "contract.json", "does not agree with its files")
    if total is not None and size > 2 * total:
        raise disagrees
    for name in sorted(expected):
        if digest(folder, name) != expected[name]:
            raise damaged(folder, name, "was changed")
    if total not in (None, size):
        raise disagrees


def digest(folder: Path, name: str) -> str:
    """Return the SHA-256 of one file, hexadecimal.

    Raises:
        ArtifactDamaged: It cannot be read.
    """
    with open_regular(folder, name) as file:
        try:
            return hashing.file_digest(file)
        except OSError as error:
            raise damaged(folder, name, f"cannot be read ({error.strerror})") from error


def total_bytes(folder: Path, names: Iterable[str]) -> int:
    """Return the size of the named files together."""
    return sum((folder / name).stat().st_size for name in names)


def open_regular(folder: Path, name: str) -> io.BufferedReader:
    """Open a file for reading; never through a link, and without waiting for a FIFO.

    Raises:
        ArtifactDamaged: It is missing, unreadable, or not a regular file.
    """
    try:
        number = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise damaged(folder, name, "is missing") from None
    except OSError as error:
        raise damaged(folder, name, f"cannot be read ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise damaged(folder, name, "is not a regular file")
    return os.fdopen(number, "rb")


def _names(folder: Path) -> Iterator[str]:
    """Yield the POSIX path of every regular file below a folder.

    Raises:
        ArtifactDamaged: There is anything else, a folder that cannot be read, or too much.
    """
    waiting, seen = [folder], 0
    while waiting:
        inside = waiting.pop()
        try:
            entries = list(os.scandir(inside))  # a list, so that an error leaves nothing open
        except OSError as error:
            name = inside.relative_to(folder).as_posix()
            raise damaged(folder, name, f"cannot be read ({error.strerror})") from error
        seen += len(entries)
        for entry in entries:
            path = Path(entry.path)
            name = path.relative_to(folder).as_posix()
            if seen > MAX_ENTRIES:
                raise damaged(folder, name, f"is one of more than {MAX_ENTRIES:,} entries")
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                raise damaged(folder, name, "is not a regular file")

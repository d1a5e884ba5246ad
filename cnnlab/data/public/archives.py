"""Unpacking tar and zip archives that nobody has reason to trust."""

import gzip
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from tqdm.auto import tqdm

from cnnlab.config import InputError

CHUNK = 1 << 20
GZIP, ZIP = b"\x1f\x8b", b"PK\x03\x04"
MAX_NAME = 1024  # characters of a path
MAX_HEADER = 4096  # bytes that a tar file spends on one member, beside its content
DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    gzip.BadGzipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,  # numbers and names that cannot be read
    NotImplementedError,  # a zip compressed in a way that Python does not know
)

# What an archive holds: a name, whether it is a folder, its size in bytes, its content.
Member = tuple[str, bool, int, IO[bytes] | None]


class ArchiveRefused(InputError):  # noqa: N818 - said as it happens
    """The archive is damaged or asks for what no image archive needs; it is named."""


class _Bounded:
    """A stream that refuses to give more than ``limit`` bytes, however well they were packed."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile, limit: int, archive: Path) -> None:
        self.stream, self.left, self.archive = stream, limit, archive

    def read(self, size: int) -> bytes:
        data = self.stream.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ArchiveRefused(f"{self.archive} unpacks to more than it may.")
        return data


def extract(
    archive: Path, folder: Path, *, max_files: int, max_bytes: int, progress: bool = False
) -> int:
    """Unpack a tar, tar.gz or zip file into an empty folder; return the number of files.

    Only regular files and folders are made, below ``folder``, with ordinary permissions. The
    limits hold for what the archive declares and for what it really contains.

    Args:
        archive: A file; its first bytes say what it is, its name does not.
        folder: An empty folder. After an error it holds whatever was unpacked before.
        max_files: Most files and folders together.
        max_bytes: Most bytes of all files together.
        progress: Show a bar.

    Raises:
        ArchiveRefused: A link, a device, an absolute path or one with "..", a name that comes
            twice, too many files or bytes, a damaged or empty archive.

    Example:
        >>> extract(Path("a.zip"), Path("a"), max_files=10, max_bytes=10**6)  # doctest: +SKIP
        3
    """
    entries = files = total = 0
    try:
        bar = tqdm(
            _members(archive, folder, max_bytes + MAX_HEADER * max_files),
            "unpacking",
            unit="file",
            file=sys.stdout,
            disable=not progress,
        )
        for name, is_folder, size, content in bar:
            entries, total = entries + 1, total + size
            if entries > max_files:
                raise ArchiveRefused(f"{archive} holds more than {max_files:,} files.")
            if total > max_bytes:
                raise ArchiveRefused(f"{archive} unpacks to more than {max_bytes:,} bytes.")
            target = folder.joinpath(*_parts(archive, name))
            if is_folder:
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            files += 1
            if content is None or _store(content, target, size) != size:
                raise ArchiveRefused(f"{archive} is damaged: {name!r} is not whole.")
    except ArchiveRefused:
        raise
    except DAMAGED as error:
        raise ArchiveRefused(f"{archive} is damaged: {error}.") from None
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ArchiveRefused(f"{archive} names {error.filename} twice.") from None
    if not files:
        raise ArchiveRefused(f"{archive} holds no files.")
    return files


def _members(archive: Path, folder: Path, limit: int) -> Iterator[Member]:
    """Yield what the archive holds, one after the other, and refuse what is no file or folder."""
    with archive.open("rb") as file:
        first = file.read(len(ZIP))
        file.seek(0)
        if first == ZIP:
            yield from _zip_members(archive, file)
        elif first.startswith(GZIP):
            with gzip.open(file) as unpacked:
                yield from _tar_members(archive, folder, _Bounded(unpacked, limit, archive))
        else:
            yield from _tar_members(archive, folder, _Bounded(file, limit, archive))


def _tar_members(archive: Path, folder: Path, stream: _Bounded) -> Iterator[Member]:
    check = getattr(tarfile, "data_filter", None)  # new in Python 3.11.4; a second pair of eyes
    with tarfile.open(fileobj=stream, mode="r|") as tar:  # type: ignore[call-overload]
        for member in tar:
            if not (member.isfile() or member.isdir()) or member.issparse():
                raise ArchiveRefused(f"{archive}: {member.name!r} is neither a file nor a folder.")
            _parts(archive, member.name)
            if check:
                check(member, str(folder))
            yield member.name, member.isdir(), member.size, tar.extractfile(member)


def _zip_members(archive: Path, file: IO[bytes]) -> Iterator[Member]:
    with zipfile.ZipFile(file) as unpacked:
        for member in unpacked.infolist():
            kind = stat.S_IFMT(member.external_attr >> 16)  # 0 where no Unix made it
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise ArchiveRefused(
                    f"{archive}: {member.filename!r} is neither a file nor a folder."
                )
            if member.flag_bits & 1:
                raise ArchiveRefused(f"{archive}: {member.filename!r} is encrypted.")
            if member.is_dir():
                yield member.orig_filename, True, 0, None
                continue
            with unpacked.open(member) as content:
                yield member.orig_filename, False, member.file_size, content


def _parts(archive: Path, name: str) -> list[str]:
    """Return the folders and the name of a path inside the archive."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    bad = name.startswith("/") or ".." in parts or any(c in name for c in "\\\0")
    if bad or name[1:2] == ":" or len(name) > MAX_NAME:
        raise ArchiveRefused(f"{archive}: the path {name[:MAX_NAME]!r} leads out of the folder.")
    return parts


def _store(content: IO[bytes], target: Path, size: int) -> int:
    """Write at most ``size`` bytes into a new file and return how many there were."""
    done = 0
    with target.open("xb") as file:
        while done < size and (chunk := content.read(min(CHUNK, size - done))):
            done += len(chunk)
            file.write(chunk)
    return done

"""Everything that lies below a folder, whatever it is, and where its links lead."""

import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

from cnnlab.config import InputError

# Names that promise an image, decodable here or not: a refusal of one is worth reporting.
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".ico", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".tga", ".psd", ".svg", ".eps", ".raw", ".dng", ".cr2", ".nef", ".arw"),
)
# What systems leave in folders, besides files and folders whose names begin with a dot.
SYSTEM_FOLDERS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}

_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")
_BRANDS = (  # of AVIF and HEIC; ``images.headers`` tells which
    *(b"avif", b"avis", b"mif1", b"msf1", b"heic", b"heix", b"heim", b"heis"),
    *(b"hevc", b"hevx", b"hevm", b"hevs"),
)

UNREADABLE = "unreadable_folder"  # the reason of a folder that cannot be listed
BROKEN = "broken_link"
LOOP = "link_loop"
COPY = "link_to_copy"


class Found(NamedTuple):
    """Something in a folder.

    ``trouble`` is a reason code, or empty for an ordinary folder, a regular file and a link to one
    of these that is followed.
    """

    path: str  # below the root, with / between folders
    is_folder: bool
    trouble: str


class Tree:
    """What lies below ``root``. Links are followed, but no folder is entered in two ways.

    A link to a file is that file. A link to a folder is that folder, unless it is a loop
    (``link_loop``), or leads into ``root`` or where an earlier link led: its images would be copies
    (``link_to_copy``). Hidden folders, whose files are no members of the set, may be led to, but a
    hidden link to a folder is not followed (``hidden``).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._real = PurePath(os.path.realpath(root))
        self._entered: dict[PurePath, str] = {}  # folder outside the root → the link there
        self._above: set[PurePath] = set()  # the folders above these
        self.linked_image = ""  # the first link to an image elsewhere that was seen

    def scan(self, folder: str) -> list[Found]:
        """Return what lies in one folder, by name.

        Raises:
            OSError: It cannot be listed.
        """
        with os.scandir(self.root / folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
        return [self._judged(entry, f"{folder}/{entry.name}".lstrip("/")) for entry in ordered]

    def target(self, path: str) -> str:
        """Return where a link leads, in the end."""
        return os.path.realpath(self.root / path)

    def _judged(self, entry: os.DirEntry[str], path: str) -> Found:
        if entry.is_symlink():
            return self._followed(path)
        if entry.is_dir(follow_symlinks=False):
            return Found(path, is_folder=True, trouble="")
        regular = entry.is_file(follow_symlinks=False)
        return Found(path, is_folder=False, trouble="" if regular else "not_a_regular_file")

    def _followed(self, path: str) -> Found:
        try:
            mode = os.stat(self.root / path).st_mode
        except PermissionError:
            return Found(path, is_folder=False, trouble="unreadable")
        except OSError:
            return Found(path, is_folder=False, trouble=BROKEN)
        if not stat.S_ISDIR(mode):
            trouble = "" if stat.S_ISREG(mode) else "not_a_regular_file"
            if not (self.linked_image or trouble or is_hidden(path)) and promises_image(path):
                leads_in = PurePath(self.target(path)).is_relative_to(self._real)
                self.linked_image = "" if leads_in else path
            return Found(path, is_folder=False, trouble=trouble)
        if is_hidden(path):
            return Found(path, is_folder=False, trouble="hidden")
        real = PurePath(self.target(path))
        here = PurePath(os.path.realpath((self.root / path).parent))
        if self._real.is_relative_to(real) or here.is_relative_to(real):
            return Found(path, is_folder=False, trouble=LOOP)
        if self._is_member(real) or self._is_entered(real, path):
            return Found(path, is_folder=False, trouble=COPY)
        self._entered[real] = path
        self._above.update(real.parents)
        return Found(path, is_folder=True, trouble="")

    def _is_member(self, real: PurePath) -> bool:
        """Tell whether a folder lies in the root, and in no hidden folder."""
        inside = real.is_relative_to(self._real)
        return inside and not is_hidden(real.relative_to(self._real).as_posix())

    def _is_entered(self, real: PurePath, path: str) -> bool:
        """Tell whether another link led to a folder, into it, or to one above it."""
        if self._entered.get(real, path) != path:
            return True
        return real in self._above or any(above in self._entered for above in real.parents)


def walk(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (path relative to root, trouble) of everything that is not an ordinary folder.

    ``trouble`` is a reason code, or empty for a regular file; links as in ``Tree``. A folder that
    cannot be listed is one of these, too. Upper levels come first, each by name.

    Raises:
        InputError: The root itself cannot be listed.
    """
    tree = Tree(root)
    folders = deque([""])
    while folders:
        folder = folders.popleft()
        try:
            entries = tree.scan(folder)
        except OSError as error:
            if not folder:
                raise InputError(f"Cannot list {root}: {error.strerror}.") from None
            yield folder, UNREADABLE
            continue
        for path, is_folder, trouble in entries:
            if is_folder:
                folders.append(path)
                if promises_image(path):
                    yield path, "directory"
            else:
                yield path, trouble


def inner_target(root: Path, path: str) -> str:
    """Return the path below ``root`` that a link leads to; "" where it leads out, or is no link."""
    if not os.path.islink(root / path):
        return ""
    real = PurePath(os.path.realpath(root / path))
    above = os.path.realpath(root)
    return real.relative_to(above).as_posix() if real.is_relative_to(above) else ""


def promises_image(path: str) -> bool:
    """Tell whether a file's name ends as that of an image does."""
    return os.path.splitext(path)[1].lower() in EXTENSIONS


def begins_as_image(path: Path) -> bool:
    """Tell whether a regular file begins as an image does; not if it cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return (
        head.startswith(_SIGNATURES)
        or (head.startswith(b"RIFF") and head.endswith(b"WEBP"))
        or (head[4:8] == b"ftyp" and head[8:] in _BRANDS)  # AVIF and HEIC, but no film
        or (head.startswith(b"BM") and head[6:10] == bytes(4))  # a bitmap, but no text
    )


def is_hidden(path: str) -> bool:
    """Tell whether a path is hidden, or in a folder that is, or in one that a system made."""
    return any(part.startswith(".") or part in SYSTEM_FOLDERS for part in path.split("/"))


def text(path: str) -> str:
    """Return the path as text that UTF-8 can carry: itself, or with its odd bytes escaped.

    Only then are its backslashes doubled, so that the escape can be undone.
    """
    raw = os.fsencode(path)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")

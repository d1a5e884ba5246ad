"""Everything that lies below a folder, whatever it is; nothing is opened or followed."""

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from cnnlab.config import InputError

# Names that promise an image, decodable here or not: a refusal of one is worth reporting.
EXTENSIONS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".dib", ".webp", ".tif", ".tiff"),
    *(".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".ico", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".tga", ".psd", ".svg", ".eps", ".raw", ".dng", ".cr2", ".nef", ".arw"),
)

UNREADABLE = "unreadable_folder"  # the reason of a folder that cannot be listed


def walk(root: Path) -> Iterator[tuple[str, str]]:
    """Yield (path relative to root, trouble) of everything that is not an ordinary folder.

    ``trouble`` is a reason code, or empty for a regular file. Links are never followed, so a
    loop cannot trap the walk. A folder that cannot be listed is one of these, too.

    Raises:
        InputError: The root itself cannot be listed.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = list(os.scandir(root / folder))
        except OSError as error:
            if not folder:
                raise InputError(f"Cannot list {root}: {error.strerror}.") from None
            yield folder, UNREADABLE
            continue
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_symlink():
                yield path, "link"
            elif entry.is_dir(follow_symlinks=False):
                folders.append(path)
                if promises_image(path):
                    yield path, "directory"
            else:
                regular = entry.is_file(follow_symlinks=False)
                yield path, "" if regular else "not_a_regular_file"


def promises_image(path: str) -> bool:
    """Tell whether a file's name ends as that of an image does."""
    return PurePosixPath(path).suffix.lower() in EXTENSIONS


def text(path: str) -> str:
    """Return the path as text that UTF-8 can carry: itself, or with its odd bytes escaped.

    Only then are its backslashes doubled, so that the escape can be undone.
    """
    raw = os.fsencode(path)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")

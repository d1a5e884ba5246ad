"""The paths in a user's table: below its folder, each a file that is there, none twice."""

import os
import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cnnlab.config import InputError
from cnnlab.data.sources.user_table import SHOWN, UserTable, listed
from cnnlab.text.first_of import first_of

_WINDOWS_DRIVE = re.compile(r"[A-Za-z]:")


def checked(
    table: UserTable, root: Path, found: frozenset[str], *, unseen: bool = False
) -> list[str]:
    """Return the path of each row as the files below ``root`` are called.

    A backslash between folders is understood, and so are ``./`` and ``//``.

    Args:
        table: With a column ``path``.
        root: The folder that the paths are relative to.
        found: Every path below it, from ``listing.walk``.
        unseen: Accept paths in a folder that cannot be listed: the manifest has a row of it.

    Raises:
        InputError: A path is empty, absolute, outside the folder, of no file, or given twice.
    """
    given = table.columns["path"]
    relative = f"Expected paths relative to {root}."
    table.refuse([not path for path in given], "no path", relative)
    absolute = [path.startswith(("/", "\\")) or bool(_WINDOWS_DRIVE.match(path)) for path in given]
    table.refuse(absolute, f"absolute path {_first(given, absolute)}", relative)
    paths = [_normal(path, found) for path in given]
    outside = [path == ".." or path.startswith("../") for path in paths]
    table.refuse(outside, f"path outside the table's folder {_first(given, outside)}", relative)
    lost = [path not in found and not (unseen and _unlisted(root, path, found)) for path in paths]
    if any(lost):
        first = paths[lost.index(True)]
        table.refuse(lost, f"there is no file {_first(given, lost)}{_why(root, first, found)}",
                     relative)  # fmt: skip
    _refuse_double(table, paths)
    return paths


def _first(values: Sequence[str], wrong: Sequence[bool]) -> str:
    return repr(values[list(wrong).index(True)]) if any(wrong) else ""


def _normal(path: str, found: frozenset[str]) -> str:
    if "\\" in path and path not in found:
        path = path.replace("\\", "/")
    return posixpath.normpath(path)


def _why(root: Path, path: str, found: frozenset[str]) -> str:
    """Return why a file is not found that seems to be there, "" if it does not."""
    if folder := _unlisted(root, path, found):
        return f" to be seen: the folder {folder!r} cannot be listed"
    if (root / path).is_dir():
        return ", but a folder"
    if os.path.exists(root / path):
        return ": it lies behind a link that leads in a circle or into this folder"
    alike = sorted(each for each in found if _folded(each) == _folded(path))
    return f", but {alike[0]!r}, spelt otherwise" if alike else ""


def _unlisted(root: Path, path: str, found: frozenset[str]) -> str:
    """Return the folder above a path that could not be listed: only such ones are found; or ""."""
    above = map(str, PurePosixPath(path).parents)
    return next((each for each in above if each in found and _is_folder(root / each)), "")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _refuse_double(table: UserTable, paths: list[str]) -> None:
    """Raise InputError if a path stands in two rows, with one label or with several."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for place, path in enumerate(paths):
        rows[path].append(place)
    double = {path: places for path, places in rows.items() if len(places) > 1}
    if not double:
        return
    said = []
    for path, places in list(double.items())[:SHOWN]:
        text = f"{listed([table.numbers[place] for place in places])} {path!r}"
        for name in ("label", "group", "split"):
            values = {table.columns[name][place] for place in places if name in table.columns}
            if len(values) > 1:
                text += f" with the {name}s {' and '.join(map(repr, sorted(values)))}"
        said.append(text)
    raise InputError(
        f"{table.file} gives a file more than once: {first_of(said, SHOWN, total=len(double))}. "
        "Keep one row of each."
    )

"""Files named on the command line: one by one, by folder or by pattern."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cnnlab.config import InputError
from cnnlab.data.sources import listing


@dataclass(frozen=True)
class Found:
    """A file, or a folder that cannot be listed.

    Attributes:
        path: Where it is, as the command line would name it.
        named: Whether it was named itself, so that it must be an image; what merely lies in a
            folder or matches a pattern need not be one.
        unreadable: Whether it is a folder that cannot be listed.
    """

    path: str
    named: bool
    unreadable: bool = False


def find(names: Iterable[str]) -> list[Found]:
    """Return the files that names stand for, each once, in the order of the names.

    - A file stands for itself, whether it exists or not.
    - A folder stands for all files below it, upper ones first and by name; hidden ones are left
      out. Links to files and folders are followed, but none to what is found already, see
      ``listing.Tree``.
    - A pattern (``*``, ``?``, ``[…]``, and ``**`` for any depth) stands for what it matches, if
      no file has that very name.

    Raises:
        InputError: A folder or a pattern stands for nothing.
    """
    found: dict[str, Found] = {}
    for name in names:
        matches = list(_matches(name))
        if not matches:
            raise InputError(
                f"{name!r} matches no file: expected image files, folders that hold some, or "
                "patterns such as 'photos/**/*.jpg'."
            )
        for match in matches:
            found.setdefault(os.path.normpath(match.path), match)
    return list(found.values())


def _matches(name: str) -> Iterator[Found]:
    """Yield what one name stands for."""
    is_pattern = glob.has_magic(name) and not os.path.lexists(name)
    matches = sorted(glob.iglob(name, recursive=True)) if is_pattern else [name]
    for path in matches:
        if os.path.isdir(path):
            yield from _inside(path)
        elif not is_pattern or os.path.lexists(path):  # "nowhere/**" is said to match "nowhere/"
            yield Found(path, named=not is_pattern)


def _inside(folder: str) -> Iterator[Found]:
    """Yield the files below a folder, and the folders that cannot be listed."""
    try:
        for path, trouble in listing.walk(Path(folder)):
            if trouble in (listing.LOOP, listing.COPY, "directory") or listing.is_hidden(path):
                continue
            unreadable = trouble == listing.UNREADABLE
            yield Found(os.path.join(folder, path), named=False, unreadable=unreadable)
    except InputError:
        yield Found(folder, named=False, unreadable=True)

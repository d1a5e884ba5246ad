"""Files named on the command line: one by one, by folder or by pattern."""

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cnnlab.config import InputError


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
    - A folder stands for all files below it, sorted; hidden ones are left out and links to
      folders are not followed.
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
    failures: list[OSError] = []
    for parent, folders, files in os.walk(folder, onerror=failures.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield Found(os.path.join(parent, name), named=False)
    for failure in failures:
        yield Found(str(failure.filename), named=False, unreadable=True)

"""Labels from folders: ``root/<class>/*``, or ``root/<split>/<class>/*``."""

import os
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cnnlab.config import InputError
from cnnlab.data.sources import groups, listing
from cnnlab.data.sources.entries import Entry, Source

LAYOUTS = (("train", "test"), ("train", "validation", "test"), ("train", "validation"))
SPLIT_NAMES = {"train", "validation", "test"}
EXPECTED = (
    "expected FOLDER/<class>/*, or FOLDER/train/<class>/* with test or validation or both beside it"
)


@dataclass(frozen=True)
class FolderSource(Source):
    """A folder of class folders.

    ``splits`` is ``("",)`` for ``root/<class>/*``; for ``root/<split>/<class>/*`` it names the
    splits, training first. ``group_by`` is a regular expression that finds the group in a path; a
    ``groups.csv`` in the root may declare groups instead, see ``groups``.
    """

    unlisted: ClassVar[str] = "outside_class_folder"

    name: str
    root: Path
    splits: tuple[str, ...]
    truth: Path | None = None
    group_by: str = ""

    def folder(self, split: str, label: str) -> Path:
        """Return where the images of one class of one split lie."""
        return self.root / split / label

    def tables(self) -> tuple[str, ...]:
        """Return ``groups.csv``, if it is there."""
        return (groups.TABLE,) * (self.root / groups.TABLE).is_file()

    def class_names(self) -> list[str]:
        """Return the labels in the order that every later result uses: sorted.

        Raises:
            InputError: Fewer than two classes, classes that differ between splits, or a class
                folder without files. One that cannot be listed is a class all the same: the
                manifest says so, and no split is made without it.
        """
        labels = {split: _folders(self.root / split) for split in self.splits}
        first = labels[self.splits[0]]
        for split, found in labels.items():
            if found != first:
                raise InputError(_difference(self, split, first, found))
        if len(first) < 2:
            found_one = f"only one class folder, {first[0]}" if first else "no class folders"
            raise InputError(
                f"{self.root / self.splits[0]} has {found_one}; a classifier needs at least two: "
                f"{EXPECTED}."
            )
        for split in self.splits:
            for label in first:
                folder = self.folder(split, label)
                if _is_empty(folder):
                    raise InputError(
                        f"The class folder {folder} holds no file of its own: add images or "
                        "delete it."
                    )
        return first

    def entries(self) -> dict[str, Entry]:
        """Return path → entry of everything in a class folder that is not hidden.

        A class folder that cannot be listed has an entry itself.
        """
        names = frozenset(self.class_names())
        found = dict(listing.walk(self.root))
        places = {
            path: place for path, why in found.items() if (place := self._place(names, path, why))
        }
        declared = self._groups(frozenset(found), places)
        return {
            path: Entry(path, label, split, declared.get(path, ""))
            for path, (split, label) in places.items()
        }

    def _groups(self, found: frozenset[str], labelled: Collection[str]) -> dict[str, str]:
        """Return path → group of the files that have one."""
        if self.tables() and self.group_by:
            raise InputError(
                f"{self.root / groups.TABLE} declares groups, and group_by={self.group_by!r} is "
                "set: use one."
            )
        if self.tables():
            return groups.by_table(self.root, found)
        return groups.by_pattern(self.group_by, labelled) if self.group_by else {}

    def _place(self, names: frozenset[str], path: str, why: str) -> tuple[str, str] | None:
        """Return (split, label) of a path; None outside any class folder, and if it is hidden."""
        parts = path.split("/")
        if any(part.startswith(".") for part in parts):
            return None
        split = parts.pop(0) if self.splits != ("",) else ""
        deep = len(parts) > 1 or why == listing.UNREADABLE
        if split not in self.splits or not (parts and deep and parts[0] in names):
            return None
        return split, listing.text(parts[0])


def open_folder(root: Path, group_by: str = "") -> FolderSource:
    """Return the source that a folder is.

    Raises:
        InputError: It does not hold one folder per class, the same in every split, or its groups
            cannot be used.
    """
    source = FolderSource(root.name, root, _splits(root), group_by=group_by)
    source.class_names()
    if group_by or source.tables():
        source.entries()
    return source


def _splits(root: Path) -> tuple[str, ...]:
    """Return the split folders below ``root``, or ``("",)`` if its folders are the classes."""
    found = _folders(root)
    if not found:
        raise InputError(f"{root} has no class folders: {EXPECTED}.")
    for layout in LAYOUTS:
        if set(found) == set(layout):
            return layout
    # A class may be called "train" (beside "ship"), but then it has images, not folders, in it.
    if any(name.lower() in SPLIT_NAMES and _folders(root / name) for name in found):
        raise InputError(f"{root} has the folders {', '.join(found)}: {EXPECTED}.")
    return ("",)


def _folders(folder: Path) -> list[str]:
    """Return the names of the visible real folders in ``folder``, sorted."""
    return sorted(entry.name for entry in _visible(folder) if entry.is_dir(follow_symlinks=False))


def _is_empty(folder: Path) -> bool:
    """Whether a folder holds no file of its own; one that cannot be listed may hold some."""
    try:
        return len(_visible(folder)) == len(_folders(folder))
    except InputError:
        return False


def _visible(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder that are not hidden."""
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"Cannot list {folder}: {error.strerror}.") from None


def _difference(source: FolderSource, split: str, first: list[str], found: list[str]) -> str:
    """Return the message that names the classes which only one of two splits has."""
    reference = source.splits[0]
    parts = [
        f"only in {name}: {', '.join(sorted(extra))}"
        for name, extra in ((reference, set(first) - set(found)), (split, set(found) - set(first)))
        if extra
    ]
    alike = {unicodedata.normalize("NFC", name) for name in first} == {
        unicodedata.normalize("NFC", name) for name in found
    }
    hint = " These names look alike but are spelt in other characters." if alike else ""
    return f"The classes of {source.root} differ between splits ({'; '.join(parts)}).{hint}"

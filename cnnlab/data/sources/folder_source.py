"""Labels from folders: ``root/<class>/*``, or ``root/<split>/<class>/*``."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cnnlab.config import InputError
from cnnlab.data.sources import groups, layout, listing
from cnnlab.data.sources.entries import Entry, Source
from cnnlab.data.sources.layout import Layout


@dataclass(frozen=True)
class FolderSource(Source):
    """A folder of class folders, as ``layout.read`` understands it.

    ``group_by`` is a regular expression that finds the group in a path; a ``groups.csv`` in the
    root may declare groups instead, see ``groups``.
    """

    unlisted: ClassVar[str] = "outside_class_folder"

    name: str
    root: Path
    truth: Path | None = None
    group_by: str = ""
    notes: tuple[str, ...] = ()

    def layout(self) -> Layout:
        """Return what the folder is, now.

        Raises:
            InputError: It cannot be understood, see ``layout.read``.
        """
        return layout.read(self.root)

    def unlabelled(self) -> str:
        """Return the test folder, where it has images and no class folders."""
        return self.layout().unlabelled

    def tables(self) -> tuple[str, ...]:
        """Return ``groups.csv``, if it is there."""
        return (groups.TABLE,) * (self.root / groups.TABLE).is_file()

    def class_names(self) -> list[str]:
        """Return the labels in the order that every later result uses: sorted.

        A class folder that cannot be listed is one all the same: the manifest says so, and no split
        is made without it.

        Raises:
            InputError: The folder cannot be understood, see ``layout.read``.
        """
        return list(self.layout().classes)

    def entries(self) -> dict[str, Entry]:
        """Return path → entry of everything in a class folder that is not hidden.

        A class folder that cannot be listed has an entry itself.
        """
        understood = self.layout()
        names = frozenset(understood.classes)
        found = dict(listing.walk(self.root))
        places = {
            path: place
            for path, why in found.items()
            if (place := _place(understood.places, names, path, why))
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


def open_folder(root: Path, group_by: str = "") -> FolderSource:
    """Return the source that a folder is.

    Raises:
        InputError: It cannot be understood, see ``layout.read``, or its groups cannot be used.
    """
    source = FolderSource(root.name, root, group_by=group_by, notes=layout.read(root).notes)
    if group_by or source.tables():
        source.entries()
    return source


def _place(
    places: dict[str, str], names: frozenset[str], path: str, why: str
) -> tuple[str, str] | None:
    """Return (split, label) of a path; None outside any class folder, and if it is hidden."""
    if listing.is_hidden(path):
        return None
    for split, place in places.items():
        inner = path.removeprefix(f"{place}/") if place else path
        label, *deeper = inner.split("/")
        is_in = not place or inner != path
        if is_in and label in names and (deeper or why == listing.UNREADABLE):
            return split, listing.text(label)
    return None

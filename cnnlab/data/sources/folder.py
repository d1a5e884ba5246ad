"""One folder of a set, seen by what decides a layout: its folders, and whether images lie in it."""

from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from cnnlab.config import InputError
from cnnlab.data.sources import listing
from cnnlab.data.sources.listing import Found, Tree

_LOST = {
    listing.BROKEN: "where nothing is: mend or remove it",
    listing.LOOP: "around the folder that it lies in: remove it",
    listing.COPY: "whose images are in the set already and would be copies: remove it",
    "unreadable": "which may not be read: make it readable, or remove it",
}


class _Listed(NamedTuple):
    folders: list["Folder"]
    files: list[str]
    lost: list[Found]


class Folder:
    """What is visible in a folder. It is listed when first asked, and holds no list of files.

    Attributes:
        tree: What it is a folder of.
        path: Below the root of the set.
        name: Its last part.
        where: The folder itself.
    """

    def __init__(self, tree: Tree, path: str) -> None:
        self.tree = tree
        self.path, self.name, self.where = path, path.rpartition("/")[2], tree.root / path

    def __str__(self) -> str:
        return listing.text(self.path)

    @cached_property
    def folders(self) -> list["Folder"]:
        """Its folders and the links to folders that are followed; none if it cannot be listed."""
        return self._seen[0]

    @cached_property
    def filled(self) -> list["Folder"]:
        """Those of its folders with an image at any depth."""
        return [folder for folder in self.folders if folder.is_filled]

    @property
    def has_images(self) -> bool:
        """Whether an image lies in it, not deeper; one that cannot be listed may hold some."""
        return self._seen[1]

    @cached_property
    def is_filled(self) -> bool:
        """Whether an image lies in it, at any depth."""
        waiting = [self]
        while waiting:
            each = waiting.pop()
            if each.has_images:
                return True
            waiting += reversed(each.folders)
        return False

    def example(self) -> str:
        """Return the path of a file in it, at any depth, or ""."""
        waiting = [self]
        while waiting:
            each = waiting.pop()
            if files := each._list().files:
                return listing.text(files[0])
            waiting += reversed(each.folders)
        return ""

    def count(self) -> int:
        """Return how many images lie in it, not deeper."""
        return sum(map(self._is_image, self._list().files))

    def tables(self) -> list[Path]:
        """Return the CSV files that lie in it."""
        files = (self.tree.root / path for path in self._list().files)
        return [file for file in files if file.suffix.lower() == ".csv"]

    def require(self) -> None:
        """Raise InputError if it cannot be listed, or a link in it leads to no folder of its own.

        Broken links whose names end as those of files do are left to the manifest.
        """
        try:
            lost = self._list().lost
        except OSError as error:
            raise InputError(f"Cannot list {self.where}: {error.strerror}.") from None
        for path, _, trouble in lost:
            if trouble not in (listing.BROKEN, "unreadable") or not Path(path).suffix:
                target = listing.text(self.tree.target(path))
                raise InputError(
                    f"{self.tree.root / listing.text(path)} is a link to {target}, "
                    f"{_LOST[trouble]}."
                )

    @cached_property
    def _seen(self) -> tuple[list["Folder"], bool]:
        try:
            listed = self._list()
        except OSError:
            return [], True
        named = any(map(listing.promises_image, listed.files))  # before any is opened
        return listed.folders, named or any(map(self._is_image, listed.files))

    def _list(self) -> _Listed:
        found = [
            each
            for each in self.tree.scan(self.path)
            if not listing.is_hidden(each.path.rpartition("/")[2])
        ]
        return _Listed(
            [Folder(self.tree, each.path) for each in found if each.is_folder],
            [each.path for each in found if not (each.is_folder or each.trouble)],
            [each for each in found if each.trouble in _LOST],
        )

    def _is_image(self, path: str) -> bool:
        return listing.promises_image(path) or listing.begins_as_image(self.tree.root / path)

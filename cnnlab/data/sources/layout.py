"""What a folder is: which of its folders are splits and classes, told by where the images lie.

Stray files decide nothing. What is understood otherwise than it is written is said in a sentence;
what is unclear is refused, with the cure.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnlab.config import InputError
from cnnlab.data.sources import layout_faults, listing
from cnnlab.data.sources.entries import SPLITS, alike, split_of
from cnnlab.data.sources.folder import Folder
from cnnlab.data.sources.layout_faults import EXPECTED, class_names, listed
from cnnlab.data.sources.listing import Tree


@dataclass(frozen=True)
class Layout:
    """What a folder is.

    Attributes:
        places: Split → its folder below the root, train first; ``{"": ""}`` without splits.
        classes: The names of the class folders in each of these, sorted.
        unlabelled: The folder of test images without labels; empty if there is none.
        notes: What was understood otherwise than it was written, or left out; sentences.
    """

    places: dict[str, str]
    classes: tuple[str, ...]
    unlabelled: str = ""
    notes: tuple[str, ...] = ()


def read(root: Path) -> Layout:
    """Return what a folder is. Links count as what they lead to, see ``listing.Tree``.

    A folder called as a split (``split_of``) is one, unless it holds images itself and stands
    beside class folders: then it is a class. A class has an image at any depth.

    Raises:
        InputError: It is no set of labelled images, or it is unclear where its classes are.
    """
    top = Folder(Tree(root), "")
    top.require()
    named = [folder for folder in top.filled if split_of(folder.name)]
    if named and (named == top.filled or not all(folder.has_images for folder in named)):
        return _of_splits(top, named)
    return _of_classes(top, named)


def _of_classes(top: Folder, named: list[Folder]) -> Layout:
    """Return the layout of a folder whose folders are the classes."""
    layout_faults.refuse_wrapped(top, top)
    layout_faults.refuse_empty(top, [top])
    layout_faults.refuse_few(top)
    notes = [f"taken as classes, not as splits: {listed(named)}"] if named else []
    same = {each.name for each in top.filled[0].filled}
    if len(same) > 1 and all(
        not folder.has_images and {each.name for each in folder.filled} == same
        for folder in top.filled
    ):
        said = f"{listed(top.filled)} hold the same folders, {listed(sorted(same))}"
        words = {word for folder in top.filled for word in _words(folder.name)}
        if words & SPLITS.keys():
            raise InputError(
                f"In {top.where}, {said}. If they are splits, call them train, validation and "
                "test; if they are classes, call them otherwise."
            )
        notes.append(f"{said}: {listed(class_names(top))} are the classes")
    return Layout({"": ""}, class_names(top), notes=(*notes, *_remarks(top, [top])))


def _of_splits(top: Folder, named: list[Folder]) -> Layout:
    """Return the layout of a folder whose folders are the splits."""
    places, notes = _places(top, named)
    unlabelled = ""
    flat = [folder for folder in places.values() if folder.has_images and not folder.filled]
    if flat == [places.get("test")]:
        unlabelled = places.pop("test").path
        notes.append(
            f"{flat[0]}/ holds {_counted(flat[0].count())} but no class folders: unlabelled, kept "
            "for cnnlab predict; the test set is drawn from train"
        )
    elif flat:
        raise InputError(layout_faults.flat(top, flat))
    elif len(places) == 1:
        raise InputError(layout_faults.deeper(top, places["train"]))
    train, folders = places["train"], list(places.values())
    for folder in folders:
        if folder is train or folder.filled[0].name not in class_names(train):
            layout_faults.refuse_wrapped(top, folder)
    layout_faults.refuse_empty(top, folders)
    for folder in folders:
        if class_names(folder) != class_names(train):
            raise InputError(layout_faults.difference(top, train, folder))
    layout_faults.refuse_few(train)
    below = {name: folder.path for name, folder in places.items()}
    return Layout(below, class_names(train), unlabelled, (*notes, *_remarks(top, folders, flat)))


def _places(top: Folder, named: list[Folder]) -> tuple[dict[str, Folder], list[str]]:
    """Return split → folder, train first, and notes."""
    if beside := [folder for folder in top.filled if folder not in named]:
        raise InputError(
            f"{top.where} has {listed(named)}, called as splits, and other folders with images "
            f"beside, {listed(beside)}: {EXPECTED}. Rename the former or move the latter."
        )
    places: dict[str, Folder] = {}
    notes: list[str] = []
    for split in dict.fromkeys(SPLITS.values()):
        called = [folder for folder in top.folders if split_of(folder.name) == split]
        filled = [folder for folder in called if folder in named]
        if len(filled) > 1:
            raise InputError(
                f"{top.where} has {listed(filled)}, which both mean the {split} set: expected one "
                "folder. Put them together, or move one elsewhere."
            )
        if called and not filled:
            others = "" if split == "train" else f", or remove it: then the {split} set is drawn"
            raise InputError(f"{called[0].where} holds no images: add class folders{others}.")
        if filled:
            places[split] = _inner(filled[0], notes)
            places[split].require()
    if "train" not in places:
        if len(places) == 1 and not any(folder.has_images for folder in places.values()):
            raise InputError(layout_faults.deeper(top, next(iter(places.values()))))
        raise InputError(f"{top.where} has {listed(named)} and no train/: {EXPECTED}.")
    if unused := [folder for folder in top.folders if not folder.is_filled]:
        notes.append(f"not used, for they hold no images: {listed(unused)}")
    return places, notes


def _inner(folder: Folder, notes: list[str]) -> Folder:
    """Return where the classes of a split lie: archives may have train/train/<class>."""
    split, outer = split_of(folder.name), folder
    while not folder.has_images and [split_of(each.name) for each in folder.filled] == [split]:
        folder = folder.filled[0]
    if folder is not outer:
        notes.append(f"{folder}/ is taken as {outer}/")
    return folder


def _remarks(top: Folder, folders: list[Folder], flat: Sequence[Folder] = ()) -> list[str]:
    """Return notes on images outside class folders, deeper images, links, and names."""
    classes = [each for folder in folders for each in folder.filled]
    notes = []
    if loose := sum(each.count() for each in {top, *folders} if each.has_images):
        notes.append(f"{_counted(loose)} outside the class folders: not used")
    if deeper := [inner for each in classes for inner in each.filled]:
        notes.append(
            f"images in folders below a class are taken too ({listed(deeper)}): the class is the "
            "first level"
        )
    if links := [each for each in [*folders, *flat, *classes] if each.where.is_symlink()]:
        shown = [f"{each} leads to {listing.text(str(each.where.resolve()))}" for each in links]
        notes.append(f"links are followed: {listed(shown)}")
    if image := top.tree.linked_image:
        target = listing.text(top.tree.target(image))
        notes.append(f"links to images are read, such as {listing.text(image)}, of {target}")
    return notes + alike(class_names(folders[0]))


def _words(name: str) -> list[str]:
    return re.split("[^a-z]+", name.casefold())


def _counted(images: int) -> str:
    return f"{images} image{'s' * (images != 1)}"

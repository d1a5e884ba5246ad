"""What a folder is: which of its folders are splits and classes, told by where the images lie.

Stray files decide nothing. What is understood otherwise than it is written is said in a sentence;
what is unclear is refused, with the cure.
"""

import re
import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from cnnlab.config import InputError
from cnnlab.data.sources import listing
from cnnlab.data.sources.contents import Contents
from cnnlab.data.sources.entries import alike, is_alike
from cnnlab.data.sources.groups import TABLE as GROUPS
from cnnlab.data.sources.listing import Tree

EXPECTED = (
    "expected FOLDER/<class>/*, or FOLDER/train/<class>/* with test or validation or both beside it"
)
SPLITS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
SHOWN = 10  # names in a message


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


def split_of(name: str) -> str:
    """Return the split that a name stands for, in any case: train, validation, test or ""."""
    return SPLITS.get(name.strip().casefold(), "")


def read(root: Path) -> Layout:
    """Return what a folder is. Links count as what they lead to, see ``listing.Tree``.

    A folder called as a split (``split_of``) is one, unless it holds images itself and stands
    beside class folders: then it is a class. A class has an image at any depth.

    Raises:
        InputError: It is no set of labelled images, or it is unclear where its classes are.
    """
    top = Contents(Tree(root), "")
    top.require()
    named = [folder for folder in top.filled if split_of(folder.name)]
    if named and (named == top.filled or not all(folder.has_images for folder in named)):
        return _of_splits(top, named)
    return _of_classes(top, named)


def _of_classes(top: Contents, named: list[Contents]) -> Layout:
    """Return the layout of a folder whose folders are the classes."""
    _refuse_wrapped(top, top)
    _refuse_empty(top, [top])
    _refuse_few(top, top)
    notes = [f"{_listed(named)}: taken as a class, no split"] if named else []
    same = {each.name for each in top.filled[0].filled}
    if len(same) > 1 and all(
        not folder.has_images and {each.name for each in folder.filled} == same
        for folder in top.filled
    ):
        said = f"{_listed(top.filled)} hold the same folders, {_listed(sorted(same))}"
        words = {word for folder in top.filled for word in _words(folder.name)}
        if words & SPLITS.keys():
            raise InputError(
                f"In {top.where}, {said}. If they are splits, call them train, validation and "
                "test; if they are classes, call them otherwise."
            )
        notes.append(f"{said}: {', '.join(each.name for each in top.filled)} are the classes")
    return Layout({"": ""}, _names(top), notes=(*notes, *_remarks(top, [top])))


def _of_splits(top: Contents, named: list[Contents]) -> Layout:
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
        raise InputError(_flat(top, flat))
    elif len(places) == 1:
        raise InputError(_deeper(top, places["train"]))
    train, folders = places["train"], list(places.values())
    for folder in folders:
        if folder is train or folder.filled[0].name not in _names(train):
            _refuse_wrapped(top, folder)
    _refuse_empty(top, folders)
    for folder in folders:
        if _names(folder) != _names(train):
            raise InputError(_difference(top, train, folder))
    _refuse_few(top, train)
    below = {name: folder.path for name, folder in places.items()}
    return Layout(below, _names(train), unlabelled, (*notes, *_remarks(top, folders)))


def _places(top: Contents, named: list[Contents]) -> tuple[dict[str, Contents], list[str]]:
    """Return split → folder, train first, and notes."""
    if beside := [folder for folder in top.filled if folder not in named]:
        raise InputError(
            f"{top.where} has {_listed(named)}, called as splits, and other folders with images "
            f"beside, {_listed(beside)}: {EXPECTED}. Rename the former or move the latter."
        )
    places: dict[str, Contents] = {}
    notes: list[str] = []
    for split in dict.fromkeys(SPLITS.values()):
        called = [folder for folder in top.folders if split_of(folder.name) == split]
        filled = [folder for folder in called if folder in named]
        if len(filled) > 1:
            raise InputError(
                f"{top.where} has {_listed(filled)}, which both mean the {split} set: expected one "
                "folder. Put them together, or move one elsewhere."
            )
        if called and not filled:
            others = "" if split == "train" else f", or remove it: then the {split} set is drawn"
            raise InputError(f"{called[0].where} holds no images: add class folders{others}.")
        if filled:
            places[split] = _inner(filled[0], notes)
            places[split].require()
    if "train" not in places:
        raise InputError(f"{top.where} has {_listed(named)} and no train/: {EXPECTED}.")
    if unused := [folder for folder in top.folders if not folder.is_filled]:
        notes.append(f"not used, for they hold no images: {_listed(unused)}")
    return places, notes


def _inner(folder: Contents, notes: list[str]) -> Contents:
    """Return where the classes of a split lie: archives may have train/train/<class>."""
    split, outer = split_of(folder.name), folder
    while not folder.has_images and [split_of(each.name) for each in folder.filled] == [split]:
        folder = folder.filled[0]
    if folder is not outer:
        notes.append(f"{folder}/ is the {split} set")
    return folder


def _refuse_wrapped(top: Contents, folder: Contents) -> None:
    """Raise InputError if the classes seem to lie deeper: in the only folder there is."""
    inner = folder
    while len(inner.filled) == 1 and not (inner is not folder and inner.has_images):
        inner = inner.filled[0]
    if inner is not folder and len(inner.filled) > 1:
        raise InputError(
            _deeper(folder, inner, "" if folder is top else f"move them up, into {folder}/")
        )


def _refuse_empty(top: Contents, folders: Iterable[Contents]) -> None:
    """Raise InputError if a class folder has no images, or if there is no class folder."""
    for folder in folders:
        if folder.has_images and not folder.filled:
            raise InputError(_flat(top, [folder]))
        if not folder.folders:
            raise InputError(f"{folder.where} has no class folders and no images: {EXPECTED}.")
    empty = [each for folder in folders for each in folder.folders if not each.is_filled]
    if empty:
        file = next(filter(None, (each.example() for each in empty)), "")
        other = f" What is there, such as {file}, is no image of a known format." if file else ""
        raise InputError(
            f"{top.where} has classes without images: {_listed(empty)}. Add images to "
            f"{'each' if len(empty) > 1 else 'it'}; a folder that is no class belongs elsewhere."
            f"{other}"
        )


def _refuse_few(top: Contents, folder: Contents) -> None:
    if len(folder.folders) < 2:
        raise InputError(
            f"{folder.where} has only one class folder, {_listed(_names(folder))}; a classifier "
            f"needs at least two: {EXPECTED}."
        )


def _difference(top: Contents, train: Contents, other: Contents) -> str:
    """Return the message that names the classes which only one of two splits has."""
    first, second = set(_names(train)), set(_names(other))
    parts = [
        f"only in {folder}: {_listed(sorted(names))}"
        for folder, names in ((train, first - second), (other, second - first))
        if names
    ]
    cure = f"Add the missing ones, or remove {other}/: then some images of train are drawn."
    if any(is_alike(one, two) for one in first - second for two in second - first):
        cure = "Names that look alike but are spelt in other characters are different: use one."
    return f"The classes of {top.where} differ between splits ({'; '.join(parts)}). {cure}"


def _flat(top: Contents, folders: list[Contents]) -> str:
    """Return what to say of folders with images and without class folders."""
    said = f"In {top.where}, {_listed(folders)}" if folders != [top] else str(top.where)
    table = [path for path in top.tables() if path.name != GROUPS]
    given = f", or give the table: DATA={shlex.quote(str(table[0]))}" if len(table) == 1 else ""
    return (
        f"{said} hold{'s' if len(folders) == 1 else ''} images but no class folders: put the "
        f"images of each class in a folder with its name{given}."
    )


def _deeper(folder: Contents, inner: Contents, cure: str = "") -> str:
    """Return what to say of a folder whose classes lie in ``inner``, in the only folder of it."""
    what = "splits" if any(split_of(each.name) for each in inner.filled) else "classes"
    depth = len(inner.where.relative_to(folder.where).parts)
    levels = "one level" if depth == 1 else f"{depth} levels"
    empty = [each for each in folder.folders if not each.is_filled]
    beside = f", and there are no images in {_listed(empty)}" if empty else ""
    cure = cure or f"give DATA={shlex.quote(listing.text(str(inner.where)))}"
    return f"In {folder.where}, the {what} lie {levels} deeper, in {inner}/{beside}: {cure}."


def _remarks(top: Contents, folders: list[Contents]) -> list[str]:
    """Return notes on images outside class folders, deeper images, links, and names."""
    classes = [each for folder in folders for each in folder.filled]
    notes = []
    if loose := sum(each.count() for each in {top, *folders} if each.has_images):
        notes.append(f"{_counted(loose)} outside the class folders: not used")
    if deeper := [inner for each in classes for inner in each.filled]:
        notes.append(
            f"images in folders of a class are taken, too ({_listed(deeper)}): the class is the "
            "first level"
        )
    if links := [each for each in [*folders, *classes] if each.where.is_symlink()]:
        shown = [f"{each} leads to {listing.text(str(each.where.resolve()))}" for each in links]
        notes.append(f"links are followed: {_listed(shown)}")
    return notes + alike(_names(folders[0]))


def _names(folder: Contents) -> tuple[str, ...]:
    return tuple(sorted(each.name for each in folder.folders))


def _words(name: str) -> list[str]:
    return re.split("[^a-z]+", name.casefold())


def _counted(images: int) -> str:
    return f"{images} image{'s' * (images != 1)}"


def _listed(names: Collection[str | Contents]) -> str:
    """Return names, those of folders with a slash, and how many more there are."""
    shown = [listing.text(each) if isinstance(each, str) else f"{each}/" for each in names]
    more = [f"and {len(shown) - SHOWN} more"] if len(shown) > SHOWN else []
    return ", ".join(shown[:SHOWN] + more)

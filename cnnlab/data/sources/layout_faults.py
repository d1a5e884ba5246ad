"""What to say of a folder that is no set of labelled images: what came, and the exact cure."""

import shlex
from collections.abc import Collection, Iterable

from cnnlab.config import InputError
from cnnlab.data.sources import listing
from cnnlab.data.sources.entries import is_alike, split_of
from cnnlab.data.sources.folder import Folder
from cnnlab.data.sources.groups import TABLE as GROUPS
from cnnlab.text.first_of import first_of

EXPECTED = (
    "expected FOLDER/<class>/*, or FOLDER/train/<class>/* with test or validation or both beside it"
)
SHOWN = 10  # names in a message


def refuse_wrapped(top: Folder, folder: Folder) -> None:
    """Raise InputError if the classes seem to lie deeper: in the only folder there is."""
    inner = folder
    while len(inner.filled) == 1 and not (inner is not folder and inner.has_images):
        inner = inner.filled[0]
    if inner is not folder and len(inner.filled) > 1:
        raise InputError(
            deeper(folder, inner, "" if folder is top else f"move them up, into {folder}/")
        )


def refuse_empty(top: Folder, folders: Iterable[Folder]) -> None:
    """Raise InputError if a class folder has no images, or if there is no class folder."""
    for folder in folders:
        if folder.has_images and not folder.filled:
            raise InputError(flat(top, [folder]))
        if not folder.folders:
            raise InputError(f"{folder.where} has no class folders and no images: {EXPECTED}.")
    empty = [each for folder in folders for each in folder.folders if not each.is_filled]
    if empty:
        file = next(filter(None, (each.example() for each in empty)), "")
        other = f" What is there, such as {file}, is no image of a known format." if file else ""
        raise InputError(
            f"{top.where} has classes without images: {listed(empty)}. Add images to "
            f"{'each' if len(empty) > 1 else 'it'}; a folder that is no class belongs elsewhere."
            f"{other}"
        )


def refuse_few(folder: Folder) -> None:
    """Raise InputError if there is only one class folder."""
    names = class_names(folder)
    if len(names) < 2:
        raise InputError(
            f"{folder.where} has only one class folder, {listed(names)}; a classifier needs at "
            f"least two: {EXPECTED}."
        )


def difference(top: Folder, train: Folder, other: Folder) -> str:
    """Return the message that names the classes which only one of two splits has."""
    first, second = set(class_names(train)), set(class_names(other))
    parts = [
        f"only in {folder}: {listed(sorted(names))}"
        for folder, names in ((train, first - second), (other, second - first))
        if names
    ]
    cure = f"Add the missing ones, or remove {other}/: then some images of train are drawn."
    if any(is_alike(one, two) for one in first - second for two in second - first):
        cure = "Names that look alike but are spelt in other characters are different: use one."
    return f"The classes of {top.where} differ between splits ({'; '.join(parts)}). {cure}"


def flat(top: Folder, folders: list[Folder]) -> str:
    """Return what to say of folders with images and without class folders."""
    said = f"In {top.where}, {listed(folders)}" if folders != [top] else str(top.where)
    table = [path for path in top.tables() if path.name != GROUPS]
    given = f", or give the table: DATA={shlex.quote(str(table[0]))}" if len(table) == 1 else ""
    return (
        f"{said} hold{'s' if len(folders) == 1 else ''} images but no class folders: put the "
        f"images of each class in a folder with its name{given}."
    )


def deeper(folder: Folder, inner: Folder, cure: str = "") -> str:
    """Return what to say of a folder whose classes lie in ``inner``, in the only folder of it."""
    what = "splits" if any(split_of(each.name) for each in inner.filled) else "classes"
    depth = len(inner.where.relative_to(folder.where).parts)
    levels = "one level" if depth == 1 else f"{depth} levels"
    empty = [each for each in folder.folders if not each.is_filled]
    beside = f", and there are no images in {listed(empty)}" if empty else ""
    cure = cure or f"give DATA={shlex.quote(listing.text(str(inner.where)))}"
    return f"In {folder.where}, the {what} lie {levels} deeper, in {inner}/{beside}: {cure}."


def class_names(folder: Folder) -> tuple[str, ...]:
    """Return the names of the folders in a folder, sorted."""
    return tuple(sorted(each.name for each in folder.folders))


def listed(names: Collection[str | Folder]) -> str:
    """Return names, those of folders with a slash, and how many more there are."""
    shown = [listing.text(each) if isinstance(each, str) else f"{each}/" for each in names]
    return first_of(shown, SHOWN)

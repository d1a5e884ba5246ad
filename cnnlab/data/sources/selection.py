"""Where images come from: the generated shapes, a fetched dataset, a folder or a table."""

from typing import Any

from cnnlab import hashing
from cnnlab.config import InputError, Settings, home
from cnnlab.data.public import catalogue
from cnnlab.data.sources import folder_source, layout_faults, place, table_source, user_table
from cnnlab.data.sources.entries import Source
from cnnlab.data.sources.folder_source import FolderSource
from cnnlab.data.synthetic import shapes

SHAPES = place.SHAPES


def resolve(settings: Settings, *, progress: bool = False) -> Source:
    """Return the source that the settings mean; generate the shapes on their first use.

    Args:
        settings: ``source`` is ``"shapes"``, a public dataset such as ``"flowers"``, the path of a
            folder or that of a table; ``group_by``; ``seed`` and all that begins with ``shapes``
            say which shapes.
        progress: Show a bar while generating.

    Raises:
        InputError: There is no such folder or table, it cannot be used, or the dataset was not
            fetched yet.

    Example:
        >>> resolve(make_settings("quick", source="photos/flowers")).class_names()
        ['daisy', 'tulip']
    """
    named = settings.data.source
    if named == SHAPES:
        return _shapes(settings, progress)
    root = place.find(named) or catalogue.place(named).resolve()
    if root.suffix.lower() in user_table.SUFFIXES and not root.is_dir():
        return table_source.read(root, settings.data.group_pattern)
    if not root.is_dir():
        raise InputError(f"{root} is a file, and no CSV table: {layout_faults.EXPECTED}.")
    return folder_source.open_folder(root, settings.data.group_pattern)


def _shapes(settings: Settings, progress: bool) -> Source:
    """Return the generated dataset; its folder is named by everything that decides its files."""
    parameters: dict[str, Any] = {
        "train_per_class": settings.data.shapes_train,
        "test_per_class": settings.data.shapes_test,
        "seed": settings.seed,
    }
    if wrong := settings.data.shapes_wrong_labels:  # runs of earlier versions have none
        parameters["wrong_labels"] = wrong
    name = hashing.json_digest({"version": shapes.VERSION, **parameters})[:12]
    folder = home() / "data" / "raw" / f"shapes-{name}"
    if not folder.exists():
        shapes.generate(folder, progress=progress, **parameters)
    root, truth = folder / "images", folder / "truth"
    if not (root.is_dir() and truth.is_dir()):
        raise InputError(f"{folder} is incomplete: delete it, and it will be generated anew.")
    return FolderSource(SHAPES, root, truth, settings.data.group_pattern)

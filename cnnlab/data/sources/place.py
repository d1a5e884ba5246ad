"""Where the images lie that the setting ``source`` names; nothing there is opened."""

import os
from pathlib import Path

from cnnlab.config import InputError
from cnnlab.config.choices import did_you_mean
from cnnlab.data.public import catalogue

SHAPES = "shapes"


def find(source: str) -> Path | None:
    """Return the folder or table that is named, absolute; None for a dataset known by name.

    Raises:
        InputError: There is none, or the dataset was not fetched yet.
    """
    if source == SHAPES:
        return None
    if source in catalogue.DATASETS:
        catalogue.fetched(source)
        return None
    path = Path(os.path.expanduser(source))  # where nobody has that name, as it is
    # Path("") would be the current folder; a path that may not be looked at does not exist here.
    if not source.strip() or not os.path.exists(path):
        raise InputError(
            f"There is no data folder {source!r}: expected {SHAPES!r}, the path of a folder or of "
            f"a CSV table, or one of {', '.join(catalogue.DATASETS)}.{_meant(source, path)}"
        )
    return path.resolve()


def _meant(source: str, path: Path) -> str:
    """Return " Did you mean …?" with the nearest dataset, or folder or table beside the path.

    Names are compared without the folders above them: those are alike for all.
    """
    try:
        with os.scandir(path.parent) as beside:
            shown = [each for each in beside if source.strip() and not each.name.startswith(".")]
            named = [each.name for each in shown if each.is_dir() or each.name.endswith(".csv")]
    except OSError:  # there is no such folder either
        named = []
    stem = source.rstrip("/")
    above = stem[: len(stem) - len(path.name)] if stem.endswith(path.name) else ""
    known = [*named, *([] if above else (SHAPES, *catalogue.DATASETS))]
    return did_you_mean(path.name or source, known, above)

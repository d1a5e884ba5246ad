"""What a generated dataset knows about itself: true boxes, planted faults and wrong labels."""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cnnlab.data import tables
from cnnlab.data.sources.entries import Source
from cnnlab.data.synthetic import faults, scenes, shapes

BOX_SIDES = ["left", "top", "right", "bottom"]


def planted_faults(source: Source) -> pd.DataFrame:
    """Return what was planted in a source, wrong labels included; no rows for a plain folder.

    Returns:
        Columns path, fault, other: the file that a copy copies, or the true class of a wrong label.
    """
    if source.truth is None:
        return pd.DataFrame(columns=shapes.FAULT_COLUMNS, dtype=str)
    return tables.read(source.truth / "faults.csv", "list of faults", shapes.FAULT_COLUMNS)


def wrong_labels(source: Source) -> dict[str, str]:
    """Return the images whose label was made wrong on purpose: path → true class.

    It is empty for a plain folder, where nobody knows.
    """
    planted = planted_faults(source)
    wrong = planted[planted["fault"] == faults.WRONG_LABEL]
    return dict(zip(wrong["path"], wrong["other"], strict=True))


def boxes(source: Source, paths: Iterable[str], size: int) -> np.ndarray:
    """Return the box of the visible object in each image, where it is known.

    Args:
        source: Where the images come from.
        paths: N paths relative to the source's root.
        size: Pixels a side of the prepared images the boxes are wanted for.

    Returns:
        float64 (N, 4): left, top, right, bottom, half-open, in pixels of the prepared image; a
        row of nan where nothing is known.
    """
    paths = list(paths)
    if source.truth is None:
        return np.full((len(paths), 4), np.nan)
    objects = tables.load(source.truth / "objects.csv", ("path", "label")).set_index("path")
    return objects[BOX_SIDES].reindex(paths).to_numpy(float) * (size / scenes.SIDE)

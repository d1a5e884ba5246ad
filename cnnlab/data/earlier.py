"""An earlier split that a new one goes on from: what stood on a side stays there.

An image is known by its content, wherever it lies now. One whose content is new is known by its
path where nothing else has the content that lay there: it was retouched or encoded again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.data import splits, tables

COLUMNS = ["path", "sha256", "label", "group", "split", "side"]
STRONGEST = ("test", "validation", "train")  # a unit of several sides stands on the first of these
SAME, KNOWN, NEW = range(3)  # ranks


@dataclass(frozen=True)
class Earlier:
    """A split that was made before.

    Attributes:
        images: One row an image with ``COLUMNS``: ``split`` is where it stood, ``side`` where its
            unit did, the same but for excluded images; "" where nothing of the unit was used. Rows
            of still earlier runs have no path.
    """

    images: pd.DataFrame

    def place(self, table: pd.DataFrame, given: Mapping[str, bool]) -> None:
        """Put known images where they stood, and new ones beside what they belong to; in place.

        Args:
            table: ``path``, ``sha256``, ``split`` (where the source says, train if nowhere),
                ``group``, ``picture`` and ``unit`` of the images now. It gets ``new``, ``rank``
                (which copy of a picture is used: the one that was, in its place) and ``settled``,
                whether the unit stands on a side by this.
            given: Whether the source has a folder of its own for test and for validation. Such a
                folder takes no new image from elsewhere.
        """
        stood = self.stood(table)
        known = stood != ""
        side = stood.where(known, self._kin(table))
        joined = _said(table["unit"], _strongest(table["unit"], side))
        table["settled"] = joined != ""
        table["new"] = ~known
        table["rank"] = np.where(known, KNOWN, NEW)
        used = self.images[(self.images["split"] != "excluded") & (self.images["path"] != "")]
        table.loc[known & table["path"].isin(used["path"]), "rank"] = SAME
        declared = table["split"].map(lambda split: given.get(split, False))
        closed = joined.map(lambda split: given.get(split, False))
        joins = ~known & table["settled"] & ~declared & ~closed
        table.loc[joins, "split"] = joined[joins]
        table.loc[known, "split"] = stood[known]

    def stood(self, table: pd.DataFrame) -> pd.Series:
        """Return on which side each image stood, str (N,); "" where it is new or was excluded.

        Args:
            table: ``path`` and ``sha256`` of N images.
        """
        return self._found(table, self.images[self.images["split"] != "excluded"], "split")

    def _kin(self, table: pd.DataFrame) -> pd.Series:
        """Return on which side the unit or the group of each image stood; "" where on none."""
        units = self.images[self.images["side"] != ""]
        side = self._found(table, units, "side")
        grouped = units[units["group"] != ""]
        groups = _said(table["group"], _strongest(grouped["group"], grouped["side"]))
        return side.where(side != "", groups)

    def _found(self, table: pd.DataFrame, rows: pd.DataFrame, column: str) -> pd.Series:
        """Return what rows say of each image, by content, else by path; "" where nothing."""
        replaced = rows[(rows["path"] != "") & ~rows["sha256"].isin(table["sha256"])]
        by_content = _said(table["sha256"], _strongest(rows["sha256"], rows[column]))
        by_path = _said(table["path"], _strongest(replaced["path"], replaced[column]))
        return by_content.where(by_content != "", by_path)


def of(table: pd.DataFrame, contents: Mapping[str, str], older: Earlier | None = None) -> Earlier:
    """Return a split as one to go on from.

    Args:
        table: From ``splits.assign`` or ``splits.read``.
        contents: Path → SHA-256 (hex) of its images.
        older: What that split itself went on from: of its images those are kept that are gone
            since, or stand on no side now, in case they come back.

    Raises:
        InputError: The split names an image that has no SHA-256.
    """
    images = table.assign(sha256=table["path"].map(contents))
    if images["sha256"].isna().any() or (images["sha256"] == "").any():
        raise InputError("The split names images that its manifest does not list.")
    unit, used = splits.units(table), table["split"] != "excluded"
    sides = _strongest(unit[used], table.loc[used, "split"])
    images = images.assign(side=_said(unit, sides))[COLUMNS]
    if older is not None:
        placed = images.loc[images["side"] != "", "sha256"]
        others = older.images[~older.images["sha256"].isin(placed)]
        images = pd.concat([images, others.assign(path="")], ignore_index=True)
    return Earlier(images.astype("str"))


def write(earlier: Earlier, path: Path) -> None:
    """Write it as CSV; ``read`` gives back the same."""
    tables.write(earlier.images, path)


def read(path: Path) -> Earlier:
    """Return what ``write`` wrote.

    Raises:
        InputError: The file is missing or has other columns.
    """
    return Earlier(tables.read(path, "earlier split", COLUMNS).astype("str"))


def ordered(labels: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the labels in the order of the model's outputs: known ones first, new ones sorted.

    Example:
        >>> ordered(["ant", "cat", "bee"], known=["bee", "cat", "dog"])
        ['bee', 'cat', 'ant']
    """
    there = sorted(set(labels))
    return [name for name in known if name in there] + [n for n in there if n not in set(known)]


def _strongest(keys: pd.Series, sides: pd.Series) -> dict[str, str]:
    """Return key → the side that is protected most among those of its rows; none for ""."""
    found: dict[str, str] = {}
    for side in reversed(STRONGEST):
        found |= dict.fromkeys(keys[sides == side], side)
    return found


def _said(keys: pd.Series, sides: Mapping[str, str]) -> pd.Series:
    """Return what is said of each key, str (N,); "" where nothing."""
    return keys.map(lambda key: sides.get(key, "")).astype("str")

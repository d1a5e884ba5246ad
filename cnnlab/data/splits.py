"""The split: which accepted image is for training, validation or the test, and why not.

Two things stay on one side. A *picture* is an image and its copies; one of them is used. A *group*
is what the user declared to belong together (a patient, a video, a burst); all of it is used. A
*unit* is the union of both: units draw their side, see ``sides``.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cnnlab.config import InputError, Settings, child_seed
from cnnlab.data import refusals, sides, tables

if TYPE_CHECKING:
    from cnnlab.data.earlier import Earlier

COLUMNS = ["path", "label", "split", "picture", "group", "reason"]
EARLIER = ["path", "label", "split", "group", "reason"]  # whose groups were the pictures
SPLITS = ("train", "validation", "test", "excluded")
UNREADABLE = ("unreadable", "unreadable_folder")  # reasons that the file system gives


def assign(
    manifest: pd.DataFrame,
    pictures: pd.Series,
    settings: Settings,
    earlier: "Earlier | None" = None,
) -> pd.DataFrame:
    """Put every accepted image into train, validation or test, or exclude it with a reason.

    Test and validation folders are used as they are. Where there is none, the units draw it, see
    ``sides.draw``. What else can move an image are its own copies: they join its picture, which may
    then bear another name (see ``audit.pictures``), exclude it, or tie its group to another.

    Where the split goes on from an earlier one, known images stay on their side, whatever folder
    they lie in now, and new ones of their units join it; only the other units draw. An image tied
    to two sides is taken out of the weaker one, so no test image ever leaves the test.

    Reasons: ``copy_of_test``, ``copy_of_validation``, ``group_of_test`` and
    ``group_of_validation`` (images of its unit are there), ``duplicate`` (the first path is kept)
    and ``label_conflict`` (one picture under two labels: none is kept). The test folder itself is
    never changed.

    Args:
        manifest: From ``manifest.build``.
        pictures: From ``audit.pictures``: index path, value the name of the picture.
        settings: ``seed``, ``validation_fraction``, ``test_fraction``, ``split_rule``.
        earlier: The split to go on from.

    Returns:
        One row per accepted image with ``COLUMNS``, in the manifest's order. ``split`` is
        train, validation, test or excluded; ``reason`` is empty unless excluded; ``group`` is
        empty where none was declared.

    Raises:
        InputError: A class has too few units, or no image in one of the splits.

    Example:
        >>> assign(manifest, audit.pictures(manifest, source), settings).split.value_counts()
    """
    refusals.require_classes(manifest)
    accepted = manifest["status"] == "accepted"
    named = ["path", "label", "split", "group", "sha256"]
    table = manifest.loc[accepted, named].reset_index(drop=True)
    if not table["path"].isin(pictures.index).all():
        raise InputError("These pictures are of another manifest: make them with audit.pictures.")
    table["picture"] = pictures.loc[table["path"]].to_numpy()
    table["reason"] = ""
    table.loc[table["split"] == "", "split"] = "train"
    table["unit"] = units(table)
    given = {split: bool((manifest["split"] == split).any()) for split in ("test", "validation")}
    table = table.assign(settled=False, new=False, rank=0)
    if earlier is not None:
        earlier.place(table, given)
        _exclude_new_copies(table, given["test"])
    for held, others in (("test", ("validation", "train")), ("validation", ("train",))):
        for split in others:
            for column, reason in (("picture", "copy"), ("unit", "group")):
                there = table.loc[table["split"] == held, column]
                _exclude(table, split, table[column].isin(there), f"{reason}_of_{held}")
    for split in ("train", "validation"):
        _exclude_copies(table, split, table["split"] == split)
    for split, left in (("test", 1 if given["validation"] else 2), ("validation", 1)):
        if not given[split]:
            beside = ("test", "validation") if left == 2 else (split,)
            _draw(table, split, left, settings, table["settled"] & table["split"].isin(beside))
    _check(table, manifest)
    return table[COLUMNS].astype("str")


def units(table: pd.DataFrame) -> pd.Series:
    """Return what must stay together: the name of each row's unit.

    Images of one picture are one unit, and so are images of one group; where a picture stands in
    several groups, they are all one.

    Args:
        table: N rows with ``picture`` and ``group`` (empty where none was declared). Leave excluded
            rows in: they may tie two groups.

    Returns:
        str Series "unit" (N,). A unit without groups has the name of its picture. That of one with
        groups depends on them alone, so images that join change it only where they tie it to
        another group.
    """
    grouped = table[table["group"] != ""]
    if grouped.empty:
        return table["picture"].rename("unit")
    pictures, picture = np.unique(grouped["picture"], return_inverse=True)
    groups, group = np.unique(grouped["group"], return_inverse=True)  # sorted
    size = len(pictures) + len(groups)
    ties = coo_array((np.ones(len(grouped)), (picture, len(pictures) + group)), (size, size))
    _, component = connected_components(ties, directed=False)
    first = dict(zip(component[len(pictures) :][::-1], groups[::-1], strict=True))  # by name
    names = {
        name: f"group/{first[number]}"
        for name, number in zip(pictures, component[: len(pictures)], strict=True)
    }
    return table["picture"].map(lambda name: names.get(name, name)).astype("str").rename("unit")


def group_counts(table: pd.DataFrame) -> pd.DataFrame:
    """Return how many images and groups stand on each side; no rows where none was declared.

    Args:
        table: From ``assign``.

    Returns:
        Index: the side. Columns images, groups, and images without a group.
    """
    if not (table["group"] != "").any():
        return pd.DataFrame(columns=["images", "groups", "without a group"], dtype="int64")
    sides_of = table.assign(group=table["group"].replace("", None)).groupby("split")["group"]
    counts = pd.DataFrame({"images": sides_of.size(), "groups": sides_of.nunique()})
    counts["without a group"] = counts["images"] - sides_of.count()
    return counts.reindex([side for side in SPLITS if side in counts.index])


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a split as CSV; ``read`` gives back the same table."""
    tables.write(table, path)


def read(path: Path) -> pd.DataFrame:
    """Return the split written by ``write``, by this version or an earlier one.

    Raises:
        InputError: The file is missing or is not a split.
    """
    table = tables.read(path, "split", COLUMNS, EARLIER).astype("str")
    if "picture" not in table:  # an earlier version called the pictures groups, and had no groups
        table = table.rename(columns={"group": "picture"}).assign(group="")[COLUMNS].astype("str")
    odd = sorted(set(table["split"]) - set(SPLITS))
    if odd:
        raise InputError(f"{path} has the split {odd[0]!r}: expected one of {', '.join(SPLITS)}.")
    return table


def _exclude(table: pd.DataFrame, split: str, chosen: pd.Series, reason: str) -> None:
    """Exclude the chosen rows of one split, in place."""
    rows = (table["split"] == split) & chosen
    table.loc[rows, "split"] = "excluded"
    table.loc[rows, "reason"] = reason


def _exclude_copies(table: pd.DataFrame, split: str, chosen: pd.Series) -> None:
    """Leave one of the chosen rows of every picture, none if its copies disagree; in place."""
    rows = table[chosen]
    labels = rows.groupby("picture")["label"].nunique()
    disagree = table["picture"].isin(labels[labels > 1].index)
    _exclude(table, split, chosen & disagree, "label_conflict")
    rows = table[chosen & ~disagree].sort_values("rank", kind="stable")
    repeated = rows.index[rows.duplicated("picture")]
    _exclude(table, split, pd.Series(table.index.isin(repeated)), "duplicate")


def _exclude_new_copies(table: pd.DataFrame, given: bool) -> None:
    """Let no new image that joined a drawn test be a copy of what stands there; in place."""
    new = (table["split"] == "test") & table["new"] & (not given)
    there = table.loc[(table["split"] == "test") & ~new, "picture"]
    _exclude(table, "test", new & table["picture"].isin(there), "copy_of_test")
    _exclude_copies(table, "test", new & (table["split"] == "test"))


def _draw(
    table: pd.DataFrame, split: str, left: int, settings: Settings, beside: pd.Series
) -> None:
    """Move the units that draw ``split`` from train there; in place.

    Args:
        table: What is drawn from: train, and settled units that only count.
        split: The side.
        left: See ``sides.draw``.
        settings: See ``assign``.
        beside: Rows outside train that stand on a side already and count like drawn ones.
    """
    rows = table[(table["split"] == "train") | beside]
    settled = rows[rows["settled"]]
    inside = (settled["split"] == split).groupby(settled["unit"]).any().to_dict()
    fraction = getattr(settings.data, f"{split}_fraction")
    seed = child_seed(settings.seed, f"split/{split}")
    drawn = sides.draw(
        rows, fraction, seed=seed, left=left, rule=settings.data.split_rule, settled=inside
    )
    table.loc[rows.index[rows["unit"].isin(drawn)], "split"] = split


def _check(table: pd.DataFrame, manifest: pd.DataFrame) -> None:
    """Raise unless every class has an image in every split; all that lack one are named."""
    filled = set(zip(table["label"], table["split"], strict=True))
    lacking = {
        label: " and ".join(split for split in SPLITS[:3] if (label, split) not in filled)
        for label in sorted(set(manifest["label"]) - {""})
    }
    lacking = {label: missing for label, missing in lacking.items() if missing}
    if not lacking:
        return
    (label, missing), *others = lacking.items()
    named = ", ".join(f"{other!r} for {lacked}" for other, lacked in others)
    more = f" Nor is there one of {named}." if others else ""
    rows, own = table[table["label"] == label], manifest["label"] == label
    unread = manifest.loc[own & manifest["reason"].isin(UNREADABLE), "path"].tolist()
    if unread:
        raise InputError(
            f"Class {label!r} has no usable image for {missing}: {len(unread)} of its files or "
            f"folders cannot be read, such as {unread[0]}. Make them readable.{more}"
        )
    left_out = int((rows["split"] == "excluded").sum())
    groups = ", from other groups" if (table["group"] != "").any() else ""
    raise InputError(
        f"Class {label!r} has no usable image for {missing}: {len(rows)} accepted, "
        f"{left_out} of them excluded as copies{' or by group' if groups else ''}. "
        f"Add distinct images of it{groups}.{more}"
    )

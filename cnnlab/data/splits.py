"""The split: which accepted image is for training, validation or the test, and why not.

Copies of one picture never stand on two sides. A hash of (seed, picture) is the picture's own
number between 0 and 1, and that number alone decides its side: neither names nor threads nor the
other images play a part, so adding or removing images moves no other one.
"""

import hashlib
from pathlib import Path

import pandas as pd

from cnnlab.config import InputError, Settings, child_seed
from cnnlab.data import tables

COLUMNS = ["path", "label", "split", "group", "reason"]
SPLITS = ("train", "validation", "test", "excluded")


def assign(manifest: pd.DataFrame, groups: pd.Series, settings: Settings) -> pd.DataFrame:
    """Put every accepted image into train, validation or test, or exclude it with a reason.

    Test and validation folders are used as they are. Where there is none, each picture draws a
    number: below ``test_fraction`` it is for the test; of the rest, with a second and
    independent number, below ``validation_fraction`` for validation. A share is therefore
    binomial and not exact: of n images of a class f ± √(f(1 − f)/n), with f = 0.2 that is
    20 ± 4% of 100 and 20 ± 1.3% of 1000.

    Only where a side of a class would stay empty does the rest of the class count: the picture
    whose number is nearest to the bound takes the place, and leaves it once the class has grown
    and one stands there by its own number. With both fractions at 0.2 that concerns one class
    of 20 images in 24, and one of 50 in 5,600. What else can move an image are its own copies:
    they join its group, which may then bear another name (see ``audit.groups``), or exclude it.

    Reasons: ``copy_of_test``, ``copy_of_validation``, ``duplicate`` (the first path is kept) and
    ``label_conflict`` (one picture under two labels: none is kept). The test folder itself is
    never changed.

    Args:
        manifest: From ``manifest.build``.
        groups: From ``audit.groups``: index path, value the name of the picture.
        settings: ``seed``, ``validation_fraction``, ``test_fraction``.

    Returns:
        One row per accepted image with ``COLUMNS``, in the manifest's order. ``split`` is
        train, validation, test or excluded; ``reason`` is empty unless excluded.

    Raises:
        InputError: A class has too few distinct images, or none in one of the splits.

    Example:
        >>> assign(manifest, audit.groups(manifest, source), settings).split.value_counts()
    """
    table = manifest.loc[manifest["status"] == "accepted", ["path", "label", "split"]]
    table = table.reset_index(drop=True)
    if not table["path"].isin(groups.index).all():
        raise InputError("These groups belong to another manifest: make them with audit.groups.")
    table["group"] = groups.loc[table["path"]].to_numpy()
    table["reason"] = ""
    table.loc[table["split"] == "", "split"] = "train"
    has_test, has_validation = (
        bool((manifest["split"] == split).any()) for split in ("test", "validation")
    )
    _exclude(table, "validation", table["group"].isin(_groups(table, "test")), "copy_of_test")
    _exclude(table, "train", table["group"].isin(_groups(table, "test")), "copy_of_test")
    held = _groups(table, "validation")
    _exclude(table, "train", table["group"].isin(held), "copy_of_validation")
    for split in ("train", "validation"):
        _exclude_copies(table, split)
    if not has_test:
        left = 1 if has_validation else 2
        _draw(table, "test", settings.data.test_fraction, settings.seed, left)
    if not has_validation:
        _draw(table, "validation", settings.data.validation_fraction, settings.seed, 1)
    _check(table, sorted(manifest.loc[manifest["label"] != "", "label"].unique()))
    return table[COLUMNS].astype("str")


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a split as CSV; ``read`` gives back the same table."""
    tables.write(table, path)


def read(path: Path) -> pd.DataFrame:
    """Return the split written by ``write``.

    Raises:
        InputError: The file is missing or is not a split.
    """
    table = tables.read(path, "split", COLUMNS).astype("str")
    odd = sorted(set(table["split"]) - set(SPLITS))
    if odd:
        raise InputError(f"{path} has the split {odd[0]!r}: expected one of {', '.join(SPLITS)}.")
    return table


def _groups(table: pd.DataFrame, split: str) -> set[str]:
    return set(table.loc[table["split"] == split, "group"])


def _exclude(table: pd.DataFrame, split: str, chosen: pd.Series, reason: str) -> None:
    """Exclude the chosen rows of one split, in place."""
    rows = (table["split"] == split) & chosen
    table.loc[rows, "split"] = "excluded"
    table.loc[rows, "reason"] = reason


def _exclude_copies(table: pd.DataFrame, split: str) -> None:
    """Leave one image of every picture in a split, none if its copies disagree; in place."""
    rows = table[table["split"] == split]
    labels = rows.groupby("group")["label"].nunique()
    _exclude(table, split, table["group"].isin(labels[labels > 1].index), "label_conflict")
    rows = table[table["split"] == split]
    repeated = rows.index[rows.duplicated("group")]
    _exclude(table, split, pd.Series(table.index.isin(repeated)), "duplicate")


def _draw(table: pd.DataFrame, split: str, fraction: float, seed: int, left: int) -> None:
    """Move the pictures whose number is below ``fraction`` from train to ``split``; in place.

    Of every class at least one moves and at least ``left`` stay.
    """
    salt = child_seed(seed, f"split/{split}")
    for label, rows in table[table["split"] == "train"].groupby("label"):
        if len(rows) <= left:
            raise _too_small(str(label), len(rows))
        numbers = rows["group"].map(lambda group: _number(salt, group)).sort_values()
        count = min(max(1, int((numbers < fraction).sum())), len(rows) - left)
        table.loc[numbers.index[:count], "split"] = split


def _number(salt: int, group: str) -> float:
    """Return a picture's own number, uniform in 0…1."""
    digest = hashlib.sha256(f"{salt}/{group}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def _check(table: pd.DataFrame, labels: list[str]) -> None:
    """Raise unless every class has an image in every split."""
    for label in labels:
        rows = table[table["label"] == label]
        counts = {split: int((rows["split"] == split).sum()) for split in SPLITS[:3]}
        if not all(counts.values()):
            missing = " and ".join(split for split, count in counts.items() if not count)
            left_out = int((rows["split"] == "excluded").sum())
            raise InputError(
                f"Class {label!r} has no usable image for {missing}: {len(rows)} accepted, "
                f"{left_out} of them excluded as copies. Add distinct images of it."
            )


def _too_small(label: str, count: int) -> InputError:
    return InputError(
        f"Class {label!r} is too small to split: {count} distinct training image(s). Each of "
        "train, validation and test needs at least one of its own: add images of it."
    )

"""Labels from a table: a CSV ``path,label[,group][,split]`` beside or above the images."""

import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cnnlab.config import InputError
from cnnlab.data.sources import groups, listing, table_paths, user_table
from cnnlab.data.sources.entries import Entry, Source, alike, split_of
from cnnlab.data.sources.user_table import UserTable


@dataclass(frozen=True)
class TableSource(Source):
    """The files that a table names, below its folder; see ``read``."""

    unlisted: ClassVar[str] = "not_in_table"

    name: str
    root: Path
    table: str  # the file's name
    rows: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    def tables(self) -> tuple[str, ...]:
        """Return the table itself."""
        return (self.table,)

    def class_names(self) -> list[str]:
        """Return the labels, sorted."""
        return sorted({row.label for row in self.rows})

    def entries(self) -> dict[str, Entry]:
        """Return path → entry, in the table's order."""
        return {row.path: row for row in self.rows}


def read(file: Path, group_by: str = "") -> TableSource:
    """Return the source that a table describes; every row of it was checked.

    Args:
        file: Its paths are relative to the folder it lies in. ``split`` is empty everywhere, or
            train, validation or test in every row, with every class in each.
        group_by: A regular expression that finds the group in a path, see ``groups``.

    Raises:
        InputError: The table, one of its rows or the classes cannot be used; the message has the
            numbers of the rows.
    """
    table = user_table.read(file, ("path", "label"), ("group", "split"))
    root = file.parent
    paths = table_paths.checked(table, root, frozenset(path for path, _ in listing.walk(root)))
    labels = _labels(table)
    splits = _splits(table, labels)
    declared = _groups(table, paths, group_by)
    rows = tuple(map(Entry, paths, labels, splits, declared))
    notes = [*table.notes, *alike(labels)]
    if "group" in table.columns and not any(declared):
        notes.append(f"{file.name}: the column of groups is empty, so no groups are declared")
    return TableSource(f"{root.name}/{file.name}", root, file.name, rows, tuple(notes))


def _labels(table: UserTable) -> list[str]:
    """Return the label of each row."""
    labels = table.columns["label"]
    table.refuse([not label for label in labels], "no label", "Give each image one.")
    odd = [not label.isprintable() for label in labels]
    table.refuse(odd, "a label with a line break or another control character", "Remove it.")
    spelt: defaultdict[str, set[str]] = defaultdict(set)
    for label in labels:
        spelt[unicodedata.normalize("NFC", label)].add(label)
    twice = {label for forms in spelt.values() if len(forms) > 1 for label in forms}
    table.refuse(
        [label in twice for label in labels],
        "labels that look alike but are spelt in other characters",
        "Spell each class one way.",
    )
    if len(set(labels)) < 2:
        raise InputError(
            f"{table.file} has only one class, {labels[0]!r}: a classifier needs at least two."
        )
    return labels


def _splits(table: UserTable, labels: list[str]) -> list[str]:
    """Return the split of each row, all empty where the table gives none."""
    given = table.columns.get("split", [""] * len(labels))
    unknown = [bool(split) and not split_of(split) for split in given]
    first = repr(given[unknown.index(True)]) if any(unknown) else ""
    table.refuse(unknown, f"unknown split {first}", "Expected train, validation or test.")
    splits = [split_of(split) for split in given]
    used = set(splits) - {""}
    if not used:
        return splits
    table.refuse(
        [not split for split in splits],
        "no split, while other rows have one",
        "Give every row train, validation or test, or none.",
    )
    if "train" not in used or len(used) < 2:
        raise InputError(
            f"{table.file} has the split {', '.join(sorted(used))}: expected train, and test or "
            "validation or both beside it; or no split at all."
        )
    pairs = set(zip(splits, labels, strict=True))
    for label in sorted(set(labels)):
        lacking = [split for split in sorted(used) if (split, label) not in pairs]
        if lacking:
            raise InputError(
                f"{table.file}: class {label!r} has no image with the split {lacking[0]}: every "
                "class needs some in each."
            )
    return splits


def _groups(table: UserTable, paths: list[str], group_by: str) -> list[str]:
    """Return the group of each row, empty where it has none."""
    given = table.columns.get("group")
    if not group_by:
        return given or [""] * len(paths)
    if given and any(given):
        raise InputError(
            f"{table.file} has a column of groups, and group_by={group_by!r} is set: use one."
        )
    found = groups.by_pattern(group_by, paths)
    return [found.get(path, "") for path in paths]

"""Groups that a user declares for the files of a source: by a table, or by a pattern of paths."""

import re
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from cnnlab.config import InputError
from cnnlab.data.sources import table_paths, user_table

TABLE = "groups.csv"  # in the root of a folder: path,group


def by_pattern(pattern: str, paths: Collection[str]) -> dict[str, str]:
    """Return path → group of the paths that a regular expression is found in.

    Args:
        pattern: Its group called ``group`` is the name, or else its first.
        paths: Below the source's root.

    Raises:
        InputError: It is found in none of the paths.
    """
    compiled = re.compile(pattern)
    number = compiled.groupindex.get("group", 1)
    matches = {path: compiled.search(path) for path in paths}
    found = {path: (match[number] or "").strip() for path, match in matches.items() if match}
    if not any(found.values()):
        example = f", such as {min(paths)!r}" if paths else ""
        raise InputError(
            f"group_by={pattern!r} finds no group in any of {len(paths)} paths{example}: expected "
            "a regular expression that is found in a path and captures the group's name."
        )
    return found


def by_table(root: Path, found: frozenset[str]) -> dict[str, str]:
    """Return path → group of the files that ``groups.csv`` in ``root`` names.

    Args:
        root: The source's folder.
        found: Every path below it.

    Raises:
        InputError: The table cannot be used, names a file that is not there, or gives no group.
    """
    table = user_table.read(root / TABLE, ("path", "group"))
    named = table_paths.checked(table, root, found, unseen=True)
    if not any(table.columns["group"]):
        raise InputError(f"{table.file} gives no group: fill its column 'group', or remove it.")
    return dict(zip(named, table.columns["group"], strict=True))


def counts(manifest: pd.DataFrame) -> tuple[dict[str, int], list[str]]:
    """Return the groups of the accepted images in numbers, and what makes them look wrong.

    Returns:
        ``groups`` (how many), ``images`` (in one), ``without`` (in none), ``smallest`` and
        ``largest`` (images); empty where none was declared. And sentences, none if all is well.
    """
    declared = manifest.loc[manifest["status"] == "accepted", "group"]
    sizes = declared[declared != ""].value_counts()
    if sizes.empty:
        return {}, []
    without = int((declared == "").sum())
    found = {"groups": len(sizes), "images": int(sizes.sum()), "without": without}
    doubts = []
    if without:
        doubts.append(f"{without} of {len(declared)} images have no group: each stands for itself")
    if len(sizes) == 1:
        doubts.append(f"one group {sizes.index[0]!r} holds {sizes.iloc[0]} of the images")
    elif sizes.max() == 1:
        doubts.append("every group holds one image: such groups change nothing")
    return found | {"smallest": int(sizes.min()), "largest": int(sizes.max())}, doubts

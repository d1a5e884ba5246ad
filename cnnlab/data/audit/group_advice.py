"""What is said of suspected groups: the evidence, and how to declare or dismiss them."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab.config import InputError, Settings
from cnnlab.config.data import NO_GROUPS
from cnnlab.data import tables
from cnnlab.data.audit import suspected_groups
from cnnlab.data.audit.suspected_groups import RULES, Suspicion
from cnnlab.data.sources import listing
from cnnlab.data.sources.entries import Source


def foretold(source: Source, settings: Settings) -> list[str]:
    """Return, in sentences, what names and folders suggest before any file is read.

    ``suspected_groups.search`` finds the same, and what EXIF and pixels show.

    Args:
        source: A resolved source.
        settings: As of ``suspected_groups.search``.
    """
    entries = [each for each in source.entries().values() if listing.promises_image(each.path)]
    if settings.data.groups_dismissed or any(each.group for each in entries):
        return []
    labels = {each.path: each.label for each in entries}
    found = suspected_groups.distinct(
        (suspected_groups.by_names(labels), suspected_groups.by_folders(labels))
    )
    table = pd.DataFrame([(each.path, each.split) for each in entries], columns=["path", "split"])
    return described(rows(found, table), settings.data.source)


def rows(found: Iterable[Suspicion], table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return what ``Suspicion.to_json`` says of each suspicion.

    Args:
        found: From ``search``.
        table: ``path`` and ``split``: of ``splits.assign``, or a manifest whose files bring theirs.
    """
    placed = table[table["split"].isin(("train", "validation", "test"))]
    split = dict(zip(placed["path"], placed["split"], strict=True))
    return [each.to_json(split) for each in found]


def described(found: Sequence[Mapping[str, Any]], source: str) -> list[str]:
    """Return a sentence, without its full stop, for each row of ``Suspicion.to_json``.

    It says what is suspected and why, how many groups the split divides, and how to declare the
    groups or dismiss them.

    Args:
        found: The rows.
        source: The setting ``source``: what ``cnnlab audit`` looks through.
    """
    return [_sentence(row, source) for row in found]


def refuse(rule: str, file: str) -> None:
    """Raise InputError of arguments with which ``write`` could not do anything."""
    if rule not in RULES:
        raise InputError(f"There is no rule {rule!r}: expected one of {', '.join(RULES)}.")
    if Path(file).exists():
        raise InputError(f"{file} exists: name another file, or remove it.")
    if not Path(file).absolute().parent.is_dir():
        raise InputError(f"There is no folder {Path(file).parent} for {Path(file).name}: make it.")


def write(found: Sequence[Suspicion], rule: str, file: str) -> str:
    """Write the groups of one suspicion as a table that declares them: path,group.

    Returns:
        A sentence: how many of what were written.

    Raises:
        InputError: The rule suspects nothing, or see ``refuse``.
    """
    refuse(rule, file)
    chosen = [each for each in found if each.rule == rule]
    if not chosen:
        known = "expected " + ", ".join(each.rule for each in found)
        said = known if found else "nothing is suspected here"
        raise InputError(f"There are no suspected groups {rule!r} to write: {said}.")
    rows = sorted(chosen[0].groups.items())
    tables.write(pd.DataFrame(rows, columns=["path", "group"]), Path(file))
    groups = len({*chosen[0].groups.values()})
    return f"{file}: {len(chosen[0].groups)} images in {groups} groups."


def _sentence(row: Mapping[str, Any], source: str) -> str:
    divided = f", {row['divided']} of them on several sides of the split" * bool(row["divided"])
    if row["pattern"]:
        declare = "--set " + shlex.quote(f"group_by={row['pattern']}")
    else:
        command = shlex.join(["cnnlab", "audit", source, "--groups", row["rule"], "groups.csv"])
        declare = f"{command} and put that table into the folder"
    return (
        f"{row['images']} images look like {row['groups']} groups, by {RULES[row['rule']]}, such "
        f"as {row['example']!r}{divided}: if the images of a group belong together (one patient, "
        f"video or burst), declare them by {declare}; if not, dismiss them by "
        f"--set group_by={NO_GROUPS}"
    )

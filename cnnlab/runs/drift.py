"""What differs between two runs: their data, settings and origin, and everything they found.

Results are compared to the last bit; times and the runs' names do not count. Two run folders in,
one table out: nothing is executed here.
"""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab.config import from_dict, to_dict
from cnnlab.data import tables
from cnnlab.runs import steps, storage
from cnnlab.text.first_of import first_of

COLUMNS = ["part", "what", "stored", "now"]
EXPLAINS = ("versions", "machine", "commit")  # no drift by themselves, where all results are equal
ORIGIN = "weights"  # key of run.json: where the first ones come from
CAUSES = (
    "data",
    "settings",
    "pretrained weights",
    *EXPLAINS,
)  # they stand in the table before what they explain
NOT_COMPARED = ("seconds", "at", "run", "run_id", "created")  # keys and columns
SPLIT = "splits.csv"
HISTORY = "history.csv"
RESULTS = (SPLIT, "training/*.csv", "metrics/*.*", "predictions/*.csv")
WEIGHTS = "model/contract.json"  # its model_id is a SHA-256 over the weights
AUDIT, SUSPECTED = "metrics/audit.json", "suspected_groups"
LISTED = 10  # changed files that are named
ABSENT = "–"


def compare(stored: Path, now: Path) -> pd.DataFrame:
    """Return what differs between a run and its reproduction.

    Args:
        stored: The folder of the run. Its settings are those it was made with: an edited
            ``run.json`` is a difference.
        now: The folder of the reproduction. Only results of notebooks that it has are compared.

    Returns:
        A table with part (data, settings, pretrained weights, versions, machine, commit,
        training, weights, metrics or predictions), what, stored and now, all text; no rows if
        nothing differs.

    Raises:
        InputError: One is no run folder.

    Example:
        >>> counted(compare(Path("reports/a"), Path("reports/b"))).empty  # doctest: +SKIP
        True
    """
    rows = [("data", *row) for row in data(stored, now)] + causes(stored, now)
    for relative in compared(stored, now):
        row = _file(relative, stored / relative, now / relative)
        rows += [(_part(relative), *row)] if row else []
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def causes(stored: Path, now: Path) -> list[tuple[str, str, str, str]]:
    """Return (part, what, stored, now) of settings and origin, as ``compare`` does."""
    before, after = storage.read_state(stored), storage.read_state(now)
    rows = [("settings", *row) for row in _settings(stored, before, after)]
    began = [state.get(ORIGIN) or {} for state in (before, after)]
    rows += [("pretrained weights", *row) for row in _facts("", *began)]
    for part in EXPLAINS:
        rows += [(part, *row) for row in _facts(part, before.get(part), after.get(part))]
    return rows


def counted(differences: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that make a reproduction fail: data, settings and results."""
    return differences[~differences["part"].isin(EXPLAINS)]


def compared(stored: Path, now: Path) -> list[str]:
    """Return the result files that are compared: those of notebooks which both runs have."""
    executed = storage.read_state(now)["notebooks"]
    found = []
    for pattern in (RESULTS[0], RESULTS[1], WEIGHTS, *RESULTS[2:]):
        for path in sorted(stored.glob(pattern)):
            relative = path.relative_to(stored).as_posix()
            step = steps.writer(relative)
            # What no step writes is compared where both have it.
            if step.name in executed if step else (now / relative).exists():
                found.append(relative)
    return found


def _part(relative: str) -> str:
    return {SPLIT: "data", WEIGHTS: "weights"}.get(relative, relative.partition("/")[0])


def data(stored: Path, now: Path) -> list[tuple[str, str, str]]:
    """Return (what, stored, now) of files that were added, removed, changed or moved."""
    from cnnlab.data import manifest  # they import TensorFlow
    from cnnlab.data.audit import changes

    if not (now / "manifest.csv").exists():
        return [("manifest.csv", "there", ABSENT)]
    old, new = (manifest.read(folder / "manifest.csv") for folder in (stored, now))
    found = changes.difference(old, new)
    rows = [
        (f"{path} ({change})", _verdict(old, path), other or _verdict(new, path))
        for change, path, other in found[:LISTED].itertuples(index=False, name=None)
    ]
    if len(found) > LISTED:
        rows.append((f"and {len(found) - LISTED} more files", "", ""))
    states = map(storage.read_state, (stored, now))
    digests = [(state.get("dataset") or {}).get("sha256", ABSENT) for state in states]
    if not rows and digests[0] != digests[1]:
        rows.append(("dataset SHA-256", digests[0], digests[1]))
    return rows


def _verdict(files: pd.DataFrame, path: str) -> str:
    """Return a file's verdict and the beginning of its SHA-256."""
    found = files.loc[files["path"] == path, ["status", "reason", "sha256"]]
    if found.empty:
        return ABSENT
    status, reason, sha256 = map(str, found.iloc[0])
    return " ".join(filter(None, (status, reason, sha256[:12])))


def _settings(stored: Path, before: dict, after: dict) -> list[tuple[str, str, str]]:
    edited = storage.edited(stored, before)
    made = _known(before) | {key: was for key, (was, _) in edited.items()}
    return [
        (f"{key} (edited in run.json)" if key in edited else key, was, now)
        for key, was, now in _facts("", made, _known(after))
    ]


def _known(state: dict) -> dict[str, Any]:
    """Return a run's settings as this version writes them, whichever version wrote them."""
    return to_dict(from_dict(state["settings"]))


def _facts(name: str, before: Any, after: Any) -> list[tuple[str, str, str]]:
    """Return the keys whose values differ, with both."""
    old, new = (
        _leaves(side, name if not isinstance(side, dict) else "") for side in (before, after)
    )
    keys = {**old, **new}
    pairs = [(key, old.get(key, ABSENT), new.get(key, ABSENT)) for key in keys]
    return [pair for pair in pairs if pair[1] != pair[2]]


def _leaves(value: Any, path: str = "") -> dict[str, str]:
    """Return path → text of every value inside a JSON value; equal texts are equal bits."""
    if isinstance(value, dict):
        parts = [
            (f"{path}.{key}" if path else str(key), item)
            for key, item in value.items()
            if key not in NOT_COMPARED
        ]
    elif isinstance(value, list):
        parts = [(f"{path}[{number}]", item) for number, item in enumerate(value)]
    else:
        return {path: value if isinstance(value, str) else json.dumps(value)}
    return {where: text for each, item in parts for where, text in _leaves(item, each).items()}


def _file(relative: str, stored: Path, now: Path) -> tuple[str, str, str] | None:
    """Return the first difference between two result files and how many there are; None if none."""
    if not now.exists():
        return relative, "there", ABSENT
    if relative.endswith(".csv"):
        return _table(relative, stored, now)
    before, after = (json.loads(path.read_text(encoding="utf-8")) for path in (stored, now))
    if relative == AUDIT and SUSPECTED not in before:  # an earlier version suspected nothing
        after.pop(SUSPECTED, None)
    if relative == WEIGHTS:
        before, after = ({"model_id": each.get("model_id")} for each in (before, after))
    found = _facts("", before, after)
    if not found:
        return None
    where, old, new = found[0]
    return f"{relative}: {first_of([where], 1, total=len(found))}", old, new


def _table(relative: str, stored: Path, now: Path) -> tuple[str, str, str] | None:
    """Return the first row in which two CSV files differ; its first column names it."""
    before, after = _rows(stored), _rows(now)
    unequal = [n for n, (old, new) in enumerate(zip(before, after, strict=False)) if old != new]
    if not unequal and len(before) == len(after):
        return None
    if not unequal:
        return f"{relative}: rows", str(len(before)), str(len(after))
    old, new = before[unequal[0]], after[unequal[0]]
    column = next(key for key in {**old, **new} if old.get(key) != new.get(key))
    name = next(iter(old))
    row = "" if column == name else f"{name} {old[name]}, "
    count = f"{len(unequal)} of {len(before)} rows"
    return (
        f"{relative}: first at {row}{column} ({count})",
        old.get(column, ABSENT),
        new.get(column, ABSENT),
    )


def _rows(path: Path) -> list[dict[str, str]]:
    header, *rows = tables.rows(path)
    return [
        {key: value for key, value in row.items() if key not in NOT_COMPARED}
        for row in (_as_now(path.name, dict(zip(header, row, strict=False))) for row in rows if row)
    ]


def _as_now(file: str, row: dict[str, str]) -> dict[str, str]:
    """Return a row as it is written today.

    Earlier versions called the pictures of a split groups, and trained in one stage.
    """
    if file == SPLIT and "group" in row and "picture" not in row:
        return row | {"picture": row["group"], "group": ""}
    if file == HISTORY and "stage" not in row:
        return row | {"stage": "1"}
    return row

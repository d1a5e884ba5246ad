"""What changed in a folder of images between two manifests."""

from collections import defaultdict, deque

import pandas as pd

from cnnlab.data import manifest

CHANGES = ("added", "removed", "changed", "moved")
COLUMNS = ["change", "path", "other"]


def difference(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return which files were added, removed, changed or moved; no rows where nothing was.

    A file is *changed* if its content or its verdict differs under the same path. It is *moved*
    if its content went from a path that is gone to one that is new; each pair counts once.

    Args:
        old: From ``manifest.build`` or ``manifest.read``.
        new: The same, later.

    Returns:
        A table with change, path and other (where a moved file is now), in the order of
        ``CHANGES``, then by path. It is empty exactly if both have one ``manifest.digest``.

    Example:
        >>> difference(files, files).empty  # doctest: +SKIP
        True
    """
    before, after = _by_path(old), _by_path(new)
    gone = [path for path in before if path not in after]
    came = [path for path in after if path not in before]
    content = manifest.NAMED.index("sha256")
    homes: defaultdict[str, deque[str]] = defaultdict(deque)
    for path in came:
        homes[after[path][content]].append(path)
    homes.pop("", None)  # what was never read has no content to recognise
    moved = {}
    for path in gone:
        free = homes.get(before[path][content])
        if free:
            moved[path] = free.popleft()
    arrived = set(moved.values())
    rows = [("added", path, "") for path in came if path not in arrived]
    rows += [("removed", path, "") for path in gone if path not in moved]
    rows += [
        ("changed", path, "") for path in before if before[path] != after.get(path, before[path])
    ]
    rows += [("moved", path, home) for path, home in moved.items()]
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def described(changes: pd.DataFrame, first: int = 3) -> str:
    """Return the changes as one line: "2 added (cat/1.jpg, cat/2.jpg), 1 removed (dog/3.jpg)".

    Args:
        changes: From ``difference``.
        first: Paths to name of each kind.
    """
    parts = []
    for change, rows in changes.groupby("change", sort=False):
        named = [
            f"{path} → {other}" if other else path
            for path, other in zip(rows["path"][:first], rows["other"][:first], strict=True)
        ]
        more = [f"and {len(rows) - first} more"] if len(rows) > first else []
        parts.append(f"{len(rows)} {change} ({', '.join(named + more)})")
    return ", ".join(parts)


def _by_path(files: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return path → the rest of what names it, by path."""
    rows = files.sort_values("path")[manifest.NAMED].itertuples(index=False, name=None)
    return {str(row[0]): tuple(map(str, row)) for row in rows}

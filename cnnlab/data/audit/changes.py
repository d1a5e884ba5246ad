"""What changed in a folder of images: between two manifests, or since one was made."""

import os
from collections import defaultdict, deque
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from cnnlab import hashing, images
from cnnlab.data import manifest
from cnnlab.data.sources.entries import Entry
from cnnlab.text.first_of import first_of

CHANGES = ("added", "removed", "changed", "moved")
COLUMNS = ["change", "path", "other"]


def difference(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return which files were added, removed, changed or moved; no rows where nothing was.

    As in ``manifest.digest``, files that were skipped do not count. A file is *changed* if its
    content, its verdict or its group differs under the same path. It is *moved* if its content went
    from a path that is gone to one that is new; each pair counts once.

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


def rewritten(old: pd.DataFrame, new: pd.DataFrame) -> bool:
    """Tell whether any file came, went or has other bytes: else only verdicts on them changed.

    Args:
        old: From ``manifest.build`` or ``manifest.read``.
        new: The same, later.
    """
    before, after = (
        {*files[["path", "bytes", "sha256"]].itertuples(index=False, name=None)}
        for files in (old[old["status"] != "skipped"], new[new["status"] != "skipped"])
    )
    return before != after


def by_class(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return how many accepted images of each class came and went between two manifests.

    An image is known by its content: one that lies elsewhere now is not counted, unless its label
    is another. One whose content is new under a path that was there is *changed*.

    Args:
        old: From ``manifest.build`` or ``manifest.read``.
        new: The same, later.

    Returns:
        Index: the class, sorted. Columns before, added, removed, changed, relabelled (those that
        have this label now and had another) and now; int64.
    """
    before, after = (
        files.loc[files["status"] == "accepted", ["path", "label", "sha256"]]
        for files in (old, new)
    )
    gone = before[~before["sha256"].isin(after["sha256"])]
    came = after[~after["sha256"].isin(before["sha256"])]
    replaced = came["path"].isin(gone["path"])
    labels = before.groupby("sha256")["label"].agg(frozenset)
    stayed = after[after["sha256"].isin(before["sha256"])]
    other = [
        label not in labels[content]
        for label, content in zip(stayed["label"], stayed["sha256"], strict=True)
    ]
    columns = {
        "before": before["label"],
        "added": came.loc[~replaced, "label"],
        "removed": gone.loc[~gone["path"].isin(came["path"]), "label"],
        "changed": came.loc[replaced, "label"],
        "relabelled": stayed.loc[other, "label"],
        "now": after["label"],
    }
    counts = {name: labels.value_counts() for name, labels in columns.items()}
    return pd.DataFrame(counts).fillna(0).astype("int64").sort_index().rename_axis("class")


def since(
    files: pd.DataFrame, root: Path, made: int, entries: Mapping[str, Entry] | None = None
) -> pd.DataFrame:
    """Return which accepted images were removed or changed since the manifest was made.

    Every file is looked at, few are read: those whose size or times say that they were written,
    renamed or put there since. Their SHA-256 decides. New files are not looked for, and what left
    no such trace is noticed when pixels are made of it (``prepared``).

    Args:
        files: From ``manifest.build`` or ``manifest.read``.
        root: The source's root.
        made: When the manifest was written, nanoseconds since the epoch (``st_mtime_ns``).
        entries: From ``Source.entries``, now: a file without one was removed, one with another
            label, split or group was changed. None compares the files alone.

    Returns:
        A table as from ``difference``.

    Example:
        >>> since(files, root, path.stat().st_mtime_ns).empty  # doctest: +SKIP
        True
    """
    columns = ["path", "bytes", "sha256", "label", "split", "group"]
    accepted = files.loc[files["status"] == "accepted", columns]
    changes = [
        (
            _change(root / path, int(size), str(content), made)
            or _relabelled(Entry(path, *declared), entries),
            path,
            "",
        )
        for path, size, content, *declared in accepted.itertuples(index=False, name=None)
    ]
    rows = sorted((row for row in changes if row[0]), key=lambda row: CHANGES.index(row[0]))
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def _change(path: Path, size: int, content: str, made: int) -> str:
    """Return what happened to a file that had this size and SHA-256: removed, changed or ""."""
    try:
        found = os.stat(path)
        both = (found, os.lstat(path))  # a link may be newer than the file that it leads to
        # Tools set the time of modification, not that of the change.
        touched = max(max(each.st_mtime_ns, each.st_ctime_ns) for each in both)
        if found.st_size == size and touched < made:
            return ""
        now = hashing.digest(images.read_file(path))
    except (FileNotFoundError, NotADirectoryError):
        return "removed"
    except (OSError, images.ImageRejected):
        return "changed"
    return "" if now == content else "changed"


def _relabelled(listed: Entry, entries: Mapping[str, Entry] | None) -> str:
    """Return what happened to a file's entry: removed, changed or ""."""
    if entries is None or entries.get(listed.path) == listed:
        return ""
    return "changed" if listed.path in entries else "removed"


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
        parts.append(f"{len(rows)} {change} ({first_of(named, first, total=len(rows))})")
    return ", ".join(parts)


def _by_path(files: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Return path → what names it, by path; of accepted and quarantined files."""
    columns = [*manifest.NAMED, "group"]
    named = files.loc[files["status"] != "skipped", columns].sort_values("path")
    rows = named.itertuples(index=False, name=None)
    return {str(row[0]): tuple(map(str, row)) for row in rows}

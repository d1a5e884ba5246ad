"""A difference names every file that changed, once, and is empty exactly for one digest."""

import hashlib
import os
import time
from dataclasses import replace

import pandas as pd
import pytest

from cnnlab import images
from cnnlab.data import manifest
from cnnlab.data.audit import changes
from cnnlab.data.sources.entries import Entry


def files(**contents):
    """A manifest of the files ``name=content`` of class cat; content "" was refused unread."""
    rows = [
        {
            "path": f"cat/{name}.jpg",
            "split": "",
            "label": "cat",
            "group": "",
            "sha256": content,
            "bytes": 10 * bool(content),
            "status": "accepted" if content else "quarantined",
            "reason": "" if content else "link",
        }
        for name, content in contents.items()
    ]
    return pd.DataFrame(rows)


def rows(old, new):
    return [tuple(row) for row in changes.difference(old, new).itertuples(index=False)]


def test_equal_manifests_differ_in_nothing():
    old = files(a="1", b="2", c="")
    assert rows(old, old.assign(brightness=3.0)) == []
    assert list(changes.difference(old, old).columns) == ["change", "path", "other"]
    assert changes.described(changes.difference(old, old)) == ""


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (files(a="1", b="2", c="", d="4"), [("added", "cat/d.jpg", "")]),
        (files(a="1", c=""), [("removed", "cat/b.jpg", "")]),
        (files(a="9", b="2", c=""), [("changed", "cat/a.jpg", "")]),
        (files(a="1", b="", c=""), [("changed", "cat/b.jpg", "")]),
        (files(x="1", b="2", c=""), [("moved", "cat/a.jpg", "cat/x.jpg")]),
        (files(a="2", b="1", c=""), [("changed", "cat/a.jpg", ""), ("changed", "cat/b.jpg", "")]),
        (files(a="1", b="2", d=""), [("added", "cat/d.jpg", ""), ("removed", "cat/c.jpg", "")]),
        (files(a="1", b="2", c="", d="1"), [("added", "cat/d.jpg", "")]),  # a copy, not a move
    ],
)
def test_each_change_has_its_kind(new, expected):
    old = files(a="1", b="2", c="")
    assert rows(old, new) == expected
    assert manifest.digest(old) != manifest.digest(new)


def test_files_that_are_skipped_are_no_change():
    old = files(a="1")
    stray = files(b="2").assign(path="cat/.DS_Store", status="skipped", reason="hidden")
    new = pd.concat([old, stray], ignore_index=True)
    assert rows(old, new) == rows(new, old) == []
    assert manifest.digest(old) == manifest.digest(new)


def test_of_several_copies_each_moves_once():
    old, new = files(a="1", b="1", c="1"), files(x="1", y="1")
    assert rows(old, new) == [
        ("removed", "cat/c.jpg", ""),
        ("moved", "cat/a.jpg", "cat/x.jpg"),
        ("moved", "cat/b.jpg", "cat/y.jpg"),
    ]


@pytest.mark.parametrize("column", ["label", "group"])
def test_a_new_label_or_group_is_a_change(column):
    old = files(a="1")
    new = old.assign(**{column: "dog"})
    assert rows(old, new) == rows(new, old) == [("changed", "cat/a.jpg", "")]
    assert manifest.digest(old) != manifest.digest(new)


def test_a_group_of_a_skipped_file_is_no_change():
    old = files(a="1", b="").assign(status=["accepted", "skipped"])
    new = old.assign(group=["", "patient"])
    assert rows(old, new) == []
    assert manifest.digest(old) == manifest.digest(new)


def test_one_line_counts_all_and_names_the_first():
    old, new = files(a="1", z="0"), files(b="1", d="3", e="4", f="5", g="6", h="7", z="9")
    assert changes.described(changes.difference(old, new)) == (
        "5 added (cat/d.jpg, cat/e.jpg, cat/f.jpg and 2 more), 1 changed (cat/z.jpg), "
        "1 moved (cat/a.jpg → cat/b.jpg)"
    )


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three files as accepted long ago, and what has been read of them since."""
    read_file, read = images.read_file, []
    monkeypatch.setattr(images, "read_file", lambda path: read.append(path.name) or read_file(path))
    (tmp_path / "cat").mkdir()
    for name in "abc":
        (tmp_path / "cat" / f"{name}.jpg").write_bytes(name.encode() * 10)
    listed = files(a="1", b="2", c="3")
    listed["sha256"] = [hashlib.sha256(name.encode() * 10).hexdigest() for name in "abc"]
    return tmp_path, listed, read


def since(folder, made):
    root, listed, _ = folder
    return [tuple(row) for row in changes.since(listed, root, made).itertuples(index=False)]


def later(path):
    """A time after everything that happened to the file."""
    return os.lstat(path).st_ctime_ns + 10**10


def test_untouched_files_are_not_read(folder):
    assert since(folder, later(folder[0] / "cat" / "c.jpg")) == []
    assert folder[2] == []


def test_files_touched_since_are_read_and_equal_ones_pass(folder):
    assert since(folder, 0) == []
    assert sorted(folder[2]) == ["a.jpg", "b.jpg", "c.jpg"]


def test_another_size_and_a_missing_file_are_seen_whatever_their_times(folder):
    root = folder[0]
    (root / "cat" / "a.jpg").write_bytes(b"longer than it was")
    (root / "cat" / "c.jpg").unlink()
    made = later(root / "cat" / "a.jpg")
    assert since(folder, made) == [("removed", "cat/c.jpg", ""), ("changed", "cat/a.jpg", "")]
    assert folder[2] == ["a.jpg"]


def test_other_bytes_of_the_same_size_and_time_are_seen(folder):
    file = folder[0] / "cat" / "b.jpg"
    before = file.stat()
    made = before.st_ctime_ns
    file.write_bytes(b"x" * 10)
    os.utime(file, ns=(before.st_atime_ns, 0))  # as copying with its times kept does
    assert since(folder, made) == [("changed", "cat/b.jpg", "")]


def test_a_link_in_the_place_of_a_file_is_what_it_leads_to(folder, tmp_path):
    file, other = folder[0] / "cat" / "b.jpg", tmp_path / "other"
    other.write_bytes(file.read_bytes())
    file.unlink()
    file.symlink_to(other)
    assert since(folder, 0) == []
    other.write_bytes(b"x" * 10)
    assert since(folder, 0) == [("changed", "cat/b.jpg", "")]
    file.unlink()
    os.mkfifo(file)  # reading it would wait for ever
    assert since(folder, 0) == [("changed", "cat/b.jpg", "")]


def test_a_link_to_an_older_file_of_the_same_size_is_a_change(folder, tmp_path):
    file, other = folder[0] / "cat" / "b.jpg", tmp_path / "other"
    other.write_bytes(b"x" * 10)
    made = other.stat().st_ctime_ns + 1
    time.sleep(0.02)  # the clock of files ticks slowly
    file.unlink()
    file.symlink_to(other)
    assert ("changed", "cat/b.jpg", "") in since(folder, made)


def test_a_folder_that_is_gone_is_all_removed(folder):
    for file in (folder[0] / "cat").iterdir():
        file.unlink()
    (folder[0] / "cat").rmdir()
    assert [row[0] for row in since(folder, 0)] == ["removed"] * 3


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"label": "dog"}, [("changed", "cat/b.jpg", "")]),
        ({"group": "patient"}, [("changed", "cat/b.jpg", "")]),
        ({"split": "test"}, [("changed", "cat/b.jpg", "")]),
        (None, [("removed", "cat/b.jpg", "")]),
    ],
)
def test_what_is_declared_of_a_file_now_counts_as_its_content_does(folder, change, expected):
    root, listed, _ = folder
    listed = listed.assign(label="cat", split="", group="")
    entries = {path: Entry(path, "cat") for path in listed["path"]}
    entry = entries.pop("cat/b.jpg")
    if change is not None:
        entries["cat/b.jpg"] = replace(entry, **change)
    found = changes.since(listed, root, later(root / "cat" / "c.jpg"), entries)
    assert [tuple(row) for row in found.itertuples(index=False)] == expected


def test_refused_files_are_not_looked_at(folder):
    root, listed, read = folder
    (root / "cat" / "a.jpg").unlink()
    listed.loc[0, "status"] = "quarantined"
    assert since((root, listed, read), later(root / "cat" / "b.jpg")) == []


def test_changes_of_each_class():
    old = listed(
        ("cat/1.jpg", "cat", "1"),
        ("cat/2.jpg", "cat", "2"),
        ("cat/3.jpg", "cat", "3"),
        ("dog/4.jpg", "dog", "4"),
        ("dog/5.jpg", "dog", "5"),
    )
    new = listed(
        ("cat/1.jpg", "cat", "1"),
        ("cat/2.jpg", "cat", "2, again"),  # changed
        ("cat/moved.jpg", "cat", "3"),  # moved within its class: nothing
        ("cat/4.jpg", "cat", "4"),  # relabelled
        ("bird/6.jpg", "bird", "6"),  # added
    )
    found = changes.by_class(old, new)
    assert list(found.columns) == ["before", "added", "removed", "changed", "relabelled", "now"]
    assert {name: list(row) for name, row in found.T.items()} == {
        "bird": [0, 1, 0, 0, 0, 1],
        "cat": [3, 0, 0, 1, 1, 4],
        "dog": [2, 0, 1, 0, 0, 0],
    }
    same = changes.by_class(old, old)
    assert same[["added", "removed", "changed", "relabelled"]].to_numpy().sum() == 0


def listed(*rows):
    """A manifest of accepted images: (path, label, content)."""
    table = pd.DataFrame(rows, columns=["path", "label", "sha256"]).assign(status="accepted")
    return table.reindex(columns=manifest.COLUMNS, fill_value="")

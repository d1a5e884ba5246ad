"""A difference names every file that changed, once, and is empty exactly for one digest."""

import pandas as pd
import pytest

from cnnlab.data import changes, manifest


def files(**contents):
    """A manifest of the files ``name=content`` of class cat; content "" was refused unread."""
    rows = [
        {
            "path": f"cat/{name}.jpg",
            "split": "",
            "label": "cat",
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


def test_of_several_copies_each_moves_once():
    old, new = files(a="1", b="1", c="1"), files(x="1", y="1")
    assert rows(old, new) == [
        ("removed", "cat/c.jpg", ""),
        ("moved", "cat/a.jpg", "cat/x.jpg"),
        ("moved", "cat/b.jpg", "cat/y.jpg"),
    ]


def test_a_new_label_is_a_change():
    old = files(a="1")
    assert rows(old, old.assign(label="dog")) == [("changed", "cat/a.jpg", "")]


def test_one_line_counts_all_and_names_the_first():
    old, new = files(a="1", z="0"), files(b="1", d="3", e="4", f="5", g="6", h="7", z="9")
    assert changes.described(changes.difference(old, new)) == (
        "5 added (cat/d.jpg, cat/e.jpg, cat/f.jpg, and 2 more), 1 changed (cat/z.jpg), "
        "1 moved (cat/a.jpg → cat/b.jpg)"
    )

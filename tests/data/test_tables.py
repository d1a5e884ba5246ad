import csv
import random
import re

import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError
from cnnlab.data import manifest, splits, tables
from cnnlab.data.sources import user_table
from cnnlab.runs import drift


def test_text_that_looks_like_something_else_comes_back_as_text(tmp_path):
    table = pd.DataFrame({"path": ["007", "NA", 'a,"b"\nc'], "label": ["", "None", "1e3"]})
    tables.write(table, tmp_path / "table.csv")
    back = tables.read(tmp_path / "table.csv", "table", ["path", "label"])
    assert back.to_dict("list") == table.to_dict("list")


@pytest.mark.parametrize("text", ["a\rb", "\r", "a\r\nb", "a\nb", "\u2028", "\x85", "\x00", " a "])
def test_a_text_with_any_sign_is_one_value(tmp_path, text):
    table = pd.DataFrame({"path": [text, "b"], text: ["1", text]})
    tables.write(table, tmp_path / "table.csv")
    assert tables.read(tmp_path / "table.csv", "table", ["path", text]).equals(table)


def test_a_write_that_fails_leaves_the_old_table(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    tables.write(pd.DataFrame({"a": ["old"]}), path)

    def half_written(self, target, **options):
        target.write_text("a\nha")
        raise OSError("disk full")

    monkeypatch.setattr(pd.DataFrame, "to_csv", half_written)
    with pytest.raises(OSError, match="disk full"):
        tables.write(pd.DataFrame({"a": ["new"]}), path)
    assert path.read_text() == "a\nold\n"


def test_another_table_is_refused_by_name(tmp_path):
    tables.write(pd.DataFrame({"a": ["1"]}), tmp_path / "table.csv")
    with pytest.raises(InputError, match="not a manifest: expected the columns a, b"):
        tables.read(tmp_path / "table.csv", "manifest", ["a", "b"])
    with pytest.raises(InputError, match="Cannot read the manifest"):
        tables.read(tmp_path / "none.csv", "manifest", ["a", "b"])


SIGNS = "=+-@＝＋－＠"
# Where a cell begins for one who separates by semicolons or tabs and does not know our quotes.
BEGINS = re.compile(r"[;\t\r\n]")


def computed(cell: str) -> bool:
    """Tell whether a spreadsheet may compute a cell, or a part of it where it divides it."""
    parts = [part.lstrip(' "\u200b\ufeff\xa0\x1b') for part in BEGINS.split(cell)]
    return any(part.startswith(tuple(SIGNS)) for part in parts) or cell[:1] in ("\t", "\r", "\n")


def odd_texts(count: int, seed: int) -> list[str]:
    """Texts of the signs that matter, some of which begin with our own apostrophe."""
    draw, signs = random.Random(seed), [*SIGNS, *"'''\";;, \t\r\n\u200b\ufeff\xa0\x1b|aé1"]
    return ["".join(draw.choices(signs, k=draw.randrange(9))) for _ in range(count)]


def test_every_text_comes_back_and_none_is_computed():
    for text in odd_texts(20_000, seed=0):
        guarded = tables.guard(text)
        assert tables.unguard(guarded) == text
        assert not computed(guarded)
        assert (guarded == text) or re.search(f"[{SIGNS}\t\r\n]", text)


@pytest.mark.parametrize("text", ["", "a", "a-b", "a = b", "'tis", "T-shirt/1.jpg", "a\nb", "1;2"])
def test_what_no_spreadsheet_computes_stays_as_it_is(text):
    assert tables.guard(text) == text


@pytest.mark.parametrize("seed", range(4))
def test_a_table_comes_back_and_others_read_cells_that_are_not_computed(tmp_path, seed):
    texts = odd_texts(300, seed)
    path, numbers = tmp_path / "table.csv", -np.arange(300.0) / 7
    table = pd.DataFrame(
        {"path": texts, "n": np.arange(300) - 9, "label": texts[::-1], "x": numbers}
    )
    tables.write(table, path)
    columns = ["path", "n", "label", "x"]
    assert tables.read(path, "table", columns)[["path", "label"]].equals(table[["path", "label"]])
    again = tables.load(path, ("path", "label"))
    assert again[["n", "x"]].equals(table[["n", "x"]])
    assert again["path"].fillna("").tolist() == texts
    header, *rows = tables.rows(path)
    assert header == columns
    assert [(row[0], row[2]) for row in rows] == list(zip(texts, texts[::-1], strict=True))

    with open(path, encoding="utf-8", newline="") as file:
        plain = list(csv.DictReader(file))
    pandas = pd.read_csv(path, dtype=str, keep_default_na=False).to_dict("records")
    for found in (plain, pandas):
        assert len(found) == 300
        for row, text, label, number in zip(found, texts, texts[::-1], numbers, strict=True):
            assert not computed(row["path"])
            assert not computed(row["label"])
            changed = (row["path"], row["label"]) != (text, label)
            assert row["guarded"] == ("yes" if changed else "")
            assert float(row["x"]) == number  # a negative number is one


def test_a_table_that_needs_no_guard_is_written_as_before(tmp_path):
    table = pd.DataFrame({"path": ["a", "'b", "-c"[1:]], "x": [-1, -2.5, 1e-9]})
    tables.write(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "path,x\na,-1.0\n'b,-2.5\nc,1e-09\n"


def test_a_table_of_an_earlier_version_means_what_it_says(tmp_path):
    (tmp_path / "old.csv").write_text("path,label\n'=a,'tis\n=b,''+c\n")
    table = tables.read(tmp_path / "old.csv", "table", ["path", "label"])
    assert table.to_dict("list") == {"path": ["'=a", "=b"], "label": ["'tis", "''+c"]}
    assert list(tables.rows(tmp_path / "old.csv"))[1:] == [["'=a", "'tis"], ["=b", "''+c"]]
    assert tables.load(tmp_path / "old.csv", ("path",))["path"].tolist() == ["'=a", "=b"]


def test_the_name_of_a_column_is_guarded_too(tmp_path):
    tables.write(pd.DataFrame({"=a": [1]}), tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == "'=a,guarded\n1,\n"
    assert list(tables.load(tmp_path / "table.csv", ())) == ["=a"]
    with pytest.raises(ValueError, match="guarded"):
        tables.write(pd.DataFrame({"guarded": [1]}), tmp_path / "table.csv")


def test_missing_values_and_flags_are_no_text(tmp_path):
    table = pd.DataFrame({"a": ["=x", None, "y"], "b": [True, False, True], "c": [1.0, None, -1]})
    tables.write(table, tmp_path / "table.csv")
    again = tables.load(tmp_path / "table.csv", ("a",))
    assert again["a"].fillna("").tolist() == ["=x", "", "y"]
    assert again["b"].tolist() == [True, False, True]
    assert again["c"].equals(table["c"])


def test_manifest_and_split_keep_their_values_and_the_dataset_its_hash(tmp_path):
    names = ["=a", "'=a", "+b;=c", "@d", "plain"]
    rows = {name: names if kind == "str" else 0 for name, kind in manifest._TYPES.items()}
    listed = pd.DataFrame(rows, columns=manifest.COLUMNS).astype(manifest._TYPES)
    listed["status"] = "accepted"
    manifest.write(listed, tmp_path / "manifest.csv")
    assert "'=a" in (tmp_path / "manifest.csv").read_text()
    assert manifest.read(tmp_path / "manifest.csv").equals(listed)
    assert manifest.digest(manifest.read(tmp_path / "manifest.csv")) == manifest.digest(listed)
    table = pd.DataFrame(dict.fromkeys(splits.COLUMNS, names) | {"split": "test"})
    splits.write(table, tmp_path / "splits.csv")
    assert splits.read(tmp_path / "splits.csv").equals(table.astype("str"))


def test_a_run_written_before_the_guard_does_not_drift_from_one_written_now(tmp_path):
    table = pd.DataFrame({"path": ["=a", "'=b", "c"], "x": [-1.0, 2, 3]})
    table.to_csv(tmp_path / "old.csv", index=False)
    tables.write(table, tmp_path / "new.csv")
    assert (tmp_path / "old.csv").read_bytes() != (tmp_path / "new.csv").read_bytes()
    assert drift._table("x.csv", tmp_path / "old.csv", tmp_path / "new.csv") is None
    tables.write(table.replace("'=b", "=b"), tmp_path / "other.csv")
    assert drift._table("x.csv", tmp_path / "new.csv", tmp_path / "other.csv") is not None


def test_a_table_that_someone_wrote_is_read_as_it_is(tmp_path):
    (tmp_path / "mine.csv").write_text("path,label,guarded\n'=a,'=b,yes\n+c,=d,\n")
    found = user_table.read(tmp_path / "mine.csv", ("path", "label")).columns
    assert found == {"path": ["'=a", "+c"], "label": ["'=b", "=d"]}

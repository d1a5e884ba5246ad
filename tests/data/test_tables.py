import pandas as pd
import pytest

from cnnlab.config import InputError
from cnnlab.data import tables


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

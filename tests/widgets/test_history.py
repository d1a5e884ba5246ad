"""The results of all files, as CSV that a spreadsheet may open, and as a table."""

import base64
import csv
import io
import re
from types import SimpleNamespace
from urllib.parse import unquote

import pandas as pd
import pytest

from cnnlab.data import tables
from cnnlab.widgets import history
from cnnlab.widgets.upload_result import UploadResult


def _answered(name: str, label: str = "disc", **changes: object) -> UploadResult:
    facts = {
        "top": ((label, 0.75), ("ring", 0.25)),
        "plausible": (label, "ring"),
        "none_of_these": False,
        "cached": True,
        "elapsed_ms": 1.25,
    }
    return UploadResult(name, SimpleNamespace(**facts | changes))


def _cells(results: list[UploadResult]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(history.as_csv(results), newline="")))


def test_a_row_says_what_was_answered():
    (row,) = _cells([_answered("a.jpg")])
    assert row == {
        "name": "a.jpg",
        "label": "disc",
        "probability": "0.750000",
        "plausible": "disc | ring",
        "none_of_these": "false",
        "cached": "true",
        "ms": "1.250",
        "error": "",
    }


def test_what_is_not_known_is_empty():
    (row,) = _cells([_answered("a.jpg", none_of_these=None, plausible=())])
    assert (row["none_of_these"], row["plausible"]) == ("", "")


def test_a_refused_file_has_a_row_with_its_reason():
    (row,) = _cells([UploadResult("b.jpg", error="It is empty.")])
    assert [value for value in row.values() if value] == ["b.jpg", "It is empty."]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_no_text_becomes_a_formula(text):
    rows = _cells([_answered(text, label=text, plausible=(text,)), UploadResult(text, error=text)])
    found = [rows[0]["name"], rows[0]["label"], rows[0]["plausible"], rows[1]["name"]]
    assert [*found, rows[1]["error"]] == [tables.guard(text)] * 5
    assert all(cell.startswith("'") for cell in found)


@pytest.mark.parametrize("name", ['a,"b".jpg', "two\r\nlines.jpg", "Ärger 🙂.jpg", "a;b", "'x"])
def test_odd_names_come_back_as_they_are(name):
    assert [row["name"] for row in _cells([_answered(name)] * 2)] == [name, name]


def test_the_link_holds_the_file_itself():
    link = history.download([_answered("Ärger, 1.jpg"), UploadResult("b.jpg", error="bad")])
    kind, _, data = re.findall('href="(.*?)"', link)[0].partition(",")
    assert kind == "data:text/csv;charset=utf-8;base64"
    assert 'download="predictions.csv"' in link
    content = base64.b64decode(unquote(data))
    assert content.startswith(b"\xef\xbb\xbf")  # spreadsheets need it to see UTF-8
    table = pd.read_csv(io.BytesIO(content))
    assert tuple(table.columns) == history.COLUMNS
    assert table["name"].tolist() == ["Ärger, 1.jpg", "b.jpg"]


def test_a_name_that_is_no_unicode_spoils_nothing():
    assert "base64" in history.download([_answered("\ud800.jpg")])


def test_the_table_lists_the_newest_first_and_escapes():
    page = history.table(
        [_answered("<a>.jpg", none_of_these=True), UploadResult("b.jpg", error="<bad>")]
    )
    assert "History (2)" in page
    assert page.index("b.jpg") < page.index("&lt;a&gt;.jpg")
    assert "no prediction: &lt;bad&gt;" in page
    assert "disc <em>(perhaps none of these)</em>" in page
    assert "<a>" not in page

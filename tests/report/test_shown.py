import pandas as pd
from bs4 import BeautifulSoup
from hostile_names import NAMES

from cnnlab.report import Shown
from cnnlab.text.printable import printable


def cells(table, kind):
    page = BeautifulSoup(Shown(table)._repr_html_(), "html.parser")
    assert page.table["class"] == ["dataframe", "tex2jax_ignore", "mathjax_ignore"]
    return [cell.get_text().strip() for cell in page.find_all(kind)]


def test_names_are_text_in_cells_index_and_columns():
    for name in NAMES:
        with pd.option_context("display.max_colwidth", None):
            found = cells(
                pd.DataFrame({name: [name, 1]}, index=pd.Index([name, 2], name=name)), "td"
            )
        assert found == [printable(name).strip(), "1"]
        heads = cells(pd.DataFrame({name: [1]}, index=pd.Index([name], name=name)), "th")
        assert [each for each in heads if each] == [printable(name).strip()] * 3


def test_the_table_itself_is_left_alone():
    table = pd.DataFrame(
        {"a": ["x\n", None]},
        index=pd.MultiIndex.from_tuples([("b\t", 1), ("c", 2)], names=["d\t", None]),
    )
    copy = table.copy()
    assert "b\\t" in repr(Shown(table))
    assert "d\\t" in repr(Shown(table))
    pd.testing.assert_frame_equal(table, copy)
    assert table.index.names == ["d\t", None]


def test_long_text_is_shown_whole():
    text = "x" * 200
    assert text in Shown(pd.DataFrame({"found": [text]}))._repr_html_()

import base64
from html import escape, unescape
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cnnlab.report import layout, pages

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
WIDGET = {pages.WIDGET: {"model_id": "abc", "version_major": 2}}


class Requests(HTMLParser):
    """Collects what a browser would fetch: every src, and the href of links to resources."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster") or (tag == "link" and name == "href"):
                self.found.append((tag, value))

    def handle_data(self, data):
        self.text.append(data)

    def outside(self):
        return [found for found in self.found if not (found[1] or "").startswith("data:")]


@pytest.fixture
def page(tmp_path):
    cells = [
        new_markdown_cell("# Question\n\nA <b>word</b> and `code`."),
        new_code_cell(
            "1 + 1",
            execution_count=1,
            outputs=[new_output("execute_result", {"text/plain": "<two>"}, execution_count=1)],
        ),
        new_code_cell(
            "figure",
            execution_count=2,
            outputs=[new_output("display_data", {"image/png": PIXEL, "text/plain": "<Figure>"})],
        ),
        new_code_cell(
            "bar",
            execution_count=3,
            outputs=[new_output("display_data", {**WIDGET, "text/plain": "  0%|   | 0/3"})],
        ),
        new_code_cell(
            "app",
            execution_count=4,
            outputs=[new_output("display_data", {**WIDGET, "text/plain": "VBox(children=())"})],
        ),
    ]
    node = new_notebook(cells=cells)
    node.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    nbformat.write(node, tmp_path / "02_x.ipynb")
    pages.write_page(
        tmp_path / "02_x.ipynb",
        tmp_path / "02_x.html",
        run_name="a<b",
        previous="01_w",
        following="03_y",
    )
    return (tmp_path / "02_x.html").read_text(encoding="utf-8")


def _timed(cell, seconds):
    cell.metadata["papermill"] = {"duration": seconds}
    return cell


def _read(page):
    reader = Requests()
    reader.feed(page)
    return reader


def test_nothing_is_fetched(page):
    reader = _read(page)
    assert reader.outside() == []
    assert "@import" not in page
    assert "url(http" not in page.replace('"', "").replace("'", "")
    assert "<script src" not in page
    assert "import(" not in page
    head = unescape(page)
    assert head.index(layout.policy()) < min(head.index("<style"), head.index("<script"))
    assert f"<script>{layout.read(layout.SCRIPT)}</script>" in page  # to the letter: it is hashed


def test_text_code_output_and_figure_are_there(page):
    text = "".join(_read(page).text)
    assert "Question" in text
    assert "<two>" in text
    embedded = [value for tag, value in _read(page).found if tag == "img"]
    assert [base64.b64decode(value.partition(",")[2]) for value in embedded] == [
        base64.b64decode(PIXEL)
    ]


def test_a_widget_says_where_it_lives_and_a_finished_bar_disappears(page):
    assert page.count("open the notebook in JupyterLab") == 1
    assert "0%|" not in page
    assert "VBox" not in page


def test_it_links_back_and_to_its_neighbours_with_escaped_names(page):
    assert 'href="../index.html"' in page
    assert 'href="01_w.html"' in page
    assert 'href="03_y.html"' in page
    assert "a<b" not in page
    assert "a&lt;b" in page


def test_it_follows_the_readers_colours(page):
    assert "(prefers-color-scheme: dark)" in page


def test_the_contents_list_the_headings_with_the_time_of_their_cells(tmp_path):
    cells = [
        new_markdown_cell("# Title\n\n## *First* & `one`"),
        _timed(new_code_cell("a"), 1.25),
        _timed(new_code_cell("b"), 61),
        new_markdown_cell("```\n## no heading\n```\n\n## Quick"),
        _timed(new_code_cell("c"), 0.5),
    ]
    node = new_notebook(cells=cells)
    node.metadata["papermill"] = {"duration": 3723}
    assert [(each.title, each.seconds) for each in pages.sections(node)] == [
        ("First & one", 62.25),
        ("Quick", 0.5),
    ]
    nbformat.write(node, tmp_path / "a.ipynb")
    pages.write_page(tmp_path / "a.ipynb", tmp_path / "a.html", run_name="r")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    for section in pages.sections(node):
        assert page.count(f'id="{escape(section.anchor)}"') == 1
        assert page.count(f'<a href="#{escape(section.anchor)}">') == 1
    assert "ran 1 h 2 min in all" in page
    assert page.count("<span>1 min 2 s</span>") == 1
    assert page.count('<p class="run-took">ran 1.2 s</p>') == 1
    assert page.count('class="run-took"') == 2  # of three cells, one was quick


def test_a_notebook_without_headings_has_no_contents(page):
    assert "run-toc" not in page.partition("</style>\n</head>")[2].partition("<body")[2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (4.24, "4.2 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (7200, "2 h 0 min")],
)
def test_a_running_time_reads_well(seconds, text):
    assert pages.took(seconds) == text

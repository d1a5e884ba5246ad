"""Names in Markdown are text, by two renderers that know nothing of each other."""

import pytest
from bs4 import BeautifulSoup
from hostile_names import NAMES
from markdown_it import MarkdownIt
from nbconvert.filters import markdown2html

from cnnlab.text import markdown
from cnnlab.text.markdown import Markdown
from cnnlab.text.printable import printable

PLACES = {
    "p": "{}",
    "li": "- {}",
    "h2": "## {}",
    "strong": "**{}**",
    "td": "| a | b |\n| --- | --- |\n| {} | x |",
    "blockquote": "> {}",
}
OURS = {"h2": ["a"], "td": ["table", "thead", "tbody", "tr", "th", "td"], "li": ["ul"]}


def commonmark(source: str) -> str:
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return reader.render(source)


@pytest.mark.parametrize("rendered", [markdown2html, commonmark])
@pytest.mark.parametrize("place", PLACES)
def test_a_name_is_read_as_it_is_and_makes_no_element(rendered, place):
    for name in NAMES:
        page = BeautifulSoup(rendered(Markdown(PLACES[place]).format(name)), "html.parser")
        for anchor in page.select("a.anchor-link"):
            anchor.decompose()
        found = page.find(place)
        assert found is not None, name
        assert " ".join(found.get_text().split()) == " ".join(printable(name).split())
        tags = {element.name for element in page.find_all()}
        assert tags <= {place, "p", "span", *OURS.get(place, [])}, (name, tags)
        assert all(not span.attrs for span in page.find_all("span"))


def test_all_names_of_one_document_stay_apart():
    """No two of them open and close something together: formulas, code, references, comments."""
    source = markdown.table(["class", "n"], [[name, 1] for name in NAMES])
    source = markdown.paragraphs(source, *NAMES)
    for rendered in (markdown2html, commonmark):
        page = BeautifulSoup(rendered(source), "html.parser")
        shown = [" ".join(printable(name).split()) for name in NAMES]
        assert [" ".join(row.td.get_text().split()) for row in page.select("tbody tr")] == shown
        assert [" ".join(each.get_text().split()) for each in page.find_all("p")] == shown
        assert (
            page.find(["a", "img", "code", "em", "strong", "pre", "ol", "ul", "hr", "h1"]) is None
        )


@pytest.mark.parametrize("rendered", [markdown2html, commonmark])
def test_what_follows_a_name_makes_no_reference_of_it(rendered):
    source = Markdown("{0}: https://x.invalid\n\n{0} and {0} too").format("[name]")
    assert BeautifulSoup(rendered(source), "html.parser").p.get_text().startswith("[name]: ")
    assert '<a href="https://x.invalid">[' not in rendered(source)
    assert rendered(source).count("name") == 3


def test_no_formula_can_be_found_in_what_is_shown():
    """MathJax looks for formulas in texts that stand together, and for none across elements."""
    for name in NAMES:
        page = BeautifulSoup(markdown2html(markdown.text(name)), "html.parser")
        for piece in page.find_all(string=True):
            alone = piece.parent.name == "span" and len(piece) == 1
            assert alone or not any(sign in piece for sign in ("$", "\\(", "\\[", "\\begin"))


def test_what_is_markdown_stays_and_what_is_not_does_not():
    assert Markdown("**{}** {:.2f}").format("*a*", 0.5) == "**&#42;a&#42;** 0.50"
    assert Markdown("{}").format(Markdown("*a*")) == "*a*"
    assert Markdown(", ").join(["`", Markdown("`")]) == "&#96;, `"
    assert markdown.document("t", {"A": "*x*", "B": ""}) == "t\n\n## A\n\n&#42;x&#42;\n"
    assert Markdown("*a*")._repr_markdown_() == "*a*"


def test_a_plain_name_is_left_as_it_is():
    for name in ("T-shirt", "long sleeve", "snake_case", "a/b.jpg", "0.912 [0.850, 0.950]", "-0.5",
                 "Ärger", "(grey)", "it's", "50%", "a & b"):  # fmt: skip
        assert markdown.text(name).replace("&amp;", "&") == name


def test_code_is_code_only_where_it_needs_no_escape():
    assert markdown.code("resnet-8.v1") == "`resnet-8.v1`"
    assert markdown.code("a`b") == "a&#96;b"
    assert markdown.code("<b>") == "&lt;b&gt;"


def test_a_table_by_hand():
    assert markdown.table(["a", "b"], [[1, "x|"]]) == "| a | b |\n| --- | --- |\n| 1 | x&#124; |"

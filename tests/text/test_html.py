from bs4 import BeautifulSoup
from hostile_names import NAMES

from cnnlab.text.html import Html
from cnnlab.text.printable import printable


def test_a_name_is_text_in_an_element_and_in_an_attribute():
    for name in NAMES:
        page = BeautifulSoup(Html('<b title="{0}">{0}</b>').format(name), "html.parser")
        assert [element.name for element in page.find_all()] == ["b"]
        assert page.b.attrs == {"title": printable(name)}
        assert page.b.get_text() == printable(name)


def test_what_is_html_stays():
    assert Html("{}{}").format(Html("<i>"), "<i>") == "<i>&lt;i&gt;"
    assert Html("").join([Html("<b>"), "<b>"]) == "<b>&lt;b&gt;"
    assert Html("<b>") + "<b>" == "<b>&lt;b&gt;"
    assert isinstance(Html("a").join([]), Html)


def test_what_does_not_show_is_escaped():
    assert printable("a\nb\x1b[0m") == "a\\nb\\x1b[0m"
    assert printable("\u202egpj") == "\\u202egpj"
    assert printable("zero\u200bwidth") == "zero\\u200bwidth"
    assert printable("Ärger 🙂 日本") == "Ärger 🙂 日本"
    assert printable(7) == "7"

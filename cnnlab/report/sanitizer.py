"""What of a notebook's HTML gets into a page: tables and text, and nothing that acts.

What a cell printed may be anything: a table with a file's name in it, or Markdown that HTML stands
in. ``nh3`` parses it as a browser does (it is html5ever and ammonia, of the Rust project) and keeps
what is named here. The page's content security policy stands behind it, but a policy stops neither
``<meta http-equiv=refresh>`` nor a form that somebody fills in, nor text that poses as the page's.
"""

import nh3

_TEXT = "a abbr b blockquote br caption code dd del details div dl dt em h1 h2 h3 h4 h5 h6 hr i"
_MORE = "kbd li ol p pre s samp small span strong sub summary sup table tbody td tfoot th thead"
TAGS = {*_TEXT.split(), *_MORE.split(), "tr", "u", "ul", "var"}
ATTRIBUTES = {
    **{f"h{level}": {"id"} for level in range(1, 7)},  # where the contents lead to
    "*": {"class"},
    "a": {"href"},
    "ol": {"start"},
    "pre": {"style"},  # Keras' table of layers, which rich draws
    "span": {"style"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
}
STYLE = {"color", "font-family", "font-weight", "line-height", "overflow-x", "white-space"}


def html(source: str) -> str:
    """Return HTML without anything that runs, loads, submits, moves or links elsewhere.

    Links lead to places of the same page only; the text of others stays. There are no pictures in
    it: those of cells are outputs of their own.
    """
    return nh3.clean(
        source,
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_kept,
        filter_style_properties=STYLE,
        url_schemes=set(),
        link_rel=None,
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    """Return the value of an attribute, or None where it is left out."""
    return None if (tag, name) == ("a", "href") and not value.startswith("#") else value

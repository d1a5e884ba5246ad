"""Markdown in which every name is text: the one place where it is put together.

``Markdown`` is what is known to be Markdown, and all else is text: whatever is joined to it or
formatted into it is escaped unless it is ``Markdown`` itself, as ``markupsafe.Markup`` does it for
HTML. It holds for CommonMark, GitHub, JupyterLab with MathJax, and nbconvert.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from string import Formatter
from typing import Any

from cnnlab.text.printable import printable

# Signs that mean something in some place, as entities: a backslash would itself be one to MathJax.
_ALWAYS = "&<>`*~|#@"
_ESCAPED = re.compile(
    rf"[{_ALWAYS}]"
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis begins and ends at the edge of a word only
    r"|\A\[|\](?=[(\[:])"  # a link or its definition
    r"|:(?=/)|(?<=www)\."  # an address, which would become a link
    r"|\A(?:[-+:](?=\s|\Z)|[-=](?=[-=\s]*\Z)|\s)|\s\Z"  # a list, a line below a heading, code
    r"|\A\d+[.)](?=\s|\Z)",  # a numbered list
    re.IGNORECASE,
)
# MathJax looks for these in what is shown, after the Markdown: alone in an element they are text.
_MATHS = re.compile(r"\$|\\(?=[(\[]|begin|ref|eqref)")


class Markdown(str):
    """Text that is Markdown. Only a literal may be made one; a notebook shows it as such.

    Example:
        >>> Markdown("**Class:** {}").format("*a* <b>")
        '**Class:** &#42;a&#42; &lt;b&gt;'
    """

    __slots__ = ()

    def format(self, *values: Any, **named: Any) -> "Markdown":
        """Fill the places of a template, with everything that is no Markdown as text."""
        return Markdown(_Escaping().vformat(self, values, named))

    def join(self, parts: Iterable[object]) -> "Markdown":
        """Join parts, with everything that is no Markdown as text."""
        return Markdown(str.join(self, map(text, parts)))

    def _repr_markdown_(self) -> str:
        return str(self)


class _Escaping(Formatter):
    def format_field(self, value: Any, format_spec: str) -> str:
        return value if isinstance(value, Markdown) else text(format(value, format_spec))


def text(value: object) -> Markdown:
    """Return Markdown that shows a text as it is, in one line; Markdown itself is left alone."""
    if isinstance(value, Markdown):
        return value
    shown = _ESCAPED.sub(lambda found: "".join(map(_entity, found[0])), printable(value))
    shown = _MATHS.sub(lambda found: f"<span>{_entity(found[0])}</span>", shown)
    return Markdown(shown.replace("\\", _entity("\\")))


def code(value: object) -> Markdown:
    """Return a text as code where nothing in it needs an escape, else as text."""
    plain = re.fullmatch(r"\w(?:[\w .:/+-]*\w)?|\?", str(value), re.ASCII)
    return Markdown(f"`{value}`") if plain else text(value)


def table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> Markdown:
    """Return a Markdown table."""
    lines: list[Sequence[object]] = [header, [Markdown("---")] * len(header), *rows]
    cells = (" | ".join(map(text, line)) for line in lines)
    return Markdown("\n".join(f"| {line} |" for line in cells))


def paragraphs(*parts: object) -> Markdown:
    """Return paragraphs; empty ones are left out."""
    return Markdown("\n\n").join(part for part in parts if part)


def document(title: object, sections: Mapping[str, object]) -> Markdown:
    """Return a page: what stands first, then sections with their headings, but empty ones."""
    titled = [Markdown("## {}\n\n{}").format(*item) for item in sections.items() if item[1]]
    return Markdown("{}\n").format(paragraphs(title, *titled))


def _entity(sign: str) -> str:
    return {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(sign, f"&#{ord(sign)};")

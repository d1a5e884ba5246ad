"""HTML in which every name is text."""

from typing import Any

from markupsafe import Markup

from cnnlab.text.printable import printable


class Html(Markup):
    """Text that is HTML. Only a literal may be made one; all else that joins it is escaped.

    It is ``markupsafe.Markup`` that also makes visible what ``printable`` does.

    Example:
        >>> Html('<b title="{0}">{0}</b>').format('a"b<c>')
        Html('<b title="a&#34;b&lt;c&gt;">a&#34;b&lt;c&gt;</b>')
    """

    __slots__ = ()

    @classmethod
    def escape(cls, s: Any, /) -> "Html":
        """Return HTML that shows a text; HTML itself is left alone."""
        return s if isinstance(s, cls) else cls(Markup.escape(printable(s)))

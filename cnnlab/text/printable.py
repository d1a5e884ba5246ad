"""Text that shows what it is: no terminal code, line break or turned reading order hides in it."""


def printable(value: object) -> str:
    r"""Return text in one line; every character that does not show is escaped as in Python.

    Control characters are among them, what turns the reading order, and what has no width. Names of
    files and classes go through this wherever people read them.

    Example:
        >>> printable("two\nlines"), printable("\u202egpj.exe"), printable("Ärger 🙂")
        ('two\\nlines', '\\u202egpj.exe', 'Ärger 🙂')
    """
    text = str(value)
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )

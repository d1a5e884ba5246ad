r"""Settings in one text, as notebooks and ``make`` take them: ``epochs=3 weights='my net.h5'``."""

import re
from collections.abc import Iterable

_WORD = re.compile(r"""([^\s='"]+=)?("[^"]*"|'[^']*')(?!\S)|\S+""")


def split(text: str) -> tuple[str, ...]:
    r"""Return the settings that a text holds, separated by spaces.

    Quotation marks of either kind around a value, or around a whole setting, keep its spaces and
    are left out. Nothing else has a meaning: no backslash, dollar sign or quotation mark inside.

    Example:
        >>> split("epochs=3 weights='my net.h5' group_by=p(\\d+)")
        ('epochs=3', 'weights=my net.h5', 'group_by=p(\\d+)')
    """
    return tuple(
        (word[1] or "") + word[2][1:-1] if word[2] else word[0] for word in _WORD.finditer(text)
    )


def joined(overrides: Iterable[str]) -> str:
    """Return one text of settings, which ``split`` takes apart again.

    A value with a space and both kinds of quotation marks is the one thing that no text can hold:
    ``cnnlab run --set`` takes it.

    Example:
        >>> joined(["epochs=3", "weights=my net.h5"])
        "epochs=3 weights='my net.h5'"
    """
    return " ".join(each if split(each) == (each,) else _quoted(each) for each in overrides)


def _quoted(text: str) -> str:
    key, equals, value = text.partition("=")
    mark = '"' if "'" in value else "'"
    return f"{key}{equals}{mark}{value}{mark}"

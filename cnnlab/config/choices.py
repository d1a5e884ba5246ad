"""What a message says of a name that is none of those there are."""

import difflib
from collections.abc import Iterable

MANY = 12  # names that are listed; of more, only so many


def one_of(name: object, known: Iterable[str], listed_by: str = "") -> str:
    """Return "expected one of a, b, c. Did you mean b?" for the end of a message.

    Args:
        name: What came.
        known: What there is, in the order of the list.
        listed_by: What lists all of them, where there are many: "cnnlab settings".

    Example:
        >>> one_of("quik", ["quick", "full"])
        'expected one of quick, full. Did you mean quick?'
    """
    known = [*known]
    listed = ", ".join(known[:MANY])
    if len(known) > MANY:
        listed += f", … ({len(known)} in all{f': {listed_by}' if listed_by else ''})"
    return f"expected one of {listed}.{did_you_mean(name, known)}"


def did_you_mean(name: object, known: Iterable[str], above: str = "") -> str:
    """Return " Did you mean …?" with the closest known name, "" where none is close.

    Args:
        name: What came.
        known: What there is.
        above: The start of a path in which all these lie, "here/": it is named, not compared.
    """
    plain = {each.lower(): each for each in known}
    close = difflib.get_close_matches(str(name).lower()[:200], plain, n=1)
    return f" Did you mean {above}{plain[close[0]]}?" if close else ""

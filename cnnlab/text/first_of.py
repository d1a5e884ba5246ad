"""Names one after another, not more than a reader takes in."""

from collections.abc import Sequence


def first_of(
    names: Sequence[str], most: int, *, total: int = 0, apart: str = ", ", what: str = ""
) -> str:
    """Return the first names and how many more there are.

    Args:
        names: All of them, or the first.
        most: Names to show.
        total: How many there are; 0 is as many as ``names``.
        apart: What stands between two names.
        what: The plural of what is named, said behind the number of the others.

    Example:
        >>> first_of(["cat", "dog", "owl"], 2), first_of(["cat", "dog"], 2)
        ('cat, dog and 1 more', 'cat, dog')
        >>> first_of(["row 3"], 1, total=1200, what="rows")
        'row 3 and 1,199 more rows'
    """
    shown = names[:most]
    others = (total or len(names)) - len(shown)
    more = f" and {others:,} more{what and ' ' + what}" if others > 0 else ""
    return apart.join(shown) + more

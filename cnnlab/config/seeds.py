"""Seeds: a named child of one root seed for every purpose, and lists of root seeds."""

from cnnlab import hashing
from cnnlab.config.errors import InputError

LARGEST = 2**31 - 1


def child_seed(seed: int, name: str) -> int:
    """Return the named child of a root seed: int in 0…2³¹−1, the same on every machine.

    Example:
        >>> child_seed(0, "split") == child_seed(0, "split") != child_seed(0, "fold/3")
        True
    """
    return int(hashing.digest(f"{seed}/{name}".encode())[:8], 16) >> 1


def parsed_seeds(text: str) -> tuple[int, ...]:
    """Return the root seeds that a text lists; none for "".

    Raises:
        InputError: They are not different whole numbers in range, separated by commas.

    Example:
        >>> parsed_seeds("0,1,2")
        (0, 1, 2)
    """
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    if not all(map(_is_seed, parts)):
        raise InputError(f"Cannot read the seeds {text!r}: {_EXPECTED}.")
    found = tuple(map(int, parts))
    twice = [seed for seed in dict.fromkeys(found) if found.count(seed) > 1]
    if twice:
        raise InputError(f"The seeds {text!r} name {twice[0]} twice: {_EXPECTED}.")
    return found


def _is_seed(text: str) -> bool:
    # Of so many digits that Python takes it for no number, it is none either.
    return text.isascii() and text.isdigit() and len(text) < 100 and int(text) <= LARGEST


_EXPECTED = f"expected different whole numbers from 0 to {LARGEST}, such as 0,1,2"

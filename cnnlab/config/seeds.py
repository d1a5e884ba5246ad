"""Child seeds: one root seed, a named stream of randomness for every purpose."""

import hashlib


def child_seed(seed: int, name: str) -> int:
    """Return the named child of a root seed: int in 0…2³¹−1, the same on every machine.

    Example:
        >>> child_seed(0, "split") == child_seed(0, "split") != child_seed(0, "fold/3")
        True
    """
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1

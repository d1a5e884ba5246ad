"""Child seeds: one root seed, a named stream of randomness for every purpose."""

from cnnlab import hashing


def child_seed(seed: int, name: str) -> int:
    """Return the named child of a root seed: int in 0…2³¹−1, the same on every machine.

    Example:
        >>> child_seed(0, "split") == child_seed(0, "split") != child_seed(0, "fold/3")
        True
    """
    return int(hashing.digest(f"{seed}/{name}".encode())[:8], 16) >> 1

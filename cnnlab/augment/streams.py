"""Random numbers that are a function of their place: (stream, row, position), and nothing else.

No generator carries a state from one image to the next, so neither the order of the images nor the
batch they travel in nor the thread that runs can change what an image is given.
"""

import numpy as np

GAMMA = np.uint64(0x9E3779B97F4A7C15)
MIXING = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def split_mix(start: np.ndarray, terms: np.ndarray) -> np.ndarray:
    """Return terms of a SplitMix64 sequence, each from its number alone, modulo 2⁶⁴.

    Args:
        start: uint64 (1,), the seed.
        terms: uint64, any shape; 1 is the first.

    Source: Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014; the
    mixing is number 13 of Stafford, Better Bit Mixing, 2011.
    """
    bits = start + terms * GAMMA
    for shift, factor in MIXING:
        bits = (bits ^ (bits >> np.uint64(shift))) * np.uint64(factor)
    return bits ^ (bits >> np.uint64(31))


def bits(stream: int, rows: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` random integers a row: uint64 (B, count).

    Args:
        stream: From ``child_seed``, 0…2³¹−1.
        rows: int (B,), which image of the dataset each one is.
        count: Row i takes the terms ``count·i + 1`` to ``count·i + count`` of its stream.
    """
    # Streams are numbers below 2³¹: hashed first, so that each starts anywhere among 2⁶⁴ states.
    start = split_mix(np.array([stream], np.uint64), np.array([1], np.uint64))
    first = np.uint64(count) * np.asarray(rows, np.uint64)[:, None]
    return split_mix(start, first + np.arange(1, count + 1, dtype=np.uint64))


def uniform(stream: int, rows: np.ndarray, count: int) -> np.ndarray:
    """Return ``count`` numbers in [0, 1) a row: float32 (B, count); see ``bits``."""
    # The upper 24 bits, which a float32 holds exactly.
    upper = bits(stream, rows, count) >> np.uint64(40)
    return upper.astype(np.float32) * np.float32(2**-24)

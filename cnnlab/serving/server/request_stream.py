"""What a cache is worth: requests of uneven popularity, and the share of them that it answers.

A few images are requested again and again, most only once: Zipf's law. If every request is drawn
independently, the hit rate of a cache that throws out what was used longest ago can be foretold
without sending one.

Source:
    Che, Tung and Wang 2002, "Hierarchical Web Caching Systems: Modeling, Design and Experimental
    Results", section III; Fricker, Robert and Roberts 2012, "A Versatile and Accurate
    Approximation for LRU Cache Performance", on why it is so accurate. Breslau et al. 1999, "Web
    Caching and Zipf-like Distributions", for exponents found in practice (0.6–0.8).
"""

import math

import numpy as np

from cnnlab.config import InputError


def zipf(images: int, exponent: float) -> np.ndarray:
    """Return how popular each image is: float64 (N,), most popular first, sums to one.

    Args:
        images: N ≥ 1.
        exponent: s ≥ 0; the k-th image is requested in proportion to 1 / k^s, at 0 all alike.

    Raises:
        InputError: One of them is out of range.

    Example:
        >>> zipf(3, 1.0).round(3).tolist()
        [0.545, 0.273, 0.182]
    """
    if images < 1 or not (math.isfinite(exponent) and exponent >= 0):
        raise InputError(
            f"Got {images} images and exponent {exponent}: expected at least one image and an "
            "exponent of 0 or more."
        )
    weights = np.arange(1, images + 1, dtype="float64") ** -exponent
    return weights / weights.sum()


def requests(popularity: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """Return which image each request asks for, drawn independently: int64 (count,), 0…N-1.

    Args:
        popularity: float (N,), sums to one; see ``zipf``.
        count: Number of requests.
        seed: The same seed gives the same requests.
    """
    return np.random.default_rng(seed).choice(len(popularity), count, p=popularity)


def hit_rate(popularity: np.ndarray, entries: int, count: float = math.inf) -> float:
    """Return the share of independent requests that an LRU cache is expected to answer, 0…1.

    Che's approximation: an entry stays for about as many requests T as it takes to ask for as
    many different images as the cache holds, the same T for all. An image is then found where it
    was requested within the last T requests. With room for all images this is exact.

    Args:
        popularity: float (N,), sums to one; see ``zipf``.
        entries: How many predictions the cache holds.
        count: Number of requests, the first of which finds the cache empty; infinite for the
            rate in the long run.

    Raises:
        InputError: There are no requests, or fewer than no entries.

    Example:
        >>> round(hit_rate(zipf(1000, 1.0), 100), 3)
        0.577
    """
    if entries < 0 or not count >= 1:
        raise InputError(
            f"Got {entries} entries and {count} requests: expected 0 or more, and at least 1."
        )
    popularity = np.asarray(popularity, "float64")
    stay = _stay(popularity, entries)
    filling = min(stay, count)  # requests after which the cache is as full as it gets
    absent = (1 - popularity) ** filling  # chance of no request meanwhile: (N,)
    if math.isinf(count):
        return float(popularity @ (1 - absent))
    # Of the request k = 0, 1, … the chance is (1 - p)^min(k, T): a geometric sum, then a constant.
    missed = (1 - absent) / popularity + (count - filling) * absent
    return float(1 - popularity @ missed / count)


def _stay(popularity: np.ndarray, entries: int) -> float:
    """Return T, the requests for which an unused entry stays: Σ 1 - (1 - p)^T = entries."""
    images = len(popularity)
    if entries >= images:
        return math.inf
    low, high = 0.0, 1.0
    while _different(popularity, high) < entries:
        low, high = high, 2 * high
    for _ in range(60):  # the interval halves: far below one request
        middle = (low + high) / 2
        if _different(popularity, middle) < entries:
            low = middle
        else:
            high = middle
    return high


def _different(popularity: np.ndarray, count: float) -> float:
    """Return how many different images that many requests are expected to ask for."""
    return float((1 - (1 - popularity) ** count).sum())

import itertools
import math
from collections import OrderedDict

import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.serving.server import request_stream


def simulated(wanted, entries):
    """Return the share of requests that an LRU cache of so many entries answers."""
    cache, hits = OrderedDict(), 0
    for image in wanted.tolist():
        if image in cache:
            hits += 1
            cache.move_to_end(image)
        elif entries:
            if len(cache) == entries:
                cache.popitem(last=False)
            cache[image] = True
    return hits / len(wanted)


def exact(popularity, entries):
    """Return the long-run hit rate, from all orders in which the latest images can stand."""
    total = 0.0
    for latest in itertools.permutations(range(len(popularity)), entries):
        chance, left = 1.0, 1.0
        for image in latest:
            chance *= popularity[image] / left
            left -= popularity[image]
        total += chance * popularity[list(latest)].sum()
    return total


def test_zipf_is_the_law():
    found = request_stream.zipf(4, 2.0)
    assert found / found[0] == pytest.approx([1, 1 / 4, 1 / 9, 1 / 16])
    assert found.sum() == pytest.approx(1)
    assert np.array_equal(request_stream.zipf(5, 0), np.full(5, 0.2))


def test_requests_are_as_uneven_as_they_should_be_and_repeat_with_the_seed():
    popularity = request_stream.zipf(10, 1.0)
    wanted = request_stream.requests(popularity, 100_000, seed=1)
    shares = np.bincount(wanted, minlength=10) / len(wanted)
    assert np.abs(shares - popularity).max() < 5 * np.sqrt(0.25 / len(wanted))
    assert np.array_equal(wanted, request_stream.requests(popularity, 100_000, seed=1))
    assert not np.array_equal(wanted, request_stream.requests(popularity, 100_000, seed=2))


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0, 1.4])
@pytest.mark.parametrize("entries", [1, 10, 100, 400])
@pytest.mark.parametrize("count", [300, 30_000])
def test_a_simulated_cache_does_as_foretold(exponent, entries, count):
    popularity = request_stream.zipf(500, exponent)
    repeats = 30_000 // count
    rates = [
        simulated(request_stream.requests(popularity, count, seed=seed), entries)
        for seed in range(repeats)
    ]
    # Four standard errors of the simulation, and 1 % for the approximation.
    assert request_stream.hit_rate(popularity, entries, count) == pytest.approx(
        np.mean(rates), abs=0.01 + 4 * 0.5 / math.sqrt(30_000)
    )


@pytest.mark.parametrize("entries", [1, 2, 3, 5])
def test_it_is_close_even_for_tiny_caches(entries):
    popularity = request_stream.zipf(7, 1.0)
    expected = exact(popularity, entries)
    assert request_stream.hit_rate(popularity, entries) == pytest.approx(expected, abs=0.02)


def test_with_equal_images_it_is_the_share_that_fits():
    for entries in (0, 1, 30, 99, 100, 200):
        found = request_stream.hit_rate(request_stream.zipf(100, 0), entries)
        assert found == pytest.approx(min(entries, 100) / 100)


def test_with_room_for_all_only_first_requests_miss():
    popularity = np.array([0.5, 0.3, 0.2])
    expected = np.mean([1 - popularity @ (1 - popularity) ** k for k in range(10)])  # exact
    assert request_stream.hit_rate(popularity, 3, 10) == pytest.approx(1 - (1 - expected))
    assert request_stream.hit_rate(popularity, 3, 1) == pytest.approx(0)
    assert request_stream.hit_rate(popularity, 3) == 1
    assert request_stream.hit_rate(np.array([1.0]), 1, 4) == pytest.approx(0.75)


def test_the_long_run_is_the_limit_and_more_room_never_harms():
    popularity = request_stream.zipf(1000, 0.8)
    rates = [request_stream.hit_rate(popularity, entries) for entries in range(0, 1001, 50)]
    assert rates == sorted(rates)
    assert request_stream.hit_rate(popularity, 100, 10**9) == pytest.approx(rates[2], abs=1e-5)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: request_stream.zipf(0, 1.0),
        lambda: request_stream.zipf(5, -1.0),
        lambda: request_stream.zipf(5, math.nan),
        lambda: request_stream.hit_rate(request_stream.zipf(5, 1.0), -1),
        lambda: request_stream.hit_rate(request_stream.zipf(5, 1.0), 3, 0),
        lambda: request_stream.hit_rate(request_stream.zipf(5, 1.0), 3, math.nan),
    ],
)
def test_what_cannot_be_is_refused(ask):
    with pytest.raises(InputError, match="expected"):
        ask()

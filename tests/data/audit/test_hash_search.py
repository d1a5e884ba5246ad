"""The search finds the near pairs of an exhaustive one, and says what its window leaves out."""

import numpy as np
import pytest

from cnnlab.data.audit import hash_search


def flipped(numbers, random, most):
    """The numbers, each with at most ``most`` of its 64 bits flipped."""
    places = np.argsort(random.random((len(numbers), 64)), axis=1).astype(np.uint64)
    counts = random.integers(0, most + 1, len(numbers))
    for number in range(most):
        bit = np.uint64(1) << places[:, number]
        numbers = numbers ^ np.where(counts > number, bit, np.uint64(0))
    return numbers


def hashes(kind, random, count=90):
    numbers = random.integers(0, 2**64, count, dtype=np.uint64)
    if kind == "near pairs":
        half = count // 2
        numbers[:half] = flipped(numbers[half : 2 * half], random, 20)
    if kind == "few clusters":
        numbers = flipped(numbers[random.integers(0, 5, count)], random, 12)
    if kind == "few values":
        numbers = numbers[random.integers(0, 9, count)]
    if kind == "one bit each":
        numbers = np.uint64(1) << random.integers(0, 64, count).astype(np.uint64)
    return numbers


def exhaustive(numbers, distance, beyond):
    """All near pairs by definition."""
    apart = np.bitwise_count(numbers[:, None] ^ numbers[None])
    near = np.triu((apart <= distance) & (apart.astype(int) > beyond), k=1)
    return {tuple(pair) for pair in np.argwhere(near).tolist()}


def searched(numbers, *arguments, **options):
    found = list(hash_search.candidate_pairs(numbers, *arguments, **options))
    assert not any(beyond_window for _, beyond_window in found)
    return [tuple(pair) for pairs, _ in found for pair in pairs.tolist()]


KINDS = ("random", "near pairs", "few clusters", "few values", "one bit each")


# Blocks that must agree, whatever N asks for.
@pytest.mark.parametrize("kept", [0, 1, 2, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_the_pairs_are_those_of_an_exhaustive_search(kind, kept, monkeypatch):
    monkeypatch.setattr(hash_search, "_blocks_kept", lambda count, distance: kept)
    monkeypatch.setattr(hash_search, "CHUNK", 70)
    for distance, beyond in ((10, -1), (10, 3), (3, 0), (0, -1))[: 4 if kept else 3]:
        if distance + kept > 13:
            continue
        numbers = hashes(kind, np.random.default_rng(kept))
        found = searched(numbers, distance, beyond=beyond)
        assert len(found) == len(set(found))
        assert set(found) == exhaustive(numbers, distance, beyond)


@pytest.mark.parametrize("count", [0, 1, 2, pytest.param(5000, marks=pytest.mark.slow)])
def test_any_number_of_hashes(count):
    random = np.random.default_rng(count)
    numbers = hashes("near pairs", random, count)
    assert set(searched(numbers, 10)) == exhaustive(numbers, 10, -1)


@pytest.mark.parametrize(
    ("count", "distance", "tables"),
    [(10**6, 0, 1), (4096, 10, 1), (60_000, 10, 66), (10**6, 10, 286), (10**9, 10, 286)],
)
def test_more_hashes_need_more_tables(count, distance, tables):
    assert hash_search.tables(count, distance) == tables


def test_hashes_of_one_group_are_not_compared_in_a_long_run(monkeypatch):
    monkeypatch.setattr(hash_search, "RUN", 4)
    numbers = np.repeat(np.array([7, 9], np.uint64), 6)
    one = np.array([0] * 6 + [1] * 6)
    two = np.array([0] * 6 + [1] * 5 + [2])
    assert searched(numbers, 0, groups=lambda: one) == []
    pairs = {(i, j) for i in range(6, 12) for j in range(i + 1, 12)}
    assert set(searched(numbers, 0, groups=lambda: two)) == pairs


def test_what_the_window_leaves_out_is_said(monkeypatch):
    monkeypatch.setattr(hash_search, "WINDOW", 3)
    numbers = np.zeros(6, np.uint64)
    compared, left_out = set(), set()
    for pairs, beyond_window in hash_search.candidate_pairs(numbers, 0):
        (left_out if beyond_window else compared).update(map(tuple, pairs.tolist()))
    assert compared == {(i, j) for i in range(6) for j in range(i + 1, min(i + 4, 6))}
    assert left_out == {(0, 4), (1, 5)}  # and (0, 5), further out, is of hashes named already


def test_memory_grows_with_the_hashes_alone():
    """Of 3000 equal hashes there are 4.5 million pairs; no array is as large."""
    numbers = np.zeros(3000, np.uint64)
    sizes = [len(pairs) for pairs, _ in hash_search.candidate_pairs(numbers, 10)]
    assert sum(sizes) == 3000 * 2999 // 2
    assert max(sizes) < 3000

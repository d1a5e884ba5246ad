"""Copies are joined transitively, whatever the order, and what is not compared is named."""

import doctest
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from cnnlab.data.audit import duplicates, hash_search
from cnnlab.data.audit.comparison import SIDE

A, FAR = "0123456789abcdef", "fedcba9876543210"


def picture(seed):
    """One picture of patches, as uint8 (SIDE, SIDE, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def flipped(text, *bits):
    return f"{int(text, 16) ^ sum(1 << int(bit) for bit in bits):016x}"


def test_a_flat_picture_has_no_hash():
    assert duplicates.perceptual_hash(np.full((SIDE, SIDE, 3), 90, np.uint8)) == ""


@pytest.mark.parametrize("small", [0, 4096])  # tables, or all pairs at once
def test_clusters_are_transitive_and_named_by_their_first(monkeypatch, small):
    monkeypatch.setattr(hash_search, "SMALL", small)
    monkeypatch.setattr(duplicates, "KEPT", 4)
    same, other = picture(0), picture(1)
    b = flipped(A, *range(8))
    c = flipped(b, *range(20, 28))  # 16 bits from A: joined through b only
    hashes = [FAR, A, "", b, flipped(A, 63), c, ""]
    pictures = np.stack([same, same, same, same, other, same, same])
    loaded = []

    def load(indices):
        loaded.extend(indices)
        return pictures[indices]

    found = duplicates.find_copies(hashes, load)
    assert found.clusters.tolist() == [0, 1, 2, 1, 4, 1, 6]
    assert not found.crowded.any()
    assert set(loaded) == {1, 3, 4, 5}  # candidates only


@pytest.mark.parametrize("hashes", [[], [""], [A], ["", ""]])
def test_nothing_to_compare(hashes):
    found = duplicates.find_copies(hashes, lambda indices: pytest.fail("nothing is loaded"))
    assert found.clusters.tolist() == list(range(len(hashes)))
    assert found.crowded.tolist() == [False] * len(hashes)


class Comparisons:
    """Stands for the comparison of pixels: pictures are copies if their first values agree."""

    def __init__(self, monkeypatch):
        self.count = 0
        monkeypatch.setattr(duplicates, "same_pictures", self)

    def __call__(self, first, second):
        self.count += len(first)
        return first[:, 0, 0, 0] == second[:, 0, 0, 0]


def labelled(labels):
    pixels = np.zeros((len(labels), SIDE, SIDE, 3), np.uint8)
    pixels[:, 0, 0, 0] = labels
    return pixels.__getitem__


def near(count, random, most=2):
    """Hashes within ``2 * most`` bits of each other."""
    return [flipped(A, *random.permutation(64)[: random.integers(0, most + 1)])
            for _ in range(count)]  # fmt: skip


def test_comparisons_grow_with_the_copies_and_not_with_their_square(monkeypatch):
    comparisons = Comparisons(monkeypatch)
    counts = []
    for count in (500, 1000):
        comparisons.count = 0
        hashes = near(count, np.random.default_rng(0))
        found = duplicates.find_copies(hashes, labelled([1] * count))
        assert not found.clusters.any()
        assert not found.crowded.any()
        counts.append(comparisons.count)
    assert 499 <= counts[0] < 600  # joining 500 takes 499; answers in flight cost the rest
    assert 999 <= counts[1] < 1200


@pytest.mark.parametrize("small", [0, 4096])
def test_pictures_that_look_alike_are_compared_so_often_and_then_named(monkeypatch, small):
    """All of one hash, all different but two, which are neighbours: the bound is hit, and said."""
    comparisons = Comparisons(monkeypatch)
    monkeypatch.setattr(hash_search, "SMALL", small)
    monkeypatch.setattr(duplicates, "TRIES", 5)
    labels = np.arange(60)
    labels[31] = 30
    hashes = [*near(60, np.random.default_rng(0), most=0), FAR]
    found = duplicates.find_copies(hashes, labelled([*labels, 99]))
    assert found.clusters.tolist() == [*labels, 60]
    assert comparisons.count < 60 * 2 * (5 + 2)
    assert found.crowded.tolist() == [True] * 60 + [False]


def test_the_bound_is_not_said_where_it_left_nothing_out(monkeypatch):
    Comparisons(monkeypatch)
    monkeypatch.setattr(duplicates, "TRIES", 8)
    hashes = near(6, np.random.default_rng(0))
    found = duplicates.find_copies(hashes, labelled(range(6)))
    assert found.clusters.tolist() == list(range(6))
    assert not found.crowded.any()


def test_a_narrow_window_says_what_it_leaves_out(monkeypatch):
    Comparisons(monkeypatch)
    monkeypatch.setattr(hash_search, "WINDOW", 4)
    found = duplicates.find_copies([A] * 20, labelled(range(20)))
    assert found.crowded.any()
    found = duplicates.find_copies([A] * 20, labelled([3] * 20))
    assert not found.crowded.any()  # all are copies: nothing is missing
    assert not found.clusters.any()


def test_notes_of_what_was_left_out_stay_small(monkeypatch):
    Comparisons(monkeypatch)
    monkeypatch.setattr(duplicates, "LEFT_OUT", 0)
    monkeypatch.setattr(duplicates, "TRIES", 1)
    hashes = near(300, np.random.default_rng(0))
    found = duplicates.find_copies(hashes, labelled(np.arange(300) % 256))
    assert found.crowded.mean() > 0.9


@pytest.mark.parametrize("small", [0, 4096])
def test_clusters_are_those_of_all_pairs_in_any_order(monkeypatch, small):
    """Against the transitive closure over an exhaustive comparison; no bound is hit here."""
    Comparisons(monkeypatch)
    monkeypatch.setattr(hash_search, "SMALL", small)
    random = np.random.default_rng(4)
    centres = [f"{random.integers(0, 2**64, dtype=np.uint64):016x}" for _ in range(6)]
    hashes = [flipped(centres[i % 6], *random.permutation(64)[: random.integers(0, 9)])
              for i in range(150)]  # fmt: skip
    labels = random.integers(0, 9, 150)
    reached = np.eye(150, dtype=bool)
    for i in range(150):
        for j in range(150):
            apart = (int(hashes[i], 16) ^ int(hashes[j], 16)).bit_count()
            reached[i, j] |= apart <= 10 and labels[i] == labels[j]
    for _ in range(8):
        reached = reached @ reached
    expected = reached.argmax(axis=1)
    for order in (np.arange(150), random.permutation(150)):
        found = duplicates.find_copies([hashes[i] for i in order], labelled(labels[order]))
        groups = {frozenset(order[found.clusters == root].tolist()) for root in found.clusters}
        assert groups == {frozenset(np.flatnonzero(row).tolist()) for row in reached}
    assert len(set(expected)) == len(groups) > 20


def test_many_copies_fit_in_a_small_memory(monkeypatch):
    monkeypatch.setattr(duplicates, "KEPT", 4)
    pixels = picture(0)
    found = duplicates.find_copies([A] * 30, lambda indices: np.stack([pixels] * len(indices)))
    assert found.clusters.tolist() == [0] * 30


def test_a_picture_that_is_held_keeps_no_other_in_memory():
    """All but one of each batch are let go: what stays is not the batch."""
    with ThreadPoolExecutor(1) as pool:
        pictures = np.zeros((4, SIDE, SIDE, 3), np.uint8)
        search = duplicates._Search(4, pictures.__getitem__, pool)
        search._hold([0, 1, 2, 3])
    assert [held.nbytes for held in search._held.values()] == [pictures[0].nbytes] * 4
    assert all(held.base is None for held in search._held.values())


def test_the_example_is_true():
    given = {"find_copies": duplicates.find_copies, "picture": picture(0), "np": np}
    examples = doctest.DocTestFinder().find(duplicates.find_copies, "find_copies", globs=given)
    assert [doctest.DocTestRunner().run(each) for each in examples] == [(0, 2)]

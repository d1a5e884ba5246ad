"""Random numbers by place: the published sequence, and what a number may depend on."""

import numpy as np

from cnnlab.augment.streams import bits, split_mix, uniform


def test_the_hash_is_split_mix() -> None:
    # The first five numbers of SplitMix64 from 1234567, as its implementations publish them.
    expected = [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
        16408922859458223821,
    ]  # fmt: skip
    start, terms = np.array([1234567], np.uint64), np.arange(1, 6, dtype=np.uint64)
    assert split_mix(start, terms).tolist() == expected


def test_rows_take_consecutive_terms_of_one_sequence() -> None:
    together = bits(5, np.arange(6), 4).ravel()
    np.testing.assert_array_equal(bits(5, np.arange(12), 2).ravel(), together)
    np.testing.assert_array_equal(bits(5, np.array([3]), 4)[0], together[12:16])
    assert len(set(together)) == 24


def test_uniform_numbers_are_below_one_and_even() -> None:
    numbers = uniform(1, np.arange(5000), 2)
    assert numbers.dtype == np.float32
    assert 0 <= numbers.min() < numbers.max() < 1
    tenths = np.bincount((numbers.ravel() * 10).astype(int))
    assert np.all(abs(tenths - 1000) < 5 * 30)  # five standard deviations

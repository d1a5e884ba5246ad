import numpy as np
import pytest

from cnnlab.evaluation import calibration_error


def test_one_bin_far_from_zero():
    gaps = np.tile([0.1, -0.9], 50) - 0.3
    found = calibration_error.deviation(gaps, np.zeros(100, int))
    assert found == pytest.approx(gaps.std(ddof=1) / 10, rel=0.01)


def test_one_bin_around_zero_is_folded():
    gaps = np.tile([0.5, -0.5], 50)
    found = calibration_error.deviation(gaps, np.zeros(100, int))
    assert found == pytest.approx(gaps.std(ddof=1) / 10 * np.sqrt(1 - 2 / np.pi))


def test_copies_in_groups_count_once():
    generator = np.random.default_rng(0)
    gaps, bins = generator.normal(0.05, 0.4, 200), np.arange(200) // 40
    alone = calibration_error.deviation(gaps, bins)
    copied = calibration_error.deviation(
        np.repeat(gaps, 6), np.repeat(bins, 6), np.repeat(np.arange(200), 6)
    )
    assert copied == pytest.approx(alone, rel=0.05)


@pytest.mark.parametrize("shift", [0.0, 0.15])
def test_a_group_that_moves_all_bins_moves_their_sum(shift):
    """The deviation of Σ |gap| / 5 over many draws, gaps of all bins sharing a group's part."""
    generator = np.random.default_rng(2)
    bins, groups = np.tile(np.arange(5), 160), np.arange(800) // 20

    def drawn():
        common = generator.normal(0, 0.2, 40)[groups]
        return shift + common + generator.normal(0, 0.3, 800)

    errors = [np.abs(np.bincount(bins, drawn()) / 160).mean() for _ in range(2000)]
    found = [calibration_error.deviation(drawn(), bins, groups) for _ in range(200)]
    alone = [calibration_error.deviation(drawn(), bins) for _ in range(200)]
    assert np.mean(found) == pytest.approx(np.std(errors), rel=0.2)
    assert np.mean(alone) < 0.75 * np.std(errors)

import numpy as np
import pytest
from scipy import stats

from cnnlab.statistics.bootstrap import percentile_intervals


def test_limits_are_those_of_scipy_as_far_as_resamples_differ():
    values = np.random.default_rng(0).exponential(size=(2, 60))
    found = percentile_intervals(values, seed=1, samples=9999)
    np.testing.assert_allclose(found[:, 0], values.mean(axis=1))
    for line, (_, low, high) in zip(values, found, strict=True):
        expected = stats.bootstrap((line,), np.mean, method="percentile", rng=2)
        limits = expected.confidence_interval
        assert (low, high) == pytest.approx((limits.low, limits.high), abs=0.02)


def test_all_lines_are_resampled_alike():
    line = np.random.default_rng(0).normal(size=30)
    same, shifted = percentile_intervals(np.stack([line, line + 1]), seed=0, samples=100)
    np.testing.assert_allclose(shifted, same + 1)


def test_a_narrower_level_is_inside_and_nothing_has_no_mean():
    line = np.random.default_rng(0).normal(size=(1, 30))
    wide, narrow = (percentile_intervals(line, seed=0, level=level)[0] for level in (0.95, 0.5))
    assert wide[1] < narrow[1] < narrow[0] < narrow[2] < wide[2]
    assert np.isnan(percentile_intervals(np.zeros((2, 0)), seed=0)).all()

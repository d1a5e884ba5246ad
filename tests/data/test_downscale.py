import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.data import downscale


def noise(count, size, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def test_a_pixel_is_the_mean_of_its_area():
    pixels = noise(3, 48)
    small = downscale.shrink(pixels, np.array([2, 0]), 16)
    assert small.dtype == np.float32
    expected = pixels[[2, 0]].reshape(2, 16, 3, 16, 3, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(small, expected, atol=1e-3)


def test_areas_that_cut_pixels_count_them_in_part():
    pixels = np.zeros((1, 24, 24, 3), np.uint8)  # 1.5 pixels an area
    pixels[0, :, 1] = 90  # half of this column is in the first area, half in the second
    small = downscale.shrink(pixels, np.array([0]), 16)[0]
    np.testing.assert_allclose(small[:, :2], 30, rtol=1e-5)  # 90 · 0.5 / 1.5
    assert not small[:, 2:].any()


@pytest.mark.parametrize("side", [1, 16, 33, 99, 100])
def test_the_mean_colour_stays(side):
    pixels = noise(1, 100, seed=1)
    means = downscale.shrink(pixels, np.array([0]), side)[0].mean(axis=(0, 1))
    np.testing.assert_allclose(means, pixels[0].mean(axis=(0, 1)), rtol=1e-5)


def test_the_same_size_is_the_picture_itself():
    pixels = noise(2, 20)
    np.testing.assert_allclose(downscale.shrink(pixels, np.arange(2), 20), pixels, atol=1e-3)


def test_blocks_do_not_matter(monkeypatch):
    pixels = noise(7, 20)
    whole = downscale.shrink(pixels, np.arange(7), 6)
    monkeypatch.setattr(downscale, "BLOCK", 3)
    np.testing.assert_allclose(downscale.shrink(pixels, np.arange(7), 6), whole, rtol=1e-6)


@pytest.mark.parametrize("side", [0, -1, 21])
def test_a_larger_size_is_refused(side):
    with pytest.raises(InputError, match="1 to 20"):
        downscale.shrink(noise(1, 20), np.array([0]), side)

"""Brightness, contrast, saturation: known pixels, and Pillow as the oracle."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from cnnlab import augment


def applied(image: np.ndarray, name: str, factor: float) -> np.ndarray:
    return augment.apply(image[None], {name: np.array([[factor]])}).numpy()[0]


def noise(low: int = 60, high: int = 190) -> np.ndarray:
    return np.random.default_rng(3).integers(low, high, (12, 12, 3), dtype=np.uint8)


def test_brightness_multiplies_and_clips() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[0, :3] = [[10, 100, 200], [213, 212, 255], [0, 1, 2]]
    expected = [[12, 120, 240], [255, 254.4, 255], [0, 1.2, 2.4]]
    np.testing.assert_allclose(applied(image, "brightness", 1.2)[0, :3], expected, rtol=1e-6)
    assert applied(image, "brightness", 0.0).max() == 0


def test_contrast_multiplies_the_distance_from_the_mean_grey() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4] = 200  # the mean is 100
    assert np.unique(applied(image, "contrast", 0.5)).tolist() == [50, 150]
    assert np.unique(applied(image, "contrast", 0.0)).tolist() == [100]
    assert np.unique(applied(image, "contrast", 1.4)).tolist() == [0, 240]  # -40 is clipped


def test_saturation_multiplies_the_distance_from_the_pixels_grey() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4] = [100, 0, 0]
    grey = 29.9
    found = applied(image, "saturation", 0.5)[0, 0]
    np.testing.assert_allclose(found, [(100 + grey) / 2, grey / 2, grey / 2], rtol=1e-6)
    np.testing.assert_allclose(applied(image, "saturation", 0.0)[0, 0], 3 * [grey], rtol=1e-6)
    even = np.full((8, 8, 3), 77, np.uint8)
    np.testing.assert_allclose(applied(even, "saturation", 1.9), even, rtol=1e-6)  # grey stays


@pytest.mark.parametrize("factor", [0.0, 0.4, 0.9, 1.3])
@pytest.mark.parametrize(
    ("name", "enhance"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast),
     ("saturation", ImageEnhance.Color)],
)  # fmt: skip
def test_it_is_pillows_enhancement(name: str, enhance: type, factor: float) -> None:
    image = noise()
    expected = np.asarray(enhance(Image.fromarray(image)).enhance(factor), float)
    # Pillow rounds the grey and the result to whole levels.
    np.testing.assert_allclose(applied(image, name, factor), expected, atol=1.6)

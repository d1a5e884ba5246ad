"""Random erasing: which pixels, in which colour, how often, how large."""

import numpy as np

from cnnlab import augment
from cnnlab.augment import erasing


def erased(image: np.ndarray, *rectangle: float) -> np.ndarray:
    return augment.apply(image[None], {"erasing": np.array([rectangle])}).numpy()[0]


def test_the_pixels_inside_take_the_mean_colour_and_the_others_keep_theirs() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:2] = [200, 100, 40]  # a quarter of the image
    found = erased(image, 0.25, 0.125, 0.5, 0.25)
    expected = image.astype(np.float32)
    expected[1:3, 2:6] = [50, 25, 10]
    np.testing.assert_array_equal(found, expected)


def test_a_pixel_is_inside_if_its_centre_is() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[0, 0] = 64
    found = erased(image, 0.19, 0.18, 0.25, 0.25)  # pixels 1.52 to 3.52 and 1.44 to 3.44
    inside = np.argwhere(found[:, :, 0] == 1)
    assert (inside.min(axis=0).tolist(), inside.max(axis=0).tolist()) == ([1, 2], [2, 3])


def test_the_whole_image_can_be_covered_and_none_of_it() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    mean = image.reshape(-1, 3).mean(axis=0)
    np.testing.assert_allclose(
        erased(image, 0, 0, 1, 1), np.broadcast_to(mean, (9, 9, 3)), rtol=1e-6
    )
    np.testing.assert_array_equal(erased(image, 0.5, 0.5, 0, 0.3), image)


def test_draws_are_rectangles_of_the_papers_sizes_inside_the_image() -> None:
    count = 4000
    drawn = augment.draw(range(count), {"erasing": 0.25}, seed=1, epoch=1)["erasing"]
    left, top, width, height = drawn.astype(float).T
    erased = width > 0
    assert abs(erased.mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / count)
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 1 + 1e-6
    whole = erased & (width < 1) & (height < 1)  # not cut to the image
    area, aspect = (width * height)[whole], (height / np.maximum(width, 1e-9))[whole]
    assert erasing.AREA[0] * 0.999 <= area.min() < 0.03 < 0.37 < area.max() <= 0.4 * 1.001
    assert 0.3 * 0.999 <= aspect.min() < 0.35 < 2.9 < aspect.max() <= 3.334
    assert abs(np.log(aspect).mean()) < 5 * np.log(1 / 0.3) / np.sqrt(3 * whole.sum())

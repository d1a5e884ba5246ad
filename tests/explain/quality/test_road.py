import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.quality import road


def test_one_pixel_is_the_weighted_mean_of_its_neighbours():
    image = np.random.default_rng(0).random((1, 5, 5, 3)) * 255
    removed = np.zeros((1, 5, 5), bool)
    removed[0, 2, 2] = True
    found = road.imputed(image, removed, seed=0, noise=0)[0, 2, 2]
    kernel = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    np.testing.assert_allclose(found, np.einsum("ij,ijc->c", kernel, image[0, 1:4, 1:4]), rtol=1e-5)


def test_every_removed_pixel_is_the_mean_of_its_neighbours_also_at_the_border():
    rng = np.random.default_rng(1)
    image, removed = rng.random((1, 6, 7, 3)) * 255, rng.random((1, 6, 7)) < 0.6
    found = road.imputed(image, removed, seed=0, noise=0)[0].astype(float)
    np.testing.assert_allclose(found[~removed[0]], image[0][~removed[0]], rtol=1e-6)
    kernel = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]]) / 12
    for y, x in np.argwhere(removed[0]):
        total, weight = 0.0, 0.0
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if 0 <= y + dy < 6 and 0 <= x + dx < 7:
                    total = total + kernel[dy + 1, dx + 1] * found[y + dy, x + dx]
                    weight += kernel[dy + 1, dx + 1]
        np.testing.assert_allclose(found[y, x], total / weight, atol=1e-3)


def test_a_ramp_is_restored_from_its_edges():
    ramp = np.broadcast_to(np.linspace(0, 200, 9)[None, :, None], (9, 9, 3))[None]
    removed = np.zeros((1, 9, 9), bool)
    removed[0, 1:-1, 1:-1] = True
    np.testing.assert_allclose(road.imputed(ramp, removed, seed=0, noise=0), ramp, atol=1e-3)


def test_the_noise_has_its_size_and_its_seed():
    grey, removed = np.full((1, 40, 40, 3), 128.0), np.ones((1, 40, 40), bool)
    removed[0, 0] = False
    found = road.imputed(grey, removed, seed=0, noise=5)
    assert found[0, 1:].std() == pytest.approx(5, rel=0.05)
    np.testing.assert_array_equal(found, road.imputed(grey, removed, seed=0, noise=5))
    assert (found != road.imputed(grey, removed, seed=1, noise=5)).any()


def test_the_noise_of_an_image_is_its_own_alone_or_in_company():
    images = np.random.default_rng(0).random((3, 8, 8, 3)) * 255
    removed = np.random.default_rng(1).random((3, 8, 8)) < 0.5
    together = road.imputed(images, removed, seed=0)
    for position in range(3):
        alone = road.imputed(images[[position]], removed[[position]], seed=0)
        np.testing.assert_array_equal(alone[0], together[position])
    turned = road.imputed(images[::-1], removed[::-1], seed=0)
    np.testing.assert_array_equal(turned[::-1], together)
    noise = together - road.imputed(images, removed, seed=0, noise=0)
    both = removed[0] & removed[1]
    assert (noise[0][both] != noise[1][both]).any()


def test_the_margin_of_an_image_is_its_own_alone_or_in_company():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    generator = np.random.default_rng(0)
    images, heatmaps = generator.random((4, 8, 8, 3)) * 255, generator.random((4, 8, 8)).round(1)
    together = road.margins(model, images, heatmaps, target=0, seed=0)
    turned = road.margins(model, images[::-1], heatmaps[::-1], target=0, seed=0)
    np.testing.assert_allclose(turned[::-1], together, rtol=1e-4, atol=1e-4)
    alone = road.margins(model, images[2:3], heatmaps[2:3], target=0, seed=0)
    np.testing.assert_allclose(alone, together[2:3], rtol=1e-4, atol=1e-4)


def test_grey_images_are_imputed_as_the_colours_are():
    images = np.random.default_rng(0).random((2, 6, 6, 3)) * 255
    removed = np.random.default_rng(1).random((2, 6, 6)) < 0.5
    colours = road.imputed(images, removed, seed=0, noise=0)
    grey = road.imputed(images[..., :1], removed, seed=0, noise=0)
    np.testing.assert_allclose(grey, colours[..., :1], rtol=1e-6)


def test_images_may_lie_in_memory_in_any_order():
    turned = np.random.default_rng(0).random((2, 6, 6, 3)) * 255
    removed = np.random.default_rng(1).random((2, 6, 6)) < 0.5
    view = turned.swapaxes(1, 2)
    found = road.imputed(view, removed, seed=0)
    np.testing.assert_array_equal(found, road.imputed(view.copy(order="C"), removed, seed=0))
    assert (found[removed] != view.astype(np.float32)[removed]).all()


def test_no_images_have_no_margins():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2)]
    )
    assert road.margins(model, np.zeros((0, 8, 8, 1)), np.zeros((0, 8, 8))).shape == (0,)
    images, heatmaps = np.ones((1, 8, 8, 1)), np.ones((1, 8, 8))
    assert np.isfinite(road.margins(model, images, heatmaps)).all()  # nor is grey refused


def test_something_must_stay():
    with pytest.raises(InputError, match="at least one that stays"):
        road.imputed(np.zeros((1, 3, 3, 3)), np.ones((1, 3, 3), bool), seed=0)
    with pytest.raises(InputError, match=r"\(1, 3, 2\) for images \(1, 3, 3, 3\)"):
        road.imputed(np.zeros((1, 3, 3, 3)), np.zeros((1, 3, 2), bool), seed=0)
    with pytest.raises(InputError, match="int64"):
        road.imputed(np.zeros((1, 3, 3, 3)), np.eye(3, dtype=np.int64)[None], seed=0)


def test_margins_of_a_model_that_looks_at_one_spot():
    """Brightness of a bright spot: without it the answer is 0, without the rest it stays."""
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)]
    )
    kernel = np.zeros((8, 8, 3, 1))
    kernel[3:5, 3:5] = 1 / 12 / 255
    model.layers[-1].set_weights([kernel.reshape(-1, 1), np.zeros(1)])
    image, right = np.zeros((1, 8, 8, 3)), np.zeros((1, 8, 8))
    image[0, 3:5, 3:5], right[0, 3:5, 3:5] = 255, 1
    arguments = {"target": 0, "fractions": (4 / 64,), "seed": 0}
    found = road.margins(model, image, right, **arguments)
    assert found == pytest.approx([1], abs=0.03)  # but for the noise
    assert road.margins(model, image, -right, **arguments) == pytest.approx([-1], abs=0.03)
    with pytest.raises(InputError, match="between 0 and 1"):
        road.margins(model, image, right, fractions=(1.0,))

"""Exact pixels for fixed transforms, and what a draw may depend on."""

import numpy as np
import pytest
from scipy import ndimage

from cnnlab import augment
from cnnlab.config import InputError, make_settings
from cnnlab.engine import tf

RANGES = {"rotation": 20.0, "flip": True, "zoom": 0.2, "brightness": 0.2}


def noise(count: int = 2, size: int = 9) -> np.ndarray:
    """Images without any symmetry: a wrong axis or sign cannot hide."""
    random = np.random.default_rng(7)
    return random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def applied(images: np.ndarray, **fields: object) -> np.ndarray:
    values = {name: np.repeat(value, len(images)) for name, value in fields.items()}
    return augment.apply(images, augment.identity(len(images))._replace(**values)).numpy()


def shift(x: float, y: float) -> np.ndarray:
    """The map that reads the result's pixel (x', y') at (x' + x, y' + y)."""
    return np.array([[[1, 0, x], [0, 1, y]]], np.float32)


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_identity_gives_the_pixels_back_exactly(size: int, dtype: type) -> None:
    images = noise(size=size).astype(dtype)
    before = images.copy()
    result = augment.apply(images, augment.identity(2))
    assert result.dtype == tf.float32
    np.testing.assert_array_equal(result, images)
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("size", [8, 9])
def test_flip_exchanges_left_and_right_exactly(size: int) -> None:
    images = noise(size=size)
    np.testing.assert_array_equal(applied(images, flip=True), images[:, :, ::-1])


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("turns", [1, 2, 3, -1])
def test_quarter_turns_are_exact_and_counter_clockwise(size: int, turns: int) -> None:
    images = noise(size=size)
    expected = np.rot90(images, turns, axes=(1, 2))
    np.testing.assert_array_equal(applied(images, angle=90.0 * turns), expected)


def test_flip_comes_before_rotation() -> None:
    images = noise()
    expected = np.rot90(images[:, :, ::-1], 1, axes=(1, 2))
    np.testing.assert_array_equal(applied(images, flip=True, angle=90.0), expected)
    assert not np.array_equal(expected, np.rot90(images, 1, axes=(1, 2))[:, :, ::-1])


def test_zoom_2_doubles_about_the_centre() -> None:
    images = noise(size=9).astype(np.float32)
    result = applied(images, zoom=2.0)
    inner = images[:, 2:7, 2:7]  # the 5 × 5 pixels that stay, two pixels apart
    np.testing.assert_array_equal(result[:, ::2, ::2], inner)
    between = (inner[:, :, :-1] + inner[:, :, 1:]) / 2
    np.testing.assert_array_equal(result[:, ::2, 1::2], between)


def test_zoom_one_half_keeps_every_second_pixel_and_reflects() -> None:
    images = noise(size=9)
    result = applied(images, zoom=0.5)
    np.testing.assert_array_equal(result[:, 2:7, 2:7], images[:, ::2, ::2])
    # x' = 1 reads at x = -2, which mirrors about the border (-0.5) to x = 1.
    np.testing.assert_array_equal(result[:, 2:7, 1], images[:, ::2, 1])


@pytest.mark.parametrize(("x", "y"), [(1, 0), (0, 2), (-3, 1), (2, -2)])
def test_whole_shifts_are_exact_and_borders_reflect(x: int, y: int) -> None:
    images = noise(1).astype(np.float32)
    mirrored = np.pad(images, [(0, 0), (4, 4), (4, 4), (0, 0)], mode="symmetric")
    expected = mirrored[:, 4 + y : 13 + y, 4 + x : 13 + x]
    np.testing.assert_array_equal(augment.resample(images, shift(x, y)), expected)


def test_half_shift_is_the_mean_of_neighbours() -> None:
    images = noise(1).astype(np.float32)
    result = augment.resample(images, shift(0.5, 0)).numpy()
    np.testing.assert_array_equal(result[:, :, :-1], (images[:, :, :-1] + images[:, :, 1:]) / 2)


def test_any_angle_and_zoom_map_a_ramp_to_the_rotated_ramp() -> None:
    # Bilinear interpolation is exact on a linear image: the result is known in closed form.
    size, angle, zoom = 41, 17.0, 1.3
    centred = np.arange(size) - (size - 1) / 2
    x, y = np.meshgrid(centred, centred)
    ramp = np.repeat((128 + 2 * x + 0.5 * y)[None, :, :, None], 3, axis=3).astype(np.float32)
    turn = np.deg2rad(angle)
    back_x = (np.cos(turn) * x - np.sin(turn) * y) / zoom
    back_y = (np.sin(turn) * x + np.cos(turn) * y) / zoom
    expected = (128 + 2 * back_x + 0.5 * back_y)[5:-5, 5:-5]  # away from the reflected border
    result = applied(ramp, angle=angle, zoom=zoom)[0, 5:-5, 5:-5, 0]
    np.testing.assert_allclose(result, expected, atol=1e-3)


@pytest.mark.parametrize("zoom", [0.1, 0.45, 1.7])
def test_any_map_is_scipys_linear_interpolation_of_the_mirrored_image(zoom: float) -> None:
    size = 13
    images = noise(1, size)
    drawn = augment.identity(1)._replace(angle=[-33.0], flip=[True], zoom=[zoom])
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    matrix = augment.affine(drawn, size)[0].astype(float)
    read_x, read_y = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]))
    expected = [
        ndimage.map_coordinates(channel, [read_y, read_x], order=1, mode="reflect")
        for channel in np.moveaxis(images[0].astype(float), 2, 0)
    ]
    # Coordinates are float32, up to 100 pixels away: 1e-5 pixel, 255 levels from one to the next.
    result = augment.apply(images, drawn)[0]
    np.testing.assert_allclose(result, np.moveaxis(expected, 0, 2), atol=0.02)


def test_brightness_multiplies_and_clips() -> None:
    images = np.zeros((1, 8, 8, 3), np.uint8)
    images[0, 0, :3] = [[10, 100, 200], [213, 212, 255], [0, 1, 2]]
    result = applied(images, brightness=1.2)[0, 0, :3]
    expected = [[12, 120, 240], [255, 254.4, 255], [0, 1.2, 2.4]]
    np.testing.assert_allclose(result, expected, rtol=1e-6)
    assert applied(images, brightness=0.0).max() == 0


def test_each_image_gets_its_own_entry() -> None:
    images = noise(3)
    parameters = augment.identity(3)._replace(flip=[False, True, False], angle=[0.0, 0.0, 180.0])
    result = augment.apply(images, parameters).numpy()
    np.testing.assert_array_equal(result[0], images[0])
    np.testing.assert_array_equal(result[1], images[1, :, ::-1])
    np.testing.assert_array_equal(result[2], images[2, ::-1, ::-1])


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 8, 9, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(B, S, S, 3\)"):
        augment.apply(np.zeros(shape, np.uint8), augment.identity(1))


def drawn(indices: object, seed: int = 1, epoch: int = 1, **ranges: object) -> np.ndarray:
    """A draw as float64 (4, B)."""
    parameters = augment.draw(tf.constant(indices), seed=seed, epoch=epoch, **(RANGES | ranges))
    return np.array([np.asarray(field, np.float64) for field in parameters])


def test_draw_does_not_depend_on_order_or_batch() -> None:
    together = drawn(range(20))
    order = np.random.default_rng(0).permutation(20)
    np.testing.assert_array_equal(drawn(order), together[:, order])
    for index in (0, 7, 19):
        np.testing.assert_array_equal(drawn([index])[:, 0], together[:, index])


def test_draw_depends_on_seed_epoch_and_index() -> None:
    one = drawn(range(50))
    for other in (drawn(range(50), seed=2), drawn(range(50), epoch=2), drawn(range(50, 100))):
        assert np.all(one[0] != other[0])
    # Neither is epoch 2 a shifted epoch 1, nor seed 2 a shifted seed 1.
    more = np.concatenate([drawn(range(50), seed=2)[0], drawn(range(50), epoch=2)[0]])
    assert len(set(one[0]) | set(more)) == 150


def test_the_hash_is_split_mix() -> None:
    # The first five numbers of SplitMix64 from 1234567, as its implementations publish them.
    expected = [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
        16408922859458223821,
    ]  # fmt: skip
    start, terms = np.array([1234567], np.uint64), np.arange(1, 6, dtype=np.uint64)
    assert augment._split_mix(start, terms).tolist() == expected


def test_draw_is_uniform_in_its_range() -> None:
    count = 4000
    angle, flip, zoom, brightness = drawn(np.arange(count))
    for values, low, high in ((angle, -20, 20), (zoom, 0.8, 1.2), (brightness, 0.8, 1.2)):
        assert low <= values.min() < values.max() <= high
        tenths = np.bincount(((values - low) / (high - low) * 10).astype(int).clip(0, 9))
        # 400 ± 19 in each tenth: five standard deviations never fail by chance of the seed.
        assert np.all(abs(tenths - count / 10) < 5 * 19)
    assert abs(flip.mean() - 0.5) < 5 * 0.5 / np.sqrt(count)
    correlation = np.corrcoef([angle, flip, zoom, brightness]) - np.eye(4)
    assert np.all(abs(correlation) < 5 / np.sqrt(count))


def test_ranges_of_zero_draw_the_identity() -> None:
    angle, flip, zoom, brightness = drawn(
        range(30), rotation=0.0, flip=False, zoom=0.0, brightness=0.0
    )
    assert not angle.any()
    assert not flip.any()
    assert np.all(zoom == 1)
    assert np.all(brightness == 1)


@pytest.mark.parametrize(("name", "value"), [("rotation", 181), ("zoom", 1.0), ("brightness", -1)])
def test_meaningless_ranges_are_refused(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"{name}={value} is out of range"):
        drawn([0], **{name: value})


def test_transform_in_tf_data_is_apply_of_draw() -> None:
    settings = make_settings("smoke", ["rotation=30.0", "zoom=0.1"])
    images, indices = noise(10), np.arange(100, 110)
    augmented = augment.transform(settings.augmentation, seed=3, epoch=5)
    expected = augment.apply(
        images,
        augment.draw(
            tf.constant(indices),
            seed=3,
            epoch=5,
            **(RANGES | {"rotation": 30.0, "zoom": 0.1}),
        ),
    ).numpy()
    for order, batch in ((np.arange(10), 4), (np.arange(10)[::-1], 3)):
        dataset = tf.data.Dataset.from_tensor_slices((images[order], indices[order])).batch(batch)
        dataset = dataset.map(augmented, num_parallel_calls=2)
        assert dataset.element_spec == tf.TensorSpec((None, 9, 9, 3), tf.float32)
        result = np.concatenate(list(dataset.as_numpy_iterator()))
        np.testing.assert_array_equal(result, expected[order])

"""Exact pixels of the resampling and of the affine ops, alone and together."""

import numpy as np
import pytest
from scipy import ndimage

from cnnlab import augment
from cnnlab.config import InputError, make_settings
from cnnlab.engine import tf


def noise(count: int = 2, size: int = 9) -> np.ndarray:
    """Images without any symmetry: a wrong axis or sign cannot hide."""
    random = np.random.default_rng(7)
    return random.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def applied(images: np.ndarray, **parameters: object) -> np.ndarray:
    """The images after ops with the same parameters for all: ``rotation=90.0``."""
    count = len(images)
    drawn = {name: np.tile(values, (count, 1)) for name, values in parameters.items()}
    return augment.apply(images, drawn).numpy()


def shift(x: float, y: float) -> np.ndarray:
    """The map that reads the result's pixel (x', y') at (x' + x, y' + y)."""
    return np.array([[[1, 0, x], [0, 1, y]]], np.float32)


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_identity_gives_the_pixels_back_exactly(size: int, dtype: type) -> None:
    images = noise(size=size).astype(dtype)
    before = images.copy()
    result = augment.apply(images, {})
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
    np.testing.assert_array_equal(applied(images, rotation=90.0 * turns), expected)


def test_flip_comes_before_rotation() -> None:
    images = noise()
    expected = np.rot90(images[:, :, ::-1], 1, axes=(1, 2))
    np.testing.assert_array_equal(applied(images, flip=True, rotation=90.0), expected)
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
    result = applied(ramp, rotation=angle, zoom=zoom)[0, 5:-5, 5:-5, 0]
    np.testing.assert_allclose(result, expected, atol=1e-3)


@pytest.mark.parametrize("zoom", [0.1, 0.45, 1.7])
def test_any_map_is_scipys_linear_interpolation_of_the_mirrored_image(zoom: float) -> None:
    size = 13
    images = noise(1, size)
    ops = {"rotation": -33.0, "flip": True, "zoom": zoom, "shear": 0.3, "translation": [0.2, -0.1]}
    drawn = {name: np.reshape(values, (1, -1)) for name, values in ops.items()}
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    matrix = augment.affine_map(drawn, size)[0].astype(float)
    read_x, read_y = np.einsum("ij,jyx->iyx", matrix, np.stack([x, y, np.ones_like(x)]))
    expected = [
        ndimage.map_coordinates(channel, [read_y, read_x], order=1, mode="reflect")
        for channel in np.moveaxis(images[0].astype(float), 2, 0)
    ]
    # Coordinates are float32, up to 100 pixels away: 1e-5 pixel, 255 levels from one to the next.
    result = augment.apply(images, drawn)[0]
    np.testing.assert_allclose(result, np.moveaxis(expected, 0, 2), atol=0.02)


def test_shear_moves_each_row_by_its_height_above_the_centre() -> None:
    images = noise(1).astype(np.float32)
    result = applied(images, shear=1.0)[0]
    for row in range(9):  # one to the right for each row below the middle one
        moved = row - 4
        expected = np.pad(images[0, row], [(4, 4), (0, 0)], mode="symmetric")
        np.testing.assert_array_equal(result[row], expected[4 - moved : 13 - moved])


def test_translation_moves_right_and_down_by_shares_of_the_side() -> None:
    images = noise(1, 8).astype(np.float32)
    result = applied(images, translation=[0.25, -0.125])
    np.testing.assert_array_equal(result[:, :7, 2:], images[:, 1:, :6])
    np.testing.assert_array_equal(result[:, :7, 1], images[:, 1:, 0])  # what is uncovered reflects


def test_ops_act_in_the_order_of_the_registry_in_one_resampling() -> None:
    """One by one, every resampling exact, gives what all together give."""
    images = noise(2, 8).astype(np.float32)
    ops = {"flip": True, "rotation": 90.0, "shear": 1.0, "translation": [0.25, 0.125]}
    step = images
    for name, values in ops.items():
        step = applied(step, **{name: values})
    inner = np.s_[:, 4:, 5:]  # what no border has touched
    together = applied(images, **dict(reversed(ops.items())))
    assert not np.array_equal(together, images)
    np.testing.assert_array_equal(together[inner], step[inner])


def test_each_image_gets_its_own_entry() -> None:
    images = noise(3)
    parameters = {
        "flip": np.array([[False], [True], [False]]),
        "rotation": np.array([[0.0], [0.0], [180.0]]),
    }
    result = augment.apply(images, parameters).numpy()
    np.testing.assert_array_equal(result[0], images[0])
    np.testing.assert_array_equal(result[1], images[1, :, ::-1])
    np.testing.assert_array_equal(result[2], images[2, ::-1, ::-1])


@pytest.mark.parametrize("shape", [(8, 8, 3), (1, 8, 9, 3)])
def test_other_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"expected \(B, S, S, 3\)"):
        augment.apply(np.zeros(shape, np.uint8), {})


@pytest.mark.parametrize(
    ("name", "shape"), [("rotate", (2, 1)), ("rotation", (2,)), ("translation", (2, 1)),
                        ("zoom", (3, 1))],
)  # fmt: skip
def test_a_draw_of_other_images_or_ops_is_refused(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=f"Cannot apply '{name}' of shape .* to 2 images"):
        augment.apply(noise(2), {name: np.ones(shape)})


@pytest.mark.parametrize("more", ["", "shear=0.2,translation=0.3,contrast=0.9,erasing=0.7"])
def test_transform_in_tf_data_is_apply_of_draw_in_any_batch(more: str) -> None:
    overrides = ["rotation=30.0", "zoom=0.1", f"more_augmentation={more}"]
    settings = make_settings("smoke", overrides).augmentation
    images, indices = noise(10), np.arange(100, 110)
    augmented = augment.transform(settings, seed=3, epoch=5)
    drawn = augment.draw(indices, augment.strengths(settings), seed=3, epoch=5)
    expected = augment.apply(images, drawn).numpy()
    for order, batch in ((np.arange(10), 4), (np.arange(10)[::-1], 3)):
        dataset = tf.data.Dataset.from_tensor_slices((images[order], indices[order])).batch(batch)
        dataset = dataset.map(augmented, num_parallel_calls=2)
        assert dataset.element_spec == tf.TensorSpec((None, 9, 9, 3), tf.float32)
        result = np.concatenate(list(dataset.as_numpy_iterator()))
        np.testing.assert_array_equal(result, expected[order])


@pytest.mark.parametrize("size", [8, 33])
@pytest.mark.parametrize("name", augment.OPS)
def test_an_op_of_strength_zero_changes_no_bit(name: str, size: int) -> None:
    images = noise(3, size)
    drawn = augment.draw(range(3), {name: 0.0}, seed=1, epoch=1)
    np.testing.assert_array_equal(augment.apply(images, drawn), images)


@pytest.mark.parametrize("name", augment.OPS)
def test_an_op_changes_images_each_by_its_own_draw_in_any_batch(name: str) -> None:
    """XLA sums in an order that depends on the size of the batch: no op may let it show."""
    images = noise(37, 33) * np.float32(0.77)  # whole levels have the same sum in any order
    drawn = augment.draw(range(37), {name: min(augment.OPS[name].high, 20)}, seed=1, epoch=1)
    together = augment.apply(images, drawn).numpy()
    assert (together != images).any(axis=(1, 2, 3)).sum() > 10
    assert 0 <= together.min() < together.max() <= 255
    for size in (1, 16):
        parts = [
            augment.apply(images[i : i + size], {name: drawn[name][i : i + size]})
            for i in range(0, 37, size)
        ]
        np.testing.assert_array_equal(np.concatenate(parts), together)


def test_other_ops_on_levels_do_not_change_what_one_compiles_to() -> None:
    """An image that contrast and erasing leave alone is the reference's, to the bit."""
    images, more = noise(8, 33), {"contrast": np.ones((8, 1)), "erasing": np.zeros((8, 4))}
    drawn = augment.draw(range(8), {"rotation": 20.0, "brightness": 0.2}, seed=1, epoch=1)
    np.testing.assert_array_equal(augment.apply(images, drawn | more), augment.apply(images, drawn))

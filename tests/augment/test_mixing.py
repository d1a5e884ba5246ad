"""mixup and cutmix: who is mixed with whom, in which proportion, from what alone."""

import numpy as np
import pytest
from scipy import stats

from cnnlab.augment import mixing
from cnnlab.config import InputError
from cnnlab.engine import tf

each_mixer = pytest.mark.parametrize("name", mixing.MIXERS)


def batch(count: int = 6, size: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images of one level each, 0, 10, 20, …, one class each, rows 100, 101, …"""
    images = np.full((count, size, size, 3), 10.0, np.float32)
    images *= np.arange(count, dtype=np.float32)[:, None, None, None]
    return images, np.eye(count, dtype=np.float32), np.arange(100, 100 + count)


def mixed(name: str, *given: np.ndarray, strength: float = 1.0, seed: int = 3, epoch: int = 2):
    found = mixing.MIXERS[name](*map(tf.constant, given), seed=seed, epoch=epoch, strength=strength)
    return [values.numpy() for values in found]


def test_partners_form_one_circle_and_do_not_depend_on_the_order() -> None:
    rows = np.arange(40)
    found = mixing.partners("mixup", rows, 1, 1)
    position, seen = 0, set()
    for _ in rows:
        seen.add(position)
        position = found[position]
    assert seen == set(range(40))
    order = np.random.default_rng(0).permutation(40)
    again = mixing.partners("mixup", rows[order], 1, 1)
    np.testing.assert_array_equal(rows[order][again][np.argsort(order)], rows[found])
    for other in (mixing.partners("mixup", rows, 2, 1), mixing.partners("mixup", rows, 1, 2)):
        assert (other != found).mean() > 0.8


@pytest.mark.parametrize("strength", [0.2, 1.0, 3.0])
def test_proportions_are_beta(strength: float) -> None:
    found = mixing.proportions("mixup", np.arange(4000), 1, 1, strength)
    assert found.dtype == np.float32
    assert stats.kstest(found, stats.beta(strength, strength).cdf).pvalue > 1e-3
    part = mixing.proportions("mixup", np.array([17, 3]), 1, 1, strength)
    np.testing.assert_array_equal(part, found[[17, 3]])


def test_mixup_blends_images_and_targets_in_one_proportion() -> None:
    images, targets, rows = batch()
    pixels, weights = mixed("mixup", images, targets, rows)
    partner = mixing.partners("mixup", rows, 3, 2)
    share = mixing.proportions("mixup", rows, 3, 2, 1.0)
    assert (partner != np.arange(6)).all()
    for i in range(6):
        expected = np.zeros(6)
        expected[i], expected[partner[i]] = share[i], 1 - share[i]
        np.testing.assert_allclose(weights[i], expected, atol=1e-6)
        level = 10 * (share[i] * i + (1 - share[i]) * partner[i])
        np.testing.assert_allclose(pixels[i], np.full((8, 8, 3), level), rtol=1e-5)


def test_cutmix_pastes_a_rectangle_and_its_share_of_pixels_is_the_targets() -> None:
    images, targets, rows = batch(32, 9)
    pixels, weights = mixed("cutmix", images, targets, rows)
    partner = mixing.partners("cutmix", rows, 3, 2)
    areas = []
    for i in range(32):
        pasted = pixels[i, :, :, 0] == 10 * partner[i]
        assert (pixels[i][~pasted] == 10 * i).all()
        across, down = pasted.any(axis=0), pasted.any(axis=1)
        np.testing.assert_array_equal(pasted, down[:, None] & across)
        for side in (across, down):  # one run of pixels
            assert np.count_nonzero(np.diff(side.astype(int), prepend=0) == 1) <= 1
        assert weights[i].sum() == pytest.approx(1)
        assert weights[i, partner[i]] == pytest.approx(pasted.mean(), abs=1e-6)
        areas.append(pasted.mean())
    assert min(areas) < 0.1 < 0.5 < max(areas)


def test_a_rectangle_has_its_centre_and_side_and_is_cut_at_the_borders() -> None:
    share = np.array([0.75, 0.75, 0.0, 1.0], np.float32)  # sides of 4, 4, 8 and 0 of 8 pixels
    centres = np.array([[0.5, 0.5], [0, 0.99], [0.5, 0.5], [0.3, 0.3]], np.float32)
    found = mixing.rectangles(share, centres, 8).tolist()
    assert found[:3] == [[2, 2, 6, 6], [0, 5, 2, 8], [0, 0, 8, 8]]
    left, top, right, bottom = found[3]
    assert (right - left) * (bottom - top) == 0


@each_mixer
def test_a_strength_of_zero_mixes_nothing(name: str) -> None:
    images, targets, rows = batch()
    pixels, weights = mixed(name, images, targets, rows, strength=0.0)
    np.testing.assert_array_equal(pixels, images)
    np.testing.assert_array_equal(weights, targets)


@each_mixer
def test_it_depends_on_seed_epoch_and_rows_and_not_on_the_order(name: str) -> None:
    images, targets, rows = batch(12)
    pixels, weights = mixed(name, images, targets, rows)
    order = np.random.default_rng(1).permutation(12)
    again = mixed(name, images[order], targets[order], rows[order])
    np.testing.assert_array_equal(again[0], pixels[order])
    np.testing.assert_array_equal(again[1], weights[order])
    for other in ({"seed": 4}, {"epoch": 3}):
        assert not np.array_equal(mixed(name, images, targets, rows, **other)[1], weights)
    assert not np.array_equal(mixed(name, images, targets, rows + 50)[1], weights)


@each_mixer
def test_in_tf_data_it_gives_the_same_and_keeps_the_shapes(name: str) -> None:
    images, targets, rows = batch(10)
    mixer = mixing.MIXERS[name]
    dataset = tf.data.Dataset.from_tensor_slices((images, targets, rows)).batch(4)
    dataset = dataset.map(lambda *given: mixer(*given, seed=3, epoch=2, strength=1.0), 2)
    shapes = [spec.shape.as_list() for spec in dataset.element_spec]
    assert shapes == [[None, 8, 8, 3], [None, 10]]
    for number, (pixels, weights) in enumerate(dataset.as_numpy_iterator()):
        part = slice(4 * number, 4 * number + 4)
        expected = mixed(name, images[part], targets[part], rows[part])
        np.testing.assert_array_equal(pixels, expected[0])
        np.testing.assert_array_equal(weights, expected[1])


@each_mixer
@pytest.mark.parametrize("strength", [-0.1, float("nan"), float("inf")])
def test_a_strength_without_meaning_is_refused(name: str, strength: float) -> None:
    with pytest.raises(InputError, match=f"{name}=.* is out of range: expected 0 or more"):
        mixed(name, *batch(), strength=strength)

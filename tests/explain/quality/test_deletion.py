import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.quality import deletion

WEIGHTS = np.array([[8.0, 4.0], [2.0, 1.0]])  # of the four pixels, for class 0


@pytest.fixture(scope="module")
def model():
    """Class 0 is the weighted sum of the red channel, class 1 is always 1."""
    model = keras.Sequential(
        [keras.Input((2, 2, 3)), keras.layers.Flatten(), keras.layers.Dense(2, name="sums")]
    )
    kernel = np.zeros((12, 2))
    kernel[::3, 0] = WEIGHTS.ravel()
    model.get_layer("sums").set_weights([kernel, np.array([0.0, 1.0])])
    return model


@pytest.fixture(scope="module")
def images():
    return np.ones((2, 2, 2, 3), np.float32)


def test_curves_of_a_linear_model_are_its_partial_sums(model, images):
    heatmaps = np.stack([WEIGHTS, -WEIGHTS])  # the right order, and the reverse
    black = np.zeros(3)
    found = deletion.curves(model, images, heatmaps, target=0, reference=black, steps=4)
    np.testing.assert_allclose(found, [[15, 7, 3, 1, 0], [15, 14, 12, 8, 0]])
    back = deletion.curves(model, images, heatmaps, target=0, reference=black, steps=4, insert=True)
    np.testing.assert_allclose(back, [[0, 8, 12, 14, 15], [0, 1, 3, 7, 15]])
    np.testing.assert_allclose(deletion.areas(found), np.array([18.5, 41.5]) / 4)


def test_the_predicted_class_is_that_of_the_whole_image(model, images):
    """Without pixels class 1 would win: its answer never changes."""
    found = deletion.curves(model, images[:1], WEIGHTS[None], reference=np.zeros(3), steps=1)
    assert found.tolist() == [[15, 0]]


def test_a_function_of_the_outputs_is_watched(model, images):
    def doubled(outputs):
        return 2 * outputs[:, 0]

    found = deletion.curves(
        model, images, np.stack([WEIGHTS] * 2), target=doubled, reference=np.zeros(3), steps=2
    )
    np.testing.assert_allclose(found, [[30, 6, 0]] * 2)


def test_batches_change_nothing(model, monkeypatch):
    rng = np.random.default_rng(0)
    images, heatmaps = rng.random((5, 2, 2, 3)) * 255, rng.random((5, 2, 2))
    whole = deletion.curves(model, images, heatmaps, steps=3)
    monkeypatch.setattr("cnnlab.explain.maps.BATCH", 2)
    np.testing.assert_allclose(deletion.curves(model, images, heatmaps, steps=3), whole, rtol=1e-6)


def test_ties_are_broken_by_chance_not_by_place(model):
    flat = np.zeros((300, 2, 2))
    flat[:, 0, 1] = 1
    images = np.random.default_rng(0).random((300, 2, 2, 3))
    _, ranks = deletion.checked(model, images, flat, seed=0)
    assert (ranks[:, 0, 1] == 0).all()
    others = ranks.reshape(300, 4)[:, [0, 2, 3]]
    np.testing.assert_allclose(others.mean(axis=0), 2, atol=0.2)


def test_the_order_of_ties_is_that_of_the_image_alone_or_in_company(model):
    images, flat = np.random.default_rng(0).random((40, 2, 2, 3)), np.zeros((40, 2, 2))
    _, ranks = deletion.checked(model, images, flat, seed=0)
    _, turned = deletion.checked(model, images[::-1], flat, seed=0)
    np.testing.assert_array_equal(turned[::-1], ranks)
    _, alone = deletion.checked(model, images[7:8], flat[:1], seed=0)
    np.testing.assert_array_equal(alone, ranks[7:8])
    _, other = deletion.checked(model, images, flat, seed=1)
    assert (other != ranks).any()


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.float16])
def test_a_map_of_any_type_is_ranked_highest_first(model, dtype):
    heatmaps = np.array([[[0, 0], [0, 1]], [[0, 1], [0, 0]]]).astype(dtype)
    _, ranks = deletion.checked(model, np.zeros((2, 2, 2, 3)), heatmaps, seed=0)
    assert (ranks[0, 1, 1], ranks[1, 0, 1]) == (0, 0)


def test_bytes_are_ranked_as_numbers(model, images):
    heatmaps = np.array([[[200, 100], [0, 50]]], np.uint8)
    _, ranks = deletion.checked(model, images[:1], heatmaps, seed=0)
    assert ranks.tolist() == [[[0, 1], [3, 2]]]


def test_no_images_have_no_curves(model, images):
    assert deletion.curves(model, images[:0], np.zeros((0, 2, 2)), steps=3).shape == (0, 4)
    assert deletion.areas(np.zeros((0, 4))).shape == (0,)
    assert deletion.blurred(images[:0]).shape == (0, 2, 2, 3)
    with pytest.raises(InputError, match="broadcast"):
        deletion.curves(model, images[:0], np.zeros((0, 2, 2)), reference=np.zeros(5))


@pytest.mark.parametrize(
    "target",
    [lambda given: given, lambda given: given[0, 0], lambda given: given[:1, 0]],
    ids=["all", "scalar", "first"],
)
def test_a_function_must_give_a_score_an_image(model, images, target):
    with pytest.raises(InputError, match="one score per image"):
        deletion.curves(model, images, np.stack([WEIGHTS] * 2), target=target)


def test_the_blur_keeps_the_mean_of_a_plain_image_and_takes_the_detail():
    checks = np.indices((16, 16)).sum(axis=0) % 2 * 200.0
    image = np.repeat(checks[None, ..., None], 3, axis=-1)
    soft = deletion.blurred(image)
    np.testing.assert_allclose(soft[:, 6:-6, 6:-6], 100, atol=0.5)
    np.testing.assert_allclose(deletion.blurred(np.full((1, 8, 8, 3), 7.0)), 7, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"heatmaps": np.zeros((2, 3, 3))}, r"expected finite numbers of shape \(2, 2, 2\)"),
        ({"heatmaps": np.full((2, 2, 2), np.nan)}, "finite"),
        ({"steps": 0}, "steps=0"),
        ({"reference": np.zeros((5, 5))}, "broadcast"),
    ],
)
def test_what_does_not_fit_is_refused(model, images, change, says):
    arguments = {"heatmaps": np.stack([WEIGHTS] * 2)} | change
    with pytest.raises(InputError, match=says):
        deletion.curves(model, images, **arguments)


def test_known_ends_save_passes_and_change_nothing(model, monkeypatch):
    rng = np.random.default_rng(0)
    images, heatmaps = rng.random((3, 2, 2, 3)) * 255, rng.random((3, 2, 2))
    known = deletion.ends(model, images, deletion.blurred(images))
    asked, answers = [], deletion.answers
    expected = [deletion.curves(model, images, heatmaps, insert=way) for way in (False, True)]
    monkeypatch.setattr(deletion, "answers", lambda *each: asked.append(1) or answers(*each))
    for insert, curve in zip((False, True), expected, strict=True):
        found = deletion.curves(model, images, heatmaps, insert=insert, known=known)
        np.testing.assert_array_equal(found, curve)
    assert len(asked) == 2 * 9

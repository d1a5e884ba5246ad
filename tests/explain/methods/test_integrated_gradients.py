import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain import targets
from cnnlab.explain.methods import integrated_gradients

layers = keras.layers


def linear(size=3):
    inputs = keras.Input((size, size, 3))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(inputs)))
    weights = np.random.default_rng(1).normal(size=(size * size * 3, 2))
    model.layers[-1].set_weights([weights, np.array([1.0, 2.0])])
    return model, weights[:, 1].reshape(size, size, 3)


@pytest.mark.parametrize("baseline", [0.0, 100.0])
def test_on_a_linear_network_it_is_difference_times_weight(baseline):
    model, weights = linear()
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 3, 3), np.uint8)
    expected = (images - baseline) * weights
    for steps in (1, 7):
        found = integrated_gradients.attributions(
            model, images, target=1, baseline=baseline, steps=steps
        )
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    planes = expected.sum(axis=-1)
    signed = integrated_gradients.integrated_gradients(
        model, images, target=1, baseline=baseline, signed=True
    )
    peaks = np.abs(planes).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(signed, planes / peaks, atol=1e-5)
    plain = integrated_gradients.integrated_gradients(model, images, target=1, baseline=baseline)
    kept = np.maximum(planes, 0)
    np.testing.assert_allclose(plain, kept / kept.max(axis=(1, 2), keepdims=True), atol=1e-5)


def test_a_bend_on_the_way_is_seen():
    """relu(x − 64) from 0 to 128: the gradient is 1 on the second half, so x gets all of 64."""
    inputs = keras.Input((1, 1, 3))
    x = layers.Conv2D(1, 1, activation="relu", name="bend")(inputs)
    model = keras.Model(inputs, layers.Flatten()(x))
    kernel = np.zeros((1, 1, 3, 1), np.float32)
    kernel[0, 0, 0] = 1
    model.get_layer("bend").set_weights([kernel, np.array([-64.0])])
    image = np.full((1, 1, 1, 3), 128, np.uint8)
    found = integrated_gradients.attributions(model, image, target=0, steps=10)
    np.testing.assert_allclose(found[0, 0, 0], [64, 0, 0])


def averaging(size, factor=1):
    """Return the mean of red / 255 in half precision, and each red value's weight in the score."""
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 255, dtype="mixed_float16")(inputs)
    x = layers.GlobalAveragePooling2D(dtype="mixed_float16")(x)
    model = keras.Model(inputs, layers.Dense(1, dtype="mixed_float16")(x))
    model.layers[-1].set_weights([np.array([[factor], [0], [0]]), np.zeros(1)])
    return model, factor / (255 * size * size)


@pytest.mark.parametrize(
    "target", [0, lambda outputs: 1000 * keras.ops.cast(outputs[:, 0], "float32")]
)
@pytest.mark.parametrize(("size", "factor"), [(224, 0.25), (224, 60), (2, 1), (2, 60)])
def test_no_gradient_is_too_small_or_too_large_for_half_precision(size, factor, target):
    model, weight = averaging(size, factor)
    image = np.full((1, size, size, 3), 128, np.uint8)
    found = integrated_gradients.attributions(model, image, target=target, steps=1)[0]
    expected = 128 * weight * (1000 if callable(target) else 1)
    np.testing.assert_allclose(found[..., 0], expected, rtol=0.01)
    assert (found[..., 1:] == 0).all()


@pytest.mark.slow
def test_attributions_are_complete():
    """Sundararajan et al., proposition 1: they sum to the difference of the scores."""
    model = models.build("reference_cnn", image_size=16, num_classes=3, seed=1, l2=0.0, dropout=0.5)
    images = np.random.default_rng(2).integers(0, 256, (3, 16, 16, 3), np.uint8)
    empty = np.random.default_rng(3).integers(0, 256, (16, 16, 3)).astype(np.float32)
    rise = targets.scores(model, images, 2) - targets.scores(model, empty[None], 2)
    errors = []
    for steps in (4, 400):
        found = integrated_gradients.attributions(
            model, images, target=2, baseline=empty, steps=steps
        )
        errors.append(np.abs(found.sum(axis=(1, 2, 3)) - rise).max())
    assert errors[1] < 0.02 * np.abs(rise).max()  # each bend on the way costs up to a step
    assert errors[1] < errors[0] / 4


def test_steps_of_different_images_do_not_mix():
    model = models.build("reference_cnn", image_size=16, num_classes=3, seed=1, l2=0.0, dropout=0.5)
    images = np.random.default_rng(2).integers(0, 256, (3, 16, 16, 3), np.uint8)
    together = integrated_gradients.attributions(model, images, steps=5)
    for image, expected in zip(images, together, strict=True):
        alone = integrated_gradients.attributions(model, image[None], steps=5)[0]
        np.testing.assert_allclose(alone, expected, atol=1e-5)


@pytest.mark.parametrize(("baseline", "steps"), [(np.zeros((2, 2, 3)), 4), (0.0, 0)])
def test_what_does_not_fit_is_refused(baseline, steps):
    model, _ = linear()
    with pytest.raises(InputError, match=r"expected a number or \(3, 3, 3\), and 1 step or more"):
        integrated_gradients.attributions(
            model, np.zeros((1, 3, 3, 3)), baseline=baseline, steps=steps
        )


def test_a_layer_is_refused():
    with pytest.raises(InputError, match="explains pixels"):
        integrated_gradients.integrated_gradients(linear()[0], np.zeros((1, 3, 3, 3)), layer="conv")


def test_a_network_without_gradient_is_refused():
    inputs = keras.Input((3, 3, 3))
    steps = keras.ops.sign(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(keras.ops.cast(steps, "int32"))))
    with pytest.raises(InputError, match="passes no gradient"):
        integrated_gradients.integrated_gradients(model, np.ones((1, 3, 3, 3)))

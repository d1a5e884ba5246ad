"""Networks of keras.applications, rebuilt: the same function, our names, seeds and sizes."""

import numpy as np
import pytest

from cnnlab.engine import keras
from cnnlab.models.backbones import rebuilt


def application(size: int | None = None) -> keras.Model:
    return keras.applications.MobileNetV3Small(
        input_tensor=keras.Input((size, size, 3), name="images"), include_top=False, weights=None
    )


@pytest.fixture(scope="module")
def open_size() -> keras.Model:
    return application()


@pytest.mark.parametrize("size", [32, 50, 64])  # 50 gives odd maps: 25, 13, 7
@pytest.mark.slow
def test_it_computes_what_keras_own_network_does(size, open_size) -> None:
    original = application(size)
    ours = rebuilt(open_size, image_size=size, seed=0, l2=0.0)
    rng = np.random.default_rng(size)
    # Not the initial weights: those of normalisations are all 0 or 1.
    weights = [rng.uniform(0.2, 1.0, weight.shape) - 0.5 * (weight.ndim > 1) for weight in
               original.get_weights()]  # fmt: skip
    original.set_weights(weights)
    ours.set_weights(weights)
    images = rng.uniform(0, 255, (2, size, size, 3)).astype(np.float32)
    expected = np.asarray(original([images], training=False))
    assert expected.std() > 0.01
    np.testing.assert_allclose(ours(images, training=False), expected, rtol=1e-4, atol=1e-4)


def test_names_say_what_a_layer_stands_behind(open_size) -> None:
    names = [layer.name for layer in rebuilt(open_size, image_size=16, seed=0, l2=0.0).layers]
    assert names[:5] == ["images", "images_rescaling", "conv", "conv_bn", "conv_activation"]
    assert "expanded_conv_depthwise_relu" in names
    assert not [name for name in names if "pad" in name]


def test_every_dropout_has_a_seed_of_its_own() -> None:
    inputs = keras.Input((None, None, 3), name="pictures")
    x = keras.layers.Conv2D(2, 3)(inputs)
    for _ in range(2):
        x = keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 1))(x)  # stochastic depth
    model = rebuilt(keras.Model(inputs, x), image_size=16, seed=3, l2=0.0)
    again = rebuilt(keras.Model(inputs, x), image_size=16, seed=3, l2=0.0)
    seeds = [layer.seed for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert len(set(seeds)) == 2
    assert seeds == [layer.seed for layer in again.layers if hasattr(layer, "rate")]
    states = [each for each in model.variables if each.name == "seed_generator_state"]
    assert len(states) == 2  # found by what sets them at the start of an epoch
    assert all(layer.noise_shape == (None, 1, 1, 1) for layer in model.layers[-2:])


def test_normalisations_follow_quickly_and_kernels_are_penalised(open_size) -> None:
    model = rebuilt(open_size, image_size=32, seed=0, l2=0.5)
    kinds = {"Conv2D": 0.5, "DepthwiseConv2D": None}
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert layer.momentum == 0.9
        if (kind := type(layer).__name__) in kinds:
            penalty = layer.kernel_regularizer if kind == "Conv2D" else layer.depthwise_regularizer
            assert (penalty and float(penalty.l2)) == kinds[kind]


def test_a_bare_operation_that_is_no_gate_is_refused() -> None:
    """It would come back from an H5 file as something else."""
    inputs = keras.Input((None, None, 3))
    for odd in (inputs + 2.0, inputs * (1 / 6), inputs * inputs, keras.ops.relu(inputs)):
        with pytest.raises(NotImplementedError, match=r"Add|Multiply|Relu"):
            rebuilt(keras.Model(inputs, odd), image_size=16, seed=0, l2=0.0)


def test_a_bare_sum_becomes_a_layer_named_after_the_residual() -> None:
    inputs = keras.Input((None, None, 3))
    x = inputs + keras.layers.Conv2D(3, 3, padding="same", name="residual")(inputs)
    last = rebuilt(keras.Model(inputs, x), image_size=16, seed=0, l2=0.0).layers[-1]
    assert (type(last), last.name) == (keras.layers.Add, "residual_add")


@pytest.mark.parametrize(("padding", "size", "stays"), [
    (((0, 1), (0, 1)), 16, False),  # what "same" adds before a stride of 2
    (((0, 1), (0, 1)), 15, True),
    (1, 15, False),
    (3, 16, True),
])  # fmt: skip
def test_padding_that_a_convolution_would_not_do_alike_stays(padding, size, stays) -> None:
    inputs = keras.Input((size, size, 3))
    x = keras.layers.ZeroPadding2D(padding, name="pad")(inputs)
    x = keras.layers.Conv2D(2, 3, strides=2, name="halved")(x)
    original = keras.Model(inputs, x)
    ours = rebuilt(original, image_size=size, seed=0, l2=0.0)
    assert ("pad" in [layer.name for layer in ours.layers]) == stays
    ours.set_weights(original.get_weights())
    images = np.random.default_rng(0).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    np.testing.assert_allclose(ours(images), original(images), rtol=1e-5, atol=1e-3)

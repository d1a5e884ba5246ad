import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain.network.receptive_field import Axis, ReceptiveField, receptive_field

layers = keras.layers


def branched():
    inputs = keras.Input((20, 20, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(inputs)
    x = layers.DepthwiseConv2D(3, strides=2, name="strided")(x)
    wide = layers.Conv2D(3, 3, dilation_rate=2, padding="same", name="wide")(x)
    x = layers.Add(name="sum")([x, layers.ReLU()(wide)])
    x = layers.AveragePooling2D(2, name="pool")(x)
    return keras.Model(inputs, layers.Flatten(name="flat")(x))


@pytest.mark.parametrize("layer", ["strided", "wide", "sum", "pool"])
def test_the_field_is_where_the_gradient_is(layer):
    """Independent of the rules: with positive weights every pixel that is seen has a gradient."""
    model = branched()
    model.set_weights([np.ones_like(weight) for weight in model.get_weights()])
    found = receptive_field(model, layer, 20)
    inner = keras.Model(model.inputs, model.get_layer(layer).output)
    image = tf.Variable(np.ones((1, 20, 20, 3), np.float32))
    with tf.GradientTape() as tape:
        value = inner(image)[0, 2, 3, 0]
    seen = np.abs(tape.gradient(value, image).numpy()[0]).sum(axis=-1) > 0
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    for field, place, seen in ((found.height, 2, rows), (found.width, 3, columns)):
        start = field.start + place * field.step
        assert (max(start, 0), min(start + field.size, 20)) == (seen[0], seen[-1] + 1)


def strided(height, width, channels=3):
    return keras.Sequential(
        [
            keras.Input((height, width, channels)),
            layers.Conv2D(1, 3, strides=2, padding="same", use_bias=False, name="conv"),
            layers.GlobalAveragePooling2D(keepdims=True, name="mean"),
            layers.UpSampling2D(2, name="enlarged"),
            layers.ReLU(name="behind"),
        ]
    )


def test_height_and_width_have_their_own_padding():
    """Half of the padding of an odd length lies before it, none of an even one's."""
    found = receptive_field(strided(16, 15), "conv", (16, 15))
    assert found == ReceptiveField(Axis(3, 2, 0), Axis(3, 2, -1))


def test_fields_by_hand():
    conv = layers.Conv2D(2, 3, padding="same", name="conv")
    dots = keras.Sequential([keras.Input((16, 16, 3)), conv, layers.MaxPooling2D(2, name="pool")])
    assert receptive_field(dots, "conv", 16) == ReceptiveField(Axis(3, 1, -1), Axis(3, 1, -1))
    assert receptive_field(dots, "pool", 16) == ReceptiveField(Axis(4, 2, -1), Axis(4, 2, -1))


def test_what_has_no_field_is_refused():
    with pytest.raises(InputError, match="'flat' has no regular"):
        receptive_field(branched(), "flat", 20)
    turned = keras.Sequential([keras.Input((8, 8, 3)), layers.UpSampling2D(name="up")])
    with pytest.raises(InputError, match="'up' moves places"):
        receptive_field(turned, "up", 8)
    with pytest.raises(InputError, match=r"'behind' has no regular .*field: expected"):
        receptive_field(strided(16, 16), "behind", 16)
    with pytest.raises(InputError, match=r"\(1, 9, 8, 3\): expected .* 8, 8, 3"):
        receptive_field(turned, "up", (9, 8))


@pytest.mark.parametrize(
    "mover",
    [
        layers.Conv2DTranspose(1, 3, strides=2, name="mover"),
        layers.Conv2DTranspose(1, 3, name="mover"),
        layers.Permute((2, 1, 3), name="mover"),
    ],
)
def test_what_enlarges_or_turns_moves_places(mover):
    model = keras.Sequential([keras.Input((8, 8, 3)), mover])
    with pytest.raises(InputError, match="'mover' moves places"):
        receptive_field(model, "mover", 8)


def test_one_place_spread_over_all_moves_places():
    inputs = keras.Input((8, 8, 3))
    whole = layers.MaxPooling2D(8, strides=1)(inputs)
    model = keras.Model(inputs, layers.Add(name="sum")([inputs, whole]))
    with pytest.raises(InputError, match="'sum' moves places"):
        receptive_field(model, "sum", 8)


def test_pooling_as_a_mere_operation_moves_by_its_own_size():
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, layers.ReLU(name="out")(keras.ops.max_pool(inputs, 2)))
    assert receptive_field(model, "out", 8) == ReceptiveField(Axis(2, 2, 0), Axis(2, 2, 0))


def test_a_gate_is_left_out_of_the_field():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(gate)
    outputs = layers.Multiply(name="gated")([gate, x])
    model = keras.Model(inputs, outputs)
    found = receptive_field(model, "gated", 8)
    assert (found.height, found.width, found.gated) == (Axis(3, 1, -1), Axis(3, 1, -1), True)
    assert not receptive_field(model, "conv", 8).gated


@keras.saving.register_keras_serializable(package="tests")
class Gated(layers.Layer):
    """A convolution and a gate in one layer; the product is no layer of its own."""

    def __init__(self, **options):
        super().__init__(**options)
        self.wide = layers.Conv2D(4, 3, padding="same")
        self.pool = layers.GlobalAveragePooling2D(keepdims=True)
        self.gate = layers.Dense(4, activation="sigmoid")

    def call(self, inputs):
        wide = self.wide(inputs)
        return wide * self.gate(self.pool(wide))


def test_a_layer_made_of_layers_sees_what_they_see():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 1, strides=2, name="conv")(inputs)
    x = layers.Conv2D(4, 3, padding="same", name="behind")(Gated(name="gated")(x))
    model = keras.Model(inputs, x)
    for name, axis in (("gated", Axis(5, 2, -2)), ("behind", Axis(9, 2, -4))):
        assert receptive_field(model, name, 8) == ReceptiveField(axis, axis, gated=True)

import itertools

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain import execution, layers


class Subclassed(keras.Model):
    def call(self, inputs):
        return inputs


@pytest.fixture(scope="module")
def nested():
    """Two backbones that share a layer name, between a dense layer and the input."""
    inputs = keras.Input((6, 6, 3), name="images")
    x = inputs
    for name in ("left", "right"):
        inner = keras.Input((6, 6, 3))
        only = f"only_{name}"
        y = keras.layers.Conv2D(3, 1, name=only)(keras.layers.Conv2D(3, 1, name="same")(inner))
        x = keras.Model(inner, y, name=name)(x)
    x = keras.layers.Dropout(0.9, name="drop")(keras.layers.BatchNormalization(name="norm")(x))
    return keras.Model(inputs, keras.layers.Flatten(name="flat")(x), name="outer")


def test_paths_lead_into_nested_models(nested):
    found = layers.paths(nested)
    assert layers.convolutions(nested) == [
        *("left/same", "left/only_left", "right/same", "right/only_right")
    ]
    assert [path for path in found if "/" not in path] == ["images", "norm", "drop", "flat"]
    assert found["right/same"] is nested.get_layer("right").get_layer("same")


def test_a_bare_name_will_do_if_it_is_unique(nested):
    assert layers.find(nested, "only_left").name == "only_left"
    assert layers.find(nested, "right/same") is layers.paths(nested)["right/same"]
    with pytest.raises(InputError, match=r"Several layers .* 'same'.*left/same, right/same"):
        layers.find(nested, "same")
    with pytest.raises(InputError, match=r"No layer 'flat'.*expected one of norm, drop"):
        layers.find(nested, "flat", ["norm", "drop"])


class Block(keras.layers.Layer):
    """Two convolutions of one name, and again in a block inside."""

    def __init__(self, depth=0):
        super().__init__(name="block")
        self.steps = [keras.layers.Conv2D(3, 1, name="same") for _ in range(2)]
        self.steps += [keras.layers.Conv2D(3, 1, name="other")]
        self.steps += [Block(depth - 1)] if depth else []

    def call(self, inputs):
        for step in self.steps:
            inputs = step(inputs)
        return inputs


def test_layers_of_one_name_are_told_apart():
    inputs = keras.Input((6, 6, 3))
    block = Block(1)
    model = keras.Model(inputs, block(inputs))
    found = layers.paths(model)
    assert list(found)[1:] == [
        *("block/same#1", "block/same#2", "block/other"),
        *("block/block/same#1", "block/block/same#2", "block/block/other"),
    ]
    assert layers.find(model, "block/same#2") is block.steps[1]
    with pytest.raises(InputError, match=r"Several layers .* 'same'.*block/same#1, block/same#2"):
        layers.find(model, "same")
    with pytest.raises(InputError, match=r"No layer 'block/same'.*block/same#1"):
        layers.find(model, "block/same")
    whole = layers.paths(model, composite=True)
    assert [path for path in whole if path not in found] == ["block", "block/block"]
    assert whole["block"] is block


def test_running_gives_what_the_model_predicts(nested):
    images = np.random.default_rng(0).random((2, 6, 6, 3), np.float32)
    calls = []
    output = execution.run(nested, images, calls.append)
    np.testing.assert_allclose(output, nested.predict(images, verbose=0), rtol=1e-6)
    assert [call.operation.name for call in calls] == [
        *("same", "only_left", "same", "only_right", "norm", "drop", "flat")
    ]
    for before, after in itertools.pairwise(calls):
        assert after.inputs[0] is before.output


def test_what_hands_on_its_input_is_known():
    class Doubling(keras.layers.Identity):
        def call(self, inputs):
            return 2 * inputs

    assert layers.passes(keras.layers.Identity())
    assert layers.passes(keras.layers.Activation("linear", dtype="float16"))
    assert not layers.passes(keras.layers.Activation("relu"))
    assert not layers.passes(Doubling())


def test_reference_network_runs_in_inference_mode():
    model = models.build("reference_cnn", image_size=16, num_classes=2, seed=0, l2=0.0, dropout=0.9)
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3)).astype(np.float32)
    output = execution.run(model, images, lambda call: None)
    np.testing.assert_allclose(output, model(images, training=False), rtol=1e-6)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((6, 6, 3), np.uint8), r"uint8 \(6, 6, 3\).*\(None, 6, 6, 3\)"),
        (np.zeros((1, 6, 5, 3), np.uint8), r"\(1, 6, 5, 3\)"),
        (np.zeros((1, 6, 6, 3), np.int64), "int64"),
        (np.full((1, 6, 6, 3), np.nan), "108 values of the images are not finite: expected 0…255"),
        (np.full((1, 6, 6, 3), -np.inf, np.float16), "108 values"),
    ],
)
def test_images_that_do_not_fit_are_refused(nested, images, words):
    with pytest.raises(InputError, match=words):
        layers.image_batch(nested, images)


def test_colours_come_last():
    for channels in (1, 3):
        model = keras.Sequential([keras.Input((6, 6, channels)), keras.layers.Flatten()])
        batch = np.full((2, 6, 6, channels), 3e38, np.float32)  # finite, though no sum of it is
        np.testing.assert_array_equal(layers.image_batch(model, batch), batch)
    for shape in ((3, 6, 6), (6, 6, 4)):
        model = keras.Sequential([keras.Input(shape), keras.layers.Flatten()])
        with pytest.raises(InputError, match=r"expected colours last, \(B, H, W, 3\)"):
            layers.image_batch(model, np.zeros((2, *shape), np.uint8))


def test_models_that_cannot_be_opened_are_refused(nested):
    images = np.zeros((1, 6, 6, 3), np.uint8)
    unbuilt = keras.Sequential([keras.layers.Conv2D(2, 1)])
    double = keras.Model([nested.inputs[0], keras.Input((2,))], nested.output)
    for model in (Subclassed(), unbuilt, double, "model"):
        with pytest.raises(InputError, match=r"cannot be opened: expected .* one input"):
            layers.image_batch(model, images)

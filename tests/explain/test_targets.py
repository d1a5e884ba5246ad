import numpy as np
import pytest

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import maps, targets
from cnnlab.explain.methods import cam

layers = keras.layers


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(3, 3, name="conv")(inputs)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax", name="classes")(x))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((5, 4, 4, 3), np.float32)


def logits(model, images):
    pooled = keras.Model(model.input, model.get_layer("pool").output)(images).numpy()
    kernel, bias = model.get_layer("classes").get_weights()
    return pooled @ kernel + bias


def test_scores_are_those_before_softmax(model, images, monkeypatch):
    expected = logits(model, images)
    monkeypatch.setattr(maps, "BATCH", 2)
    np.testing.assert_allclose(targets.scores(model, images), expected.max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(targets.scores(model, images, 1), expected[:, 1], rtol=1e-5)
    each = np.array([2, 0, 1, 1, 0])
    chosen = expected[np.arange(5), each]
    np.testing.assert_allclose(targets.scores(model, images, each), chosen, rtol=1e-5)
    assert targets.scores(model, images[:0]).shape == (0,)


class Head(layers.Layer):
    """A layer of one's own that names its activation, as Keras' layers do."""

    def __init__(self, activation):
        super().__init__()
        self.activation = keras.activations.get(activation)
        self.dense = layers.Dense(3)

    def call(self, inputs):
        return self.activation(self.dense(-inputs))


class Contrary(layers.Dense):
    """A dense layer that computes something else."""

    def call(self, inputs, training=None):
        return super().call(-inputs)


def quantised(mode, rank=None):
    dense = layers.Dense(3, activation="softmax", lora_rank=rank)
    dense.build((None, 16))
    dense.quantize(mode)
    return dense


HEADS = {
    "own": lambda: Head("softmax"),
    "own sigmoid": lambda: Head("sigmoid"),
    "in another type": lambda: layers.Activation("linear", dtype="float16"),
    "einsum": lambda: layers.EinsumDense("bi,ij->bj", output_shape=3, activation="softmax"),
    "subclassed dense": lambda: Contrary(3, activation="softmax"),
    "low rank": lambda: layers.Dense(3, activation="softmax", lora_rank=2),
    "int8": lambda: quantised("int8"),
    "int8 low rank": lambda: quantised("int8", 2),
    "int4": lambda: quantised("int4"),
}


@pytest.mark.parametrize("name", HEADS)
def test_scores_of_any_head_that_softens(name, images):
    """Softmax and sigmoid can be undone, up to a number that all classes share."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((4, 4, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(16, 3)(inputs))
    if name == "in another type":
        x = layers.Dense(3, activation="softmax")(x)
    model = keras.Model(inputs, HEADS[name]()(x))
    given = model.predict(images, verbose=0).astype(np.float32)
    undone = np.log(given) - (np.log1p(-given) if name == "own sigmoid" else 0)
    found = np.stack([targets.scores(model, images, each) for each in range(3)], axis=1)
    expected = undone - undone[:, :1]
    np.testing.assert_allclose(found - found[:, :1], expected, atol=2e-3)
    assert np.abs(expected).max() > 0.05
    assert targets.settle(model, None, images)[0].tolist() == given.argmax(axis=1).tolist()


def test_an_activation_that_only_bears_the_name_is_not_undone(images):
    def softmax(x):
        return x * x

    inputs = keras.Input((4, 4, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(2, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation=softmax)(x))
    expected = model.predict(images, verbose=0)[:, 1]
    np.testing.assert_allclose(targets.scores(model, images, 1), expected, rtol=1e-5)


def test_a_function_gets_what_the_model_gives(model, images):
    found = targets.scores(model, images, lambda outputs: outputs[:, 0] - outputs[:, 2])
    probabilities = model(images).numpy()
    np.testing.assert_allclose(found, probabilities[:, 0] - probabilities[:, 2], rtol=1e-5)


def test_a_function_of_the_logit_explains_the_class(images):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4, 4, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3)(inputs))
    linear = keras.Model(inputs, layers.Dense(2)(x))
    for method in (cam.grad_cam, cam.layer_cam):
        np.testing.assert_array_equal(
            method(linear, images, target=lambda outputs: outputs[:, 1]),
            method(linear, images, target=1),
        )


def test_settling_names_the_predicted_classes(model, images):
    expected = logits(model, images).argmax(axis=1)
    assert targets.settle(model, None, images)[0].tolist() == expected.tolist()
    assert targets.settle(model, 2, images)[0].tolist() == [2] * 5
    assert targets.settle(model, len, images)[1] is len
    assert targets.resolve(model, None, images)[0].tolist() == [-1] * 5


@pytest.mark.parametrize("target", [3, -1, 0.5, [0, 1], "cat"])
def test_a_target_that_does_not_fit_is_refused(model, images, target):
    with pytest.raises(InputError, match=r"None, a class index or 5 of them, in 0…2, or a func"):
        targets.scores(model, images, target)


def test_a_function_must_give_one_score_per_image(model, images):
    with pytest.raises(InputError, match=r"gives \(None, 3\).*expected one score per image"):
        targets.scores(model, images, lambda outputs: outputs)
    with pytest.raises(InputError, match="expected one score per image"):
        targets.scores(model, images, tf.reduce_sum)


@pytest.fixture(scope="module")
def double():
    """Two outputs by name, each with a convolution of its own before it."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((4, 4, 3))
    trunk = layers.Conv2D(3, 3, padding="same", activation="relu", name="trunk")(inputs)
    outputs = {}
    for name in ("kind", "size"):
        x = layers.Conv2D(3, 3, padding="same", activation="relu", name=f"conv_{name}")(trunk)
        outputs[name] = layers.Dense(2, name=name)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("name", ["kind", "size"])
def test_of_several_outputs_a_function_chooses(double, images, name):
    """The layer that is read is the last one that leads to the chosen output."""
    single = keras.Model(double.input, double.output[name])
    expected = cam.grad_cam(single, images, target=1)
    found = cam.grad_cam(double, images, target=lambda outputs: outputs[name][:, 1])
    np.testing.assert_array_equal(found, expected)
    assert expected.max() == 1


def test_of_several_outputs_no_class_is_meant(double, images):
    for target in (None, 1):
        with pytest.raises(InputError, match="as a function from the outputs"):
            cam.grad_cam(double, images, target=target)


def test_a_layer_that_does_not_lead_to_the_score_is_refused(double, images):
    with pytest.raises(InputError, match=r"'conv_size' has no feature maps.*lead to the score"):
        cam.grad_cam(double, images, layer="conv_size", target=lambda one: one["kind"][:, 0])

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.methods import cam, pooled

layers = keras.layers


@pytest.fixture(autouse=True)
def _seeded():
    """A layer chooses its seed when it is made, before ``network`` gets it."""
    keras.utils.set_random_seed(0)


def network(*head, size=8):
    inputs = keras.Input((size, size, 3))
    x = layers.Conv2D(6, 3, padding="same", name="last")(layers.Rescaling(1 / 255)(inputs))
    x = layers.ReLU(name="read")(layers.BatchNormalization()(x))
    for layer in head:
        x = layer(x)
    return keras.Model(inputs, x)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)


HEADS = {
    "softmax": lambda: [layers.GlobalAveragePooling2D(), layers.Dense(4, activation="softmax")],
    "dropout": lambda: [
        *(layers.GlobalAveragePooling2D(), layers.Dropout(0.5), layers.Dense(4)),
        *(layers.Softmax(), layers.Activation("linear", dtype="float32")),
    ],
    "flattened": lambda: [
        *(layers.GlobalAveragePooling2D(keepdims=True), layers.Flatten(), layers.Dense(4)),
    ],
    "in another type": lambda: [
        *(layers.GlobalAveragePooling2D(), layers.Dense(4), layers.Softmax(dtype="float64")),
    ],
    "nested": lambda: [
        keras.Sequential([keras.Input((8, 8, 6)), layers.GlobalAveragePooling2D()]),
        layers.Dense(4),
    ],
}


@pytest.mark.parametrize("head", HEADS)
def test_the_weights_are_those_of_the_dense_layer(head, images):
    model = network(*HEADS[head]())
    dense = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
    features = keras.Model(model.input, model.get_layer("read").output)(images).numpy()
    expected = features @ dense.get_weights()[0][:, 2]
    found = pooled.class_activation(model, images, target=2, signed=True)
    peaks = np.abs(expected).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(found, expected / peaks, atol=1e-5)
    np.testing.assert_allclose(
        pooled.class_activation(model, images, target=2),
        np.maximum(found, 0) / np.maximum(found, 0).max(axis=(1, 2), keepdims=True),
        atol=1e-5,
    )


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_it_is_grad_cam_up_to_scale(head, images):
    """Selvaraju et al. 2017, section 3: on this head, Grad-CAM generalises CAM."""
    model = network(*HEADS[head]())
    for signed, layer in ((False, None), (True, "last")):
        np.testing.assert_allclose(
            pooled.class_activation(model, images, layer=layer, signed=signed),
            cam.grad_cam(model, images, layer=layer, signed=signed),
            atol=1e-5,
        )


def test_other_heads_are_refused(images):
    heads = [
        [layers.Flatten(), layers.Dense(4)],
        [layers.GlobalMaxPooling2D(), layers.Dense(4)],
        [layers.GlobalAveragePooling2D(), layers.Dense(5), layers.Dense(4)],
        [layers.GlobalAveragePooling2D(), layers.Dense(4, activation="relu")],
        [layers.GlobalAveragePooling2D()],
    ]
    for head in heads:
        with pytest.raises(InputError, match=r"no pooled head.*use grad_cam"):
            pooled.class_activation(network(*head), images)
    reference = models.build(
        "reference_cnn", image_size=16, num_classes=2, seed=0, l2=0.0, dropout=0.0
    )
    with pytest.raises(InputError, match="no pooled head"):
        pooled.class_activation(reference, np.zeros((1, 16, 16, 3)))


class Contrary(layers.Dense):
    """A dense layer that computes something else."""

    def call(self, inputs, training=None):
        return super().call(-inputs)


def quantised(mode, rank=None):
    dense = layers.Dense(4, activation="softmax", lora_rank=rank)
    dense.build((None, 6))
    dense.quantize(mode)
    return dense


@pytest.mark.slow
def test_a_quantised_head_is_known_where_its_kernel_says_all(images):
    """In int8 every class has its own scale, which one map does not show."""
    model = network(layers.GlobalAveragePooling2D(), quantised("int8"))
    np.testing.assert_allclose(
        pooled.class_activation(model, images, signed=True),
        cam.grad_cam(model, images, signed=True),
        atol=1e-5,
    )


@pytest.mark.parametrize(
    "head",
    [
        lambda: Contrary(4, activation="softmax"),
        lambda: layers.EinsumDense("bi,ij->bj", output_shape=4, activation="softmax"),
        lambda: quantised("int4"),
        lambda: quantised("int8", 2),
    ],
)
@pytest.mark.slow
def test_a_head_that_does_more_than_its_kernel_says_is_refused(head, images):
    with pytest.raises(InputError, match=r"no pooled head.*use grad_cam"):
        pooled.class_activation(network(layers.GlobalAveragePooling2D(), head()), images)


def test_other_layers_and_targets_are_refused(images):
    model = network(layers.MaxPooling2D(), *HEADS["softmax"]())
    with pytest.raises(InputError, match=r"'last' is not what .* pools"):
        pooled.class_activation(model, images, layer="last")
    plain = network(*HEADS["softmax"]())
    with pytest.raises(InputError, match=r"is not what .* pools"):
        pooled.class_activation(plain, images, layer=plain.layers[3].name)  # before ReLU
    with pytest.raises(InputError, match="explains a class"):
        pooled.class_activation(model, images, target=lambda outputs: outputs[:, 0])

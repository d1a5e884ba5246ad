"""Three tiny networks of different kinds: each must be explained as it is."""

import numpy as np
import pytest

from cnnlab import models
from cnnlab.engine import keras

layers = keras.layers


def residual():
    """Three stages; two end in the ReLU behind a sum, one with a projected shortcut."""

    def convolved(x, filters, stride=1):
        x = layers.Conv2D(filters, 3, strides=stride, padding="same", use_bias=False)(x)
        return layers.BatchNormalization()(x)

    inputs = keras.Input((16, 16, 3))
    x = layers.ReLU(name="stem")(convolved(layers.Rescaling(1 / 255)(inputs), 4))
    for name, filters in (("second", 6), ("third", 8)):
        short = layers.BatchNormalization()(layers.Conv2D(filters, 1, strides=2)(x))
        y = convolved(layers.ReLU()(convolved(x, filters, 2)), filters)
        x = layers.ReLU(name=name)(layers.Add()([y, short]))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="tiny_residual")


def gated():
    """Inverted bottlenecks as in EfficientNet: swish, depthwise, squeeze-and-excitation, a sum."""

    def normalised(x, name=None):
        return layers.Activation("swish", name=name)(layers.BatchNormalization()(x))

    def bottleneck(x, filters, stride):
        wide = normalised(layers.Conv2D(2 * x.shape[-1], 1, use_bias=False)(x))
        wide = normalised(
            layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(wide)
        )
        gate = layers.Reshape((1, 1, wide.shape[-1]))(layers.GlobalAveragePooling2D()(wide))
        gate = layers.Conv2D(2, 1, activation="swish")(gate)
        gate = layers.Conv2D(wide.shape[-1], 1, activation="sigmoid")(gate)
        y = layers.Conv2D(filters, 1, use_bias=False)(layers.Multiply()([wide, gate]))
        y = layers.BatchNormalization()(y)
        return layers.Add()([x, y]) if stride == 1 and x.shape[-1] == filters else y

    inputs = keras.Input((16, 16, 3))
    x = layers.Normalization(mean=[100.0, 120, 140], variance=[3000.0, 3000, 3000])(inputs)
    x = normalised(layers.Conv2D(4, 3, padding="same", use_bias=False)(x), "stem")
    x = bottleneck(bottleneck(x, 6, 2), 6, 1)
    x = bottleneck(bottleneck(x, 8, 2), 8, 1)  # ends in the sum, not behind a convolution
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="tiny_gated")


def reference():
    return models.build("reference_cnn", image_size=16, num_classes=3, seed=1, l2=0, dropout=0.5)


NETWORKS = {"reference": reference, "residual": residual, "gated": gated}


@pytest.fixture(scope="session", params=NETWORKS)
def network(request):
    """One of them, with normalisations that have seen images."""
    keras.utils.set_random_seed(0)
    model = NETWORKS[request.param]()
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.moving_mean.shape
            layer.moving_mean.assign(rng.normal(0, 0.1, count))
            layer.moving_variance.assign(rng.uniform(0.5, 2, count))
    return model


@pytest.fixture(scope="session")
def photos():
    """uint8 (4, 16, 16, 3)."""
    return np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), np.uint8)

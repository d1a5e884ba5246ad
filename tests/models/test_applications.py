"""Networks of keras.applications: each computes what Keras' own does behind preprocess_input.

The oracle is Keras' network as its users get it, ``weights="imagenet"`` and ``preprocess_input``;
only the download is replaced, by a file of random weights in the published format.
"""

import contextlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.config.model import APPLICATIONS
from cnnlab.engine import keras
from cnnlab.models.applications import ROWS
from cnnlab.models.backbones import transplant
from cnnlab.models.keras_weights import SITE

every_row = pytest.mark.parametrize("name", APPLICATIONS)
# One of each family, as small as it gets: name, options, image size. Odd sizes pad another way.
TRIED = [
    ("mobilenet", "alpha=0.25", 45),
    ("mobilenet_v2", "alpha=0.35", 45),
    ("mobilenet_v3_small", "alpha=0.75,stem_stride=2", 45),
    ("mobilenet_v3_large", "alpha=0.75", 32),
    ("efficientnet_b0", "", 45),
    ("efficientnet_v2_b0", "", 45),
    ("efficientnet_v2_s", "", 32),
    ("resnet50", "", 45),
    ("resnet50_v2", "", 45),
    ("convnext_tiny", "", 32),
    ("densenet121", "", 32),
    ("nasnet_mobile", "", 45),
    ("xception", "", 71),
    ("inception_v3", "", 75),
    ("inception_resnet_v2", "", 75),
    ("vgg16", "", 32),
]


def keras_function(name: str) -> Callable[..., keras.Model]:
    return getattr(keras.applications, models.architecture(name).pretrained.source.split()[0][:-1]
                   .rpartition(".")[2])  # fmt: skip


def module_of(name: str):
    """Return the module of Keras that a network's function stands in."""
    found = sys.modules[keras_function(name).__module__]
    # ResNetV2's and VGG19's own modules have their own preprocess_input.
    return found


def randomise(model: keras.Model, seed: int) -> None:
    """Give a network weights at which every part of it matters, and signals keep their scale."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        parts = layer.layers if isinstance(layer, keras.Sequential) else [layer]
        for part in parts:
            values = []
            for weight in part.weights:
                shape = tuple(weight.shape)
                if len(shape) > 1:  # kernels, by their fan-in
                    fan = np.prod(shape[:-1]) if "depthwise" not in weight.path else 9
                    values.append(rng.normal(0, 1.4 / np.sqrt(fan), shape))
                else:
                    values.append(rng.uniform(0.6, 1.2, shape))
            if isinstance(part, keras.layers.Normalization) and values:
                values = [np.reshape((0.485, 0.456, 0.406), part.weights[0].shape),
                          np.reshape((0.229, 0.224, 0.225), part.weights[1].shape), np.array(0)]  # fmt: skip
            part.set_weights(values)


def same(found: keras.Model, original: keras.Model, name: str, size: int) -> None:
    """Fail unless ours gives for pixels what Keras' gives for what it makes of them."""
    pixels = np.random.default_rng(1).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    prepared = module_of(name).preprocess_input(pixels.copy())
    given = keras.tree.map_structure(lambda _: prepared, original.input)  # in a list, or not
    expected = np.asarray(original(given, training=False))
    body = keras.Model(found.input, found.get_layer("global_pool").input)
    maps = np.asarray(body(pixels, training=False))
    assert np.isfinite(expected).all()
    assert expected.std() > 1e-3
    print(name, np.abs(maps - expected).max() / np.abs(expected).max(), expected.std())
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options", "size"), TRIED, ids=[each[0] for each in TRIED])
def test_it_computes_what_keras_does_behind_its_own_preprocessing(
    name, options, size, network
) -> None:
    widths = {"alpha": float(options.split(",")[0][6:])} if options else {}
    original = keras_function(name)(
        input_tensor=keras.Input((size, size, 3)), include_top=False, weights=None, **widths
    )
    randomise(original, 0)
    if name == "efficientnet_b0":  # divides by the deviation again where it has "imagenet"
        scale = original.layers[2].variance  # see below
    ours = network(name, options=options, image_size=size)
    transplant(original, ours, reverse_colours=ROWS[name].normalisation == "caffe")
    same(ours, original, name, size)

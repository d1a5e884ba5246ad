"""MobileNetV3-Small: its blocks by table 2 of arXiv 1905.02244, and what may be chosen."""

import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras

# Kernel, expansion, channels out, squeeze-excite, stride: a row a block.
TABLE_2 = [
    (3, 16, 16, True, 2),
    (3, 72, 24, False, 2),
    (3, 88, 24, False, 1),
    (5, 96, 40, True, 2),
    (5, 240, 40, True, 1),
    (5, 240, 40, True, 1),
    (5, 120, 48, True, 1),
    (5, 144, 48, True, 1),
    (5, 288, 96, True, 2),
    (5, 576, 96, True, 1),
    (5, 576, 96, True, 1),
]


@pytest.fixture(scope="module")
def paper() -> keras.Model:
    arguments = {"image_size": 64, "num_classes": 4, "seed": 0, "l2": 0.0, "dropout": 0.2}
    return models.build("mobilenet_v3_small", options="stem_stride=2", **arguments)


@pytest.mark.slow
def test_its_blocks_are_those_of_the_paper(paper) -> None:
    layers = {layer.name: layer for layer in paper.layers}
    found = []
    for number in range(len(TABLE_2)):
        block = "expanded_conv_" + (f"{number}_" if number else "")
        depthwise = layers[f"{block}depthwise"]
        gate = f"{block}squeeze_excite_mul" in layers
        assert gate == (f"{block}squeeze_excite_conv_1_hard_sigmoid" in layers)
        sizes = depthwise.kernel.shape[0], depthwise.kernel.shape[2]
        filters, stride = layers[f"{block}project"].filters, depthwise.strides[0]
        found.append((*sizes, filters, gate, stride))
    assert found == TABLE_2
    assert layers["conv_1"].filters == 576
    assert layers["conv_activation"].activation is keras.activations.hard_silu


def test_its_stages_halve_the_map(paper) -> None:
    maps = [paper.get_layer(name).output.shape[1:] for name in models.stages(paper)]
    assert maps == [(32, 32, 16), (16, 16, 16), (8, 8, 24), (4, 4, 48), (2, 2, 576)]


def test_by_default_the_first_convolution_keeps_the_size(network) -> None:
    model = network("mobilenet_v3_small", options="alpha=0.5")
    maps = [model.get_layer(name).output.shape[1:3] for name in models.stages(model)]
    assert maps == [(32, 32), (16, 16), (8, 8), (4, 4), (2, 2)]
    assert model.get_layer("expanded_conv_10_project").filters == 48


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("alpha=0", "alpha=0.0 is out of range: expected 0.25 to 2"),
        ("stem_stride=3", "stem_stride=3 is out of range: expected 1 to 2"),
        ("stride=2", "Did you mean stem_stride"),
    ],
)
def test_odd_options_are_refused(options, says) -> None:
    with pytest.raises(InputError, match=says):
        models.check_options("mobilenet_v3_small", options)

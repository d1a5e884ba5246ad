"""Networks of keras.applications: each computes what Keras' own does behind preprocess_input.

The oracle is Keras' network as its users get it, ``weights="imagenet"`` and ``preprocess_input``;
only the weights are random, because nothing is downloaded here.
"""

import contextlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.config.model import APPLICATIONS
from cnnlab.engine import keras
from cnnlab.models.applications import NORMALISATIONS, ROWS
from cnnlab.models.backbones import transplant
from cnnlab.models.keras_weights import SITE, KerasWeights
from cnnlab.models.options import parsed_options

every_row = pytest.mark.parametrize("name", APPLICATIONS)
# One of each family, as small as it gets. Odd sizes are padded in another way than even ones.
TRIED = {
    "mobilenet": ("alpha=0.25", 45),
    "mobilenet_v2": ("alpha=0.35", 45),
    "mobilenet_v3_small": ("alpha=0.75,stem_stride=2", 45),
    "mobilenet_v3_large": ("alpha=0.75", 32),
    "efficientnet_b0": ("", 45),
    "efficientnet_v2_b0": ("", 45),
    "resnet50": ("", 45),
    "resnet50_v2": ("", 45),
    "vgg16": ("", 33),
}
LONG = {  # more than five seconds each
    "convnext_tiny": ("", 32),
    "densenet121": ("", 45),
    "efficientnet_v2_s": ("", 32),
    "inception_resnet_v2": ("", 75),
    "inception_v3": ("", 75),
    "nasnet_mobile": ("", 45),
    "xception": ("", 71),
}
REPLACED = ("convnext_tiny", "efficientnet_b0")  # have layers in the place of Keras'
# Built in about a second; of the others only the depth is another.
COUNTED = ["mobilenet", "mobilenet_v2", "mobilenet_v3_large", "efficientnet_b0",
           "efficientnet_v2_b0", "resnet50", "resnet50_v2", "convnext_tiny", "convnext_base",
           "xception", "vgg16", "vgg19"]  # fmt: skip


def function(name: str) -> Callable[..., keras.Model]:
    """Return what builds Keras' own network."""
    known = "MobileNetV3Small" if name == "mobilenet_v3_small" else ROWS[name].function
    return getattr(keras.applications, known)


def module(name: str) -> ModuleType:
    """Return the module of Keras that has the network and its ``preprocess_input``."""
    return sys.modules[function(name).__module__]


def weights_of(name: str) -> KerasWeights:
    """Return what finds and loads a network's weights."""
    loads = models.architecture(name).pretrained.load
    return loads.__self__


def kernel(rng: np.random.Generator, shape: tuple[int, ...], depthwise: bool) -> np.ndarray:
    """Return a kernel that keeps signals at their scale."""
    fan_in = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
    return rng.normal(0, 1.4 / np.sqrt(fan_in), shape)


def randomise(model: keras.Model) -> None:
    """Give a network weights at which every part of it matters."""
    rng = np.random.default_rng(0)
    flat = [part for layer in model.layers for part in getattr(layer, "layers", [layer])]
    for layer in flat:
        values = [
            kernel(rng, tuple(weight.shape), "depthwise" in weight.path)
            if len(weight.shape) > 1
            else rng.uniform(0.6, 1.2, weight.shape)
            for weight in layer.weights
        ]
        if isinstance(layer, keras.layers.Normalization) and values:  # as in its published file
            colours = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
            values[:2] = [np.reshape(each, layer.weights[0].shape) for each in colours]
            values[2] = np.array(0)
        layer.set_weights(values)
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


@pytest.fixture
def original(monkeypatch) -> Callable[..., tuple[keras.Model, list[tuple]]]:
    """Return the maker of Keras' own network for ImageNet's weights and of what it asks for."""

    def make(name: str, options: str, size: int) -> tuple[keras.Model, list[tuple]]:
        asked: list[tuple] = []

        def fetched(fname, origin, cache_subdir="datasets", file_hash=None, **_others):
            asked.append((fname, origin, cache_subdir, file_hash))

        monkeypatch.setattr(keras.src.utils.file_utils, "get_file", fetched)
        monkeypatch.setattr(keras.Model, "load_weights", lambda *_: None)
        widths = {"alpha": float(options.split(",")[0].partition("=")[2])} if options else {}
        warns = (
            pytest.warns(UserWarning, match="224")
            if "mobilenet" in name
            else contextlib.nullcontext()
        )
        with warns:  # of the size of the pictures that they were trained on
            network = function(name)(
                input_tensor=keras.Input((size, size, 3)),
                include_top=False,
                weights="imagenet",
                **widths,
            )
        monkeypatch.undo()
        randomise(network)
        return network, asked

    return make


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRIED, *(pytest.param(name, marks=pytest.mark.long)
                                            for name in LONG)])  # fmt: skip
def test_it_computes_what_keras_does_behind_its_own_preprocessing(name, original, network) -> None:
    options, size = (TRIED | LONG)[name]
    theirs, asked = original(name, options, size)
    ours = network(name, options=options, image_size=size)
    transplant(theirs, ours, reverse_colours=name in ROWS and ROWS[name].normalisation == "caffe")

    pixels = np.random.default_rng(1).uniform(0, 255, (1, size, size, 3)).astype(np.float32)
    prepared = module(name).preprocess_input(pixels.copy())
    given = keras.tree.map_structure(lambda _: prepared, theirs.input)  # in a list, or not
    expected = np.asarray(theirs(given, training=False))
    body = keras.Model(ours.input, ours.get_layer("global_pool").input)
    found = np.asarray(body(pixels, training=False))
    assert np.isfinite(expected).all()
    assert expected.std() > 1e-2
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())

    # Everything comes back by Keras alone, flat, and under its own name.
    assert all(getattr(keras.layers, type(layer).__name__) is type(layer) for layer in ours.layers)
    assert all(isinstance(operation, keras.Layer) for operation in ours.operations)
    stages = models.stages(ours)
    sides = [ours.get_layer(stage).output.shape[1] for stage in stages]
    assert stages == models.architecture(name).stages
    assert sides == sorted(set(sides), reverse=True)
    # Weights are looked for where Keras does.
    published = weights_of(name).files[float(options.split(",")[0][6:]) if options else 1.0]
    assert asked == [(published.name, SITE + published.address, "models", published.digest or None)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["resnet50", *(pytest.param(name, marks=pytest.mark.long) for name in REPLACED)]
)
def test_it_is_the_same_when_it_comes_back_from_a_file(name, network, tmp_path, photographs):
    model = network(name)
    model.save(tmp_path / "model.h5")
    loaded = keras.saving.load_model(tmp_path / "model.h5", compile=False, safe_mode=True)
    images = photographs(count=1)
    assert np.array_equal(loaded(images, training=False), model(images, training=False))
    assert models.stages(loaded) == models.stages(model)


@every_row
def test_the_table_says_what_keras_says(name) -> None:
    row, source = ROWS[name], inspect.getsource(module(name))
    if "V2" in row.function and "ResNet" in row.function[:6]:
        source += inspect.getsource(keras.src.applications.resnet)
    assert re.search(r"(?:min_size=|rows < )(\d+)", source).group(1) == str(row.smallest)
    assert re.search(r"mode=\"(\w+)\"", source + 'mode="none"').group(1) == (
        {"own": "none"}.get(row.normalisation, row.normalisation)
        if not name.startswith("efficientnet_b") else "none")  # fmt: skip
    for published in row.files.values():
        assert published.digest in source
        assert not published.digest or len(published.digest) in (32, 64)
    assert models.architecture(name).pretrained.licence


@pytest.mark.slow
@pytest.mark.parametrize("name", COUNTED)
def test_it_has_as_many_parameters_as_published(name) -> None:
    row = ROWS[name]
    with keras.StatelessScope(initialize_variables=False):
        backbone = weights_of(name).backbone(96, 1.0)
    head = row.dense or (backbone.output.shape[-1] + 1) * 1000
    count = (backbone.count_params() + head) / 1e6
    assert row.millions - 0.05 <= count < row.millions + 0.1  # some are rounded, some cut off


def test_colours_are_what_preprocess_input_makes_of_them() -> None:
    """Of black and white: whoever scaled pixels before would get something else."""
    pixels = np.stack([np.zeros((2, 2, 3)), np.full((2, 2, 3), 255)]).astype(np.float32)
    for mode, make in NORMALISATIONS.items():
        if make is None:
            continue
        expected = keras.applications.imagenet_utils.preprocess_input(pixels.copy(), mode=mode)
        if mode == "caffe":  # ours stays RGB
            expected = expected[..., ::-1]
        found = np.asarray(make()(pixels))
        np.testing.assert_allclose(found, expected, atol=1e-4)
        assert np.ptp(found) > 1.9  # of pixels in 0…1 hardly anything would be left


@pytest.mark.parametrize(("name", "size"), [("resnet50", 31), ("xception", 70)])
def test_images_that_are_too_small_are_refused(name, size, network) -> None:
    with pytest.raises(InputError, match=rf"at least {size + 1} pixels a side; got {size}"):
        network(name, image_size=size)


def test_options_are_those_of_the_family(network) -> None:
    with pytest.raises(InputError, match="resnet50 takes no network_options; got 'alpha=1'"):
        models.check_options("resnet50", "alpha=1")
    models.check_options("mobilenet", "alpha=0.25")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    """Keras' folder of weights, empty, on a machine without a network."""

    def fails(_fname, origin, **_others):
        raise Exception(f"URL fetch failure on {origin}: None -- no route")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(keras.utils, "get_file", fails)
    return tmp_path / "models"


def found(name: str, options: str = "") -> Path:
    family = models.architecture(name)
    return family.pretrained.find(parsed_options(family, options))


def test_without_a_network_one_line_says_what_to_put_where(cache) -> None:
    with pytest.raises(InputError) as caught:
        found("resnet50")
    name = "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    address = f"https://storage.googleapis.com/tensorflow/keras-applications/resnet/{name}"
    assert str(caught.value) == (
        f"Cannot fetch {address} (None -- no route). Fetch it on another machine and put it at "
        f"{cache / name}, or name it: weights=/path/to/{name}."
    )
    assert list(cache.iterdir()) == []  # nothing half-written


def test_what_is_in_the_cache_is_checked(cache) -> None:
    cache.mkdir()
    file = cache / "mobilenet_2_5_224_tf_no_top.h5"  # Keras knows no digest of it
    file.write_bytes(b"weights")
    assert found("mobilenet", "alpha=0.25") == file
    file = cache / "nasnet_mobile_no_top.h5"
    file.write_bytes(b"altered")
    with pytest.raises(InputError, match=r"nasnet_mobile_no_top.h5 is not the file that Keras"):
        found("nasnet_mobile")


def test_a_download_appears_complete(cache, monkeypatch) -> None:
    def fetches(fname, _origin, cache_dir, cache_subdir, file_hash):
        (Path(cache_dir) / cache_subdir / fname).write_bytes(b"weights")
        assert file_hash == "4d473c1dd8becc155b73f8504c6f6626"
        assert list(cache.glob("*.h5")) == []

    monkeypatch.setattr(keras.utils, "get_file", fetches)
    left = cache / ".unfinished-00000000-1-killed"
    left.mkdir(parents=True)
    os.utime(left, (0, 0))
    assert found("resnet50").read_bytes() == b"weights"
    assert [path.suffix for path in cache.iterdir()] == [".h5"]


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("mobilenet_v2", "alpha=0.6", r"alpha=0.6: expected one of 0.35, 0.5, 0.75, 1, 1.3, 1.4"),
        ("mobilenet_v3_small", "", r"got stem_stride=1. Set network_options=stem_stride=2"),
    ],
)
def test_there_are_weights_of_some_options_only(name, options, says, cache) -> None:
    with pytest.raises(InputError, match=says):
        found(name, options)


@pytest.fixture(scope="module")
def small() -> keras.Model:
    return weights_of("mobilenet").backbone(32, 0.25)


@pytest.fixture
def refused(network) -> Callable[[Path], str]:
    """Return what loads a file into MobileNet and gives the one line why it is refused."""
    model = network("mobilenet", options="alpha=0.25")
    before = model.get_weights()

    def load(file: Path) -> str:
        with pytest.raises(InputError) as caught:
            models.architecture("mobilenet").pretrained.load(model, file)
        assert all(map(np.array_equal, before, model.get_weights()))
        assert "\n" not in str(caught.value)
        assert str(file) in str(caught.value)
        return str(caught.value)

    return load


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["h5", "weights.h5"])
def test_weights_come_from_files_of_both_kinds(suffix, small, network, tmp_path) -> None:
    file = tmp_path / f"notop.{suffix}"
    (small.save_weights if suffix == "weights.h5" else small.save)(file)
    model = network("mobilenet", options="alpha=0.25")
    head = model.get_layer("probabilities").get_weights()
    models.architecture("mobilenet").pretrained.load(model, file)
    first, last = "conv1", "conv_pw_13"
    for name in (first, last):
        assert np.array_equal(model.get_layer(name).kernel, small.get_layer(name).kernel)
    assert all(map(np.array_equal, head, model.get_layer("probabilities").get_weights()))


@pytest.mark.slow
def test_damaged_and_foreign_files_are_refused(small, refused, tmp_path) -> None:
    file = tmp_path / "notop.h5"
    small.save(file)
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert "truncated" in refused(file)
    file.write_bytes(b"no weights")
    assert "signature" in refused(file)
    file.write_bytes(whole)
    with h5py.File(file, "r+") as opened:
        opened["model_weights/conv1/conv1/kernel"][0] = np.nan
    assert "Layer conv1 has values that are not finite" in refused(file)
    weights_of("mobilenet").backbone(32, 0.5).save(file)  # wider
    assert "shape" in refused(file)
    weights_of("vgg16").backbone(32, 1.0).save_weights(file := tmp_path / "vgg.weights.h5")
    assert "expected an .h5 file with the weights of keras.applications.MobileNet" in refused(file)
    assert "pickle" not in refused(tmp_path / "missing.h5")


@pytest.mark.slow
def test_a_small_file_cannot_take_gigabytes(small, refused, tmp_path) -> None:
    small.save_weights(file := tmp_path / "a.weights.h5")
    with h5py.File(file, "r+") as content:
        names: list[str] = []
        content.visit(names.append)
        name = next(each for each in names if isinstance(content[each], h5py.Dataset))
        del content[name]
        content.create_dataset(name, (1 << 30,), "f4", chunks=(1 << 20,), compression="gzip")
    assert file.stat().st_size < 2e6
    assert "holds 4,296 MB of values" in refused(file)


@pytest.mark.slow
@pytest.mark.long
def test_other_colours_than_imagenets_are_refused(network, tmp_path) -> None:
    """EfficientNet's file holds its own; ours has the published constants in front."""
    backbone = weights_of("efficientnet_b0").backbone(32, 1.0)
    backbone.save(file := tmp_path / "notop.h5")  # Keras begins with mean 0 and variance 1
    with pytest.raises(InputError, match=r"normalised by \[0. 0. 0.\], not \(0.485, "):
        models.architecture("efficientnet_b0").pretrained.load(network("efficientnet_b0"), file)

"""What a network begins with: random weights, published ones, or a file's."""

import dataclasses
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.models import efficientnet_lite0_file, weights
from cnnlab.models.architecture import Pretrained

PUBLISHED = efficientnet_lite0_file.SHA256


def loads_by(load: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the residual network, whose weights are published now, read its files by a function."""
    known = dataclasses.replace(models.architecture("resnet").pretrained, load=load)
    family = dataclasses.replace(models.architecture("resnet"), pretrained=known)
    monkeypatch.setattr("cnnlab.models.resnet.ARCHITECTURE", family)


@pytest.fixture
def begins_small(monkeypatch, tmp_path) -> Path:
    """The residual network with published weights, all 0.5; their file."""
    file = tmp_path / "half.npz"
    np.savez(file, value=np.float32(0.5))

    def load(network: keras.Model, path: Path) -> None:
        value = np.load(path)["value"]
        for layer in network.layers[:-1]:
            layer.set_weights([np.full_like(each, value) for each in layer.get_weights()])

    known = Pretrained("pictures", "MIT", "somebody", 24, lambda _: True, lambda _: file, load)
    family = dataclasses.replace(models.architecture("resnet"), pretrained=known)
    monkeypatch.setattr("cnnlab.models.resnet.ARCHITECTURE", family)
    return file


def test_all_but_the_head_begins_with_the_weights_and_the_head_with_its_seed(
    begins_small, network: Callable[..., keras.Model]
) -> None:
    small = {"options": "width=2,blocks=1"}
    usual = network("resnet", **small)
    for chosen in ("pretrained", str(begins_small)):
        begun = network("resnet", weights=chosen, **small)
        *body, head, bias = begun.get_weights()
        assert all(np.all(each == 0.5) for each in body if each.dtype == np.float32)
        assert np.array_equal(head, usual.get_weights()[-2])
        assert not bias.any()
    assert all(map(np.array_equal, network("resnet", weights="random", **small).get_weights(),
                   usual.get_weights()))  # fmt: skip


def test_only_the_head_of_a_network_that_begins_so_is_penalised(
    begins_small, network, tmp_path
) -> None:
    begun = network("resnet", weights="pretrained", options="width=2,blocks=1", l2=0.25)
    expected = 0.25 * np.sum(np.asarray(begun.layers[-1].kernel, np.float64) ** 2)
    assert float(sum(begun.losses)) == pytest.approx(expected, rel=1e-6)
    begun.save(tmp_path / "begun.keras")
    back = keras.saving.load_model(tmp_path / "begun.keras", safe_mode=True)
    assert float(sum(back.losses)) == pytest.approx(expected, rel=1e-6)


def test_a_dense_layer_before_pooling_is_not_of_the_head() -> None:
    """ConvNeXt's pointwise convolutions are such layers."""
    layers = keras.layers
    ones = {"kernel_initializer": "ones"}
    network = keras.Sequential(
        [
            keras.Input((4, 4, 3)),
            layers.Dense(5, **ones),
            layers.GlobalAveragePooling2D(name="global_pool"),
            layers.Dense(2, name="hidden", **ones),
            layers.Dense(7, name="probabilities", **ones),
        ]
    )
    weights.penalise_head(network, 0.5)
    assert float(sum(network.losses)) == 0.5 * (5 * 2 + 2 * 7)


def test_where_weights_come_from_is_recorded(begins_small) -> None:
    arguments = ("resnet", "width=2")
    assert models.provenance(*arguments, "random") is None
    published = models.provenance(*arguments, "pretrained")
    assert published == weights.WeightsOrigin(
        *("resnet", "pictures", "MIT", "somebody", "half.npz"), published.sha256
    )
    own = models.provenance(*arguments, str(begins_small))
    assert (own.data, own.licence, own.source) == ("unknown", "unknown", "unknown")
    assert own.sha256 == published.sha256
    assert weights.WeightsOrigin.from_json(own.to_json()) == own
    lite = models.provenance("efficientnet_lite0", "", "pretrained")
    assert lite.sha256 == PUBLISHED
    assert lite.licence == "Apache-2.0"


@pytest.mark.parametrize(
    ("name", "chosen", "says"),
    [
        ("reference_cnn", "pretrained", "no weights for reference_cnn to begin with"),
        ("reference_cnn", "some.h5", "no weights for reference_cnn to begin with"),
        ("resnet", "pretraned", "no weights file 'pretraned'.*Did you mean pretrained"),
        ("resnet", ".", r"no weights file '\.'"),
        ("efficientnet_lite0", "there.pth", "no weights file 'there.pth': expected random, pretr"),
    ],
)
def test_weights_that_cannot_be_had_are_refused(
    name, chosen, says, begins_small, network, monkeypatch, tmp_path
) -> None:
    monkeypatch.chdir(tmp_path)
    for ask in (
        lambda: network(name, weights=chosen),
        lambda: models.check_weights(name, "", chosen, 32),
        lambda: models.provenance(name, "", chosen),
    ):
        with pytest.raises(InputError, match=says):
            ask()


def test_images_below_the_smallest_are_refused(begins_small, network) -> None:
    for ask in (
        lambda: network("resnet", weights="pretrained", image_size=23),
        lambda: models.check_weights("resnet", "", str(begins_small), 23),
    ):
        with pytest.raises(InputError, match="at least 24 pixels a side; got 23"):
            ask()
    models.check_weights("resnet", "", "pretrained", 24)
    models.check_weights("resnet", "", "random", 16)


def test_a_file_that_cannot_be_read_is_said(begins_small, network, monkeypatch) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    loads_by(denied, monkeypatch)
    with pytest.raises(InputError, match=r"Cannot read the weights file .*: Permission denied\."):
        network("resnet", weights=str(begins_small))


def test_what_keras_only_warns_of_is_refused(begins_small, network, monkeypatch) -> None:
    def partly(*_: object) -> None:
        warnings.warn("Layers keep their random weights.\nTwo of them.", stacklevel=2)

    loads_by(partly, monkeypatch)
    with pytest.raises(InputError, match=r"does not fill resnet: .*: Layers .* weights\.$"):
        network("resnet", weights=str(begins_small))

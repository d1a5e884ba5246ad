import json

import h5py
import numpy as np
import pytest

from cnnlab.artifact import h5
from cnnlab.artifact.integrity import ModelRefused
from cnnlab.config import InputError
from cnnlab.engine import keras

IMAGES = np.random.default_rng(4).uniform(0, 255, (2, 16, 16, 3)).astype("float32")


def test_a_float32_copy_is_equal_and_separate(tiny):
    model = tiny()
    copy = h5.float32_copy(model)
    assert np.array_equal(copy(IMAGES), model(IMAGES))
    copy.get_layer("answer").bias.assign([1, 2, 3])
    assert not model.get_layer("answer").bias.numpy().any()


def test_a_nested_backbone_is_rebuilt_in_float32(tiny):
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, tiny(dtype="mixed_bfloat16")(inputs))
    copy = h5.float32_copy(model)
    assert copy.get_layer("tiny").get_layer("conv").compute_dtype == "float32"
    assert model.get_layer("tiny").get_layer("conv").compute_dtype == "bfloat16"
    # bfloat16 keeps eight bits: close to it, and not the same.
    assert 0 < np.abs(copy(IMAGES) - model(IMAGES)).max() < 0.05


def test_a_class_that_cannot_be_rebuilt_is_named():
    class Own(keras.layers.Layer):
        def __init__(self, width):
            super().__init__()
            self.width = width

        def call(self, x):
            return x * self.width

        def get_config(self):
            raise NotImplementedError("no configuration")

    inputs = keras.Input((16, 16, 3))
    with pytest.raises(InputError, match="'mine' cannot be rebuilt"):
        h5.float32_copy(keras.Model(inputs, Own(2)(inputs), name="mine"))


def test_the_contract_is_kept_beside_the_network(tiny, tmp_path):
    text = '{"labels": ["' + "é" * 70_000 + '"]}'  # more than an HDF5 header can hold
    h5.write(tiny(), tmp_path / "m.h5", text)
    assert h5.read_contract(tmp_path / "m.h5") == text
    assert np.array_equal(h5.read(tmp_path / "m.h5")(IMAGES), tiny()(IMAGES))


def test_a_file_without_contract_has_none(tmp_path):
    (tmp_path / "m.h5").write_bytes(b"not HDF5")
    assert h5.read_contract(tmp_path / "m.h5") is None


def test_a_lambda_in_a_file_is_not_run(tiny, tmp_path):
    base = tiny()
    model = keras.Model(base.input, keras.layers.Lambda(lambda x: x)(base.output))
    h5.write(model, tmp_path / "m.h5", "{}")
    with pytest.raises(ModelRefused, match="the network has the class '>Lambda'") as refused:
        h5.read(tmp_path / "m.h5")
    assert refused.value.code == "foreign_model"


def described(name, module="keras.layers", **more):
    """A class as Keras describes it."""
    return {"class_name": name, "module": module, "config": {}, "registered_name": None} | more


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (described("TFSMLayer"), "TFSMLayer"),
        (described("StringLookup", config={"vocabulary": "/etc/passwd"}), "StringLookup"),
        (described("TorchModuleWrapper"), "TorchModuleWrapper"),
        (described("__lambda__", None), "__lambda__"),
        (described("function", "builtins", config="eval"), "function"),
        (described("system", "os"), "os>system"),
        (described("Zeros", "keras.src.initializers"), "keras.src"),
        (described("Zeros", "keras.initializers", registered_name="own>Zeros"), "another name"),
        (described("Zeros", "keras.initializers", build_config={}), "build_config"),
        (described("Zeros", "keras.initializers", shared_object_id=1), "shared_object_id"),
        (described("Zeros", "keras.initializers", compile_config={}), "compile_config"),
        (described(["Zeros"], "keras.initializers"), "Zeros"),
        (described("TypeSpec", None), "TypeSpec"),
    ],
)
def test_no_foreign_class_is_built_wherever_it_stands(tiny, tmp_path, part, says):
    h5.write(tiny(), tmp_path / "m.h5", "{}")
    h5.check(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        stated = json.loads(file.attrs["model_config"])
        stated["config"]["layers"][2]["config"]["kernel_initializer"] = {"deep": [part]}
        file.attrs["model_config"] = json.dumps(stated)
    with pytest.raises(ModelRefused, match=says):
        h5.read(tmp_path / "m.h5")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "\ud800", 3, [1, 2]])
def test_what_is_no_configuration_is_refused(tiny, tmp_path, text):
    h5.write(tiny(), tmp_path / "m.h5", "{}")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file.attrs["model_config"]
        if text != [1, 2]:
            file.attrs["model_config"] = text.encode("utf-8", "surrogatepass") if text != 3 else 3
    with pytest.raises(ModelRefused, match="No network of cnnlab has that"):
        h5.read(tmp_path / "m.h5")


def test_a_network_in_another_file_is_not_read(tiny, tmp_path):
    h5.write(tiny(), tmp_path / "m.h5", "{}")
    (tmp_path / "other.h5").write_bytes((tmp_path / "m.h5").read_bytes())
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        del file["model_weights"]
        file["model_weights"] = h5py.ExternalLink("other.h5", "/model_weights")
    with pytest.raises(ModelRefused, match="'model_weights' is a link, ExternalLink"):
        h5.read(tmp_path / "m.h5")

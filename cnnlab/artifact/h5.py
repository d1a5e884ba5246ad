"""The H5 file: a float32 network without optimizer that carries its contract."""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cnnlab import hdf5
from cnnlab.artifact import allow_list
from cnnlab.artifact.integrity import ModelRefused
from cnnlab.config import InputError
from cnnlab.engine import keras

ATTRIBUTE = "cnnlab_contract"
# What stands beside "class_name" where Keras describes an object that is to be made.
DESCRIBED_BY = {"class_name", "config", "module", "registered_name", "name", "inbound_nodes"}
OTHER_FLOATS = ("float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


def float32_copy(model: keras.Model) -> keras.Model:
    """Return an uncompiled copy of the model that computes and stores in float32.

    A mixed-precision network saved as it is would reload in half precision everywhere. The copy
    is rebuilt from the configuration, which also proves that a later process can rebuild it.

    Args:
        model: A built Keras model; it is not changed.

    Raises:
        InputError: The model cannot be rebuilt from its configuration, or has weights that are
            not finite.
    """
    try:
        description = _in_float32(keras.saving.serialize_keras_object(model))
        copy = keras.saving.deserialize_keras_object(description, safe_mode=True)
        copy.set_weights([np.asarray(weight).astype("float32") for weight in model.get_weights()])
    except (TypeError, ValueError, NotImplementedError) as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise InputError(
            f"Model {model.name!r} cannot be rebuilt from its configuration ({reason}): expected "
            "a Functional or Sequential model of Keras' own layers, without Lambda."
        ) from error
    for weight in copy.weights:
        if not np.isfinite(weight.numpy()).all():
            raise InputError(
                f"Weight {weight.path} has values that are not finite: expected a trained model; "
                "train again with a lower learning rate."
            )
    return copy


def _in_float32(description: Any) -> Any:
    """Return a Keras configuration with every floating type and policy set to float32."""
    if isinstance(description, list | tuple):
        return type(description)(_in_float32(item) for item in description)
    if not isinstance(description, dict):
        return description
    if description.get("class_name") == "DTypePolicy":
        return "float32"
    return {
        key: "float32" if key == "dtype" and str(value) in OTHER_FLOATS else _in_float32(value)
        for key, value in description.items()
        if key != "compile_config"  # losses and optimizers are of no use to a served model
    }


def write(model: keras.Model, path: Path, contract: str) -> None:
    """Write the network, without optimizer, and the contract's JSON as an attribute beside it.

    The file is made in memory and then written: on a full disk HDF5 may end the process (SIGSEGV).
    """
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        with _saving_quietly():  # what `model.save` calls, which takes no open file
            keras.src.legacy.saving.legacy_h5_format.save_model_to_hdf5(
                model, file, include_optimizer=False
            )
        file.attrs[ATTRIBUTE] = contract
        file.flush()
        image = file.id.get_file_image()
    path.write_bytes(image)


def read(path: Path) -> keras.Model:
    """Return the network, uncompiled, if nothing in the file is foreign; see ``check``."""
    check(path)
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def check(path: Path) -> None:
    """Raise unless Keras would build of a file what the registry builds, and read no other file.

    A configuration names classes, some of which run code (``Lambda``) or read files
    (``TFSMLayer``, ``StringLookup``): only those in ``allowed.json`` are built, with no module but
    their own. How large the layers are is not looked at.

    Raises:
        ModelRefused: ``foreign_model``; the message names the class, or the object in the file.
    """
    try:
        hdf5.check(path)
        with h5py.File(path, "r") as file:
            stated = file.attrs["model_config"]
        _check_classes(json.loads(stated))
    except (allow_list.Foreign, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ModelRefused(
            allow_list.CODE,
            f"{path.name} in {path.parent}: {reason[:300]}. No network of cnnlab has that, so "
            "nothing is loaded from here or saved.",
        ) from None


def _check_classes(value: Any) -> None:
    """Raise Foreign for a class in a configuration that no network of the registry has."""
    if isinstance(value, dict) and "class_name" in value:
        name = f"{value.get('module') or ''}>{value['class_name']}"
        if name not in allow_list.allowed("network"):
            raise allow_list.Foreign(f"the network has the class {ascii(name)[:80]}")
        for key in sorted(value.keys() - DESCRIBED_BY):
            raise allow_list.Foreign(f"the class {name!r} comes with {ascii(key)[:80]}")
        if value.get("registered_name") is not None:
            raise allow_list.Foreign(f"the class {name!r} is registered under another name")
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _check_classes(each)


def read_contract(path: Path) -> str | None:
    """Return the contract's JSON; None where the file has none as text, or is no HDF5 file."""
    try:
        with h5py.File(path, "r") as file:
            one = ATTRIBUTE in file.attrs and file.attrs.get_id(ATTRIBUTE).shape == ()
            found = file.attrs[ATTRIBUTE] if one else None
    except (OSError, RuntimeError, TypeError, ValueError):  # h5py's, for types it does not know
        return None
    return found if isinstance(found, str) else None


@contextmanager
def _saving_quietly() -> Iterator[None]:
    """Drop what nobody can act on: Keras' advice to save otherwise, NumPy's advice to Keras."""

    def wanted(record: logging.LogRecord) -> bool:
        return "saving your model as an HDF5 file" not in record.getMessage()

    logger = logging.getLogger("absl")
    logger.addFilter(wanted)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "__array__ implementation", DeprecationWarning)
            yield
    finally:
        logger.removeFilter(wanted)

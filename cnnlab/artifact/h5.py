"""The H5 file: a float32 network without optimizer that carries its contract."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras

ATTRIBUTE = "cnnlab_contract"
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
    """Write the network, without optimizer, and the contract's JSON as an attribute beside it."""
    with _saving_quietly():
        model.save(path, include_optimizer=False)
    with h5py.File(path, "r+") as file:
        file.attrs[ATTRIBUTE] = contract


def read(path: Path) -> keras.Model:
    """Return the network, uncompiled; a Lambda layer is refused, as it could run any code."""
    return keras.saving.load_model(path, compile=False, safe_mode=True)


def read_contract(path: Path) -> str | None:
    """Return the contract's JSON; None where the file has none as text, or is no HDF5 file."""
    try:
        with h5py.File(path, "r") as file:
            found = file.attrs.get(ATTRIBUTE)
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

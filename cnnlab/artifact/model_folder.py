"""The model folder: ``model.h5``, ``saved_model/``, ``card.md`` and the contract over them."""

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cnnlab import files
from cnnlab.artifact import allow_list, h5, integrity, signing
from cnnlab.artifact.contract import (
    CONTRACT,
    FORMAT,
    OUTSIDE_H5,
    UNLISTED,
    check_facts,
    read_contract,
    write_contract,
)
from cnnlab.artifact.integrity import ArtifactDamaged, ModelRefused, damaged
from cnnlab.artifact.records import Artifact
from cnnlab.artifact.saved_model import export
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.hashing import canonical_json, json_digest
from cnnlab.images import STANDARD, Preprocessing
from cnnlab.training.checkpoint import weights_digest

__all__ = [
    "Artifact",
    "ArtifactDamaged",
    "ModelRefused",
    "load",
    "load_keras",
    "save",
    "sign",
    "write_card",
]

CARD = "card.md"
H5 = "model.h5"
SAVED_MODEL = "saved_model"


def save(
    model: keras.Model,
    folder: Path | str,
    *,
    class_names: Sequence[str],
    run_id: str,
    card: str,
    temperature: float = 1.0,
    conformal: SetRule | None = None,
    novelty: NoveltyRule | None = None,
    preprocessing: Preprocessing = STANDARD,
) -> dict[str, Any]:
    """Write a model folder and return its contract.

    The folder is written beside its place and then renamed, so a reader sees the old one or the
    new one, complete; between the two renames, for an instant, none. ``model_id`` is a SHA-256
    over all that a prediction depends on: the architecture's configuration, the weights' bytes in
    order, the class names, the image size, the preprocessing, the temperature and both rules with
    their scores; not over the files, since TensorFlow does not write the same graph byte for byte
    twice: equal models have equal ids.

    Args:
        model: A trained classifier, (B, S, S, 3) in 0…255 → softmax (B, C); mixed precision is
            rebuilt in float32. It is not changed.
        folder: Where to write. An earlier model folder there is replaced; any other is refused.
        class_names: C different labels, in the order of the model's outputs.
        run_id: The name of the run that trained it.
        card: The model card, Markdown.
        temperature: T of softmax(log p / T), 0.01…100, applied inside the SavedModel.
        conformal: Which classes are plausible, fitted on tempered probabilities.
        novelty: When an image shows none of the classes, likewise.
        preprocessing: How the bytes of an image became the pixels that the model was trained on.

    Raises:
        InputError: The labels, the shapes or the temperature do not fit, the model cannot be
            rebuilt in float32, the folder holds something else, or the model computes something
            that no network of the registry does, and would be refused when it is loaded.
    """
    folder = Path(os.path.abspath(folder))
    facts = _facts(model, class_names, temperature, conformal, novelty, preprocessing)
    check_facts({"run_id": run_id})
    _refuse_foreign(folder)
    copy = h5.float32_copy(model)
    contract = {"format": FORMAT, **facts, "run_id": run_id}
    contract |= {"parameters": int(copy.count_params()), "model_id": _model_id(copy, facts)}
    with files.replacing_folder(folder) as new:
        h5.write(copy, new / H5, canonical_json(contract))
        h5.check(new / H5)
        size, served = facts["image_size"], facts["temperature"]
        export(copy, new / SAVED_MODEL, size, served, preprocessing)
        (new / CARD).write_text(card, "utf-8")
        whole = write_contract(new, contract | {"formats": {}})
        allow_list.check(new, whole["files"])
    return whole


def identity(
    model: keras.Model,
    *,
    class_names: Sequence[str],
    temperature: float = 1.0,
    conformal: SetRule | None = None,
    novelty: NoveltyRule | None = None,
    preprocessing: Preprocessing = STANDARD,
) -> str:
    """Return the ``model_id`` that ``save`` would give; nothing is written."""
    facts = _facts(model, class_names, temperature, conformal, novelty, preprocessing)
    return _model_id(h5.float32_copy(model), facts)


def load(folder: Path | str, *, trusted_key: Path | str | None = None) -> Artifact:
    """Return a model folder after checking the SHA-256 of every file in it, and its graph.

    Nothing is unpickled, no link inside the folder is followed, and TensorFlow opens nothing
    before the checks are done. The hashes say that no file changed since the contract was written,
    not who wrote it: that says a signature. ``allow_list`` says what a graph from somebody else may
    do, and what not.

    Args:
        folder: A model folder.
        trusted_key: A file with an Ed25519 public key: whatever its owner did not sign is refused.
            None takes models from anybody, signed or not.

    Raises:
        InputError: There is no such folder.
        ArtifactDamaged: A file is missing, changed, extra or not a regular file.
        ModelRefused: The contract is of a later version of cnnlab, or holds what none may; the
            graph holds what no export does; the key did not sign it.
    """
    folder = given = Path(folder)
    try:
        folder = given.resolve()
        found = folder.is_dir()
    except (OSError, RuntimeError, ValueError):  # links in a circle; no name of a file at all
        found = False
    if not found:
        raise InputError(f"No model folder at {given}: expected one with a {CONTRACT}.")
    contract = read_contract(folder, Path(trusted_key) if trusted_key else None)
    integrity.check(folder, contract["files"], UNLISTED, int(contract["bytes"]))
    # The contract cannot list its own hash. That of model.h5 covers a copy of it, and what that
    # copy lacks is checked here: so no byte of contract.json can change unseen either.
    inner = {name: value for name, value in contract.items() if name not in OUTSIDE_H5}
    if h5.read_contract(folder / H5) != canonical_json(inner):
        raise damaged(folder, CONTRACT, f"does not agree with {H5}")
    allow_list.check(folder, contract["files"])
    return Artifact(folder, contract)


def load_keras(folder: Path | str, *, trusted_key: Path | str | None = None) -> keras.Model:
    """Return the network of a model folder, uncompiled, after checking every hash and class.

    Its probabilities are the network's own: the temperature is applied by the SavedModel only.

    Raises:
        ArtifactDamaged: As ``load``.
        ModelRefused: As ``load``; or the H5 file holds what no network of the registry has.
    """
    return h5.read(load(folder, trusted_key=trusted_key).folder / H5)


def sign(folder: Path | str, key: Path | str) -> Path:
    """Sign a model folder and return the file of the signature; an earlier one is replaced.

    Args:
        folder: A model folder.
        key: A file with an Ed25519 private key, see ``signing.new_key``.

    Raises:
        ArtifactDamaged, ModelRefused: As ``load``: nothing is signed that would be refused.
        InputError: There is no such key.
    """
    artifact = load(folder)
    place = artifact.folder
    signed = signing.signature((place / CONTRACT).read_bytes(), Path(key))
    with files.replacing_folder(place) as new:
        shutil.copytree(place, new, dirs_exist_ok=True, symlinks=True)
        (new / signing.SIGNATURE).write_bytes(signed)
        _refuse_newer(place, artifact.contract)
    return place / signing.SIGNATURE


def write_card(folder: Path | str, text: str) -> dict[str, Any]:
    """Replace ``card.md`` and its hash together, and return the new contract.

    The model and its id stay as they are. A damaged folder is refused, never given new hashes. A
    signature would be that of another contract: it is dropped, so sign the folder again.

    Args:
        folder: A model folder.
        text: The new card, Markdown.

    Raises:
        ArtifactDamaged: As ``load``.
    """
    artifact = load(folder)
    with files.replacing_folder(artifact.folder) as new:
        unsigned = shutil.ignore_patterns(signing.SIGNATURE)
        shutil.copytree(artifact.folder, new, ignore=unsigned, dirs_exist_ok=True, symlinks=True)
        (new / CARD).write_text(text, "utf-8")
        whole = write_contract(new, artifact.contract)
        _refuse_newer(artifact.folder, artifact.contract)
    return whole


def _refuse_newer(folder: Path, contract: dict[str, Any]) -> None:
    """Raise InputError if another model took the place of the one that was read."""
    if read_contract(folder) != contract:
        raise InputError(
            f"Another process saved the model in {folder} anew meanwhile: it stays as it is. Run "
            "the same again."
        )


def _facts(
    model: keras.Model,
    class_names: Sequence[str],
    temperature: float,
    conformal: SetRule | None,
    novelty: NoveltyRule | None,
    preprocessing: Preprocessing,
) -> dict[str, Any]:
    """Return the part of the contract that a prediction depends on, beside the network itself.

    Raises:
        InputError: An entry is out of range, or does not fit the model.
    """
    image_size, num_classes = _shapes(model)
    if isinstance(class_names, str) or len(set(class_names)) != len(class_names):
        raise InputError(f"The labels {class_names!r} are not all different.")
    if len(class_names) != num_classes:
        raise InputError(
            f"Got {len(class_names)} labels for a model with {num_classes} outputs: expected one "
            "label for each output, in their order."
        )
    if not math.isfinite(temperature):
        raise InputError(f"temperature={temperature} is out of range: expected a finite number.")
    facts = {
        "class_names": list(class_names),
        "image_size": image_size,
        "preprocessing": asdict(preprocessing),
        "temperature": float(temperature),
        "conformal": asdict(conformal) if conformal else None,
        "novelty": asdict(novelty) if novelty else None,
    }
    check_facts(facts)
    return facts


def _shapes(model: keras.Model) -> tuple[int, int]:
    """Return S and C of a model (None, S, S, 3) → (None, C)."""
    shapes = (getattr(model, "input_shape", None), getattr(model, "output_shape", None))
    match shapes:
        case ((_, int(height), int(width), 3), (_, int(num_classes))) if height == width:
            return height, num_classes
    raise InputError(
        f"The model maps {shapes[0]} to {shapes[1]}: expected (None, S, S, 3) to (None, C)."
    )


def _model_id(model: keras.Model, facts: dict[str, Any]) -> str:
    """Return the SHA-256 that names a float32 model; ``save`` says what goes in."""
    network = {"architecture": model.get_config(), "weights": weights_digest(model)}
    return json_digest(facts | network)


def _refuse_foreign(folder: Path) -> None:
    """Refuse to replace what is not a model folder."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder} is not a folder: expected a new name or a model folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CONTRACT).is_file():
        raise InputError(
            f"{folder} holds something else than a model: expected a new name, an empty folder "
            "or an earlier model."
        )

"""``contract.json``: what a model folder says about itself, over the hashes of all its files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.config import InputError
from cnnlab.deploy import seal
from cnnlab.deploy.seal import damaged
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.novelty import NoveltyRule

CONTRACT = "contract.json"
FORMAT = 2  # counts up with every change of the contract's entries; others are refused
MAX_BYTES = 16 * 2**20


@dataclass(frozen=True)
class Artifact:
    """A model folder whose every file was found to be what the contract says.

    Attributes:
        folder: Where it is, absolute.
        contract: The content of ``contract.json``.
    """

    folder: Path
    contract: dict[str, Any]

    @property
    def class_names(self) -> list[str]:
        """The labels, in the order of the probabilities."""
        return list(self.contract["class_names"])

    @property
    def image_size(self) -> int:
        """S, pixels a side."""
        return int(self.contract["image_size"])

    @property
    def temperature(self) -> float:
        """T of softmax(log p / T), which the SavedModel applies and ``model.h5`` does not."""
        return float(self.contract["temperature"])

    @property
    def conformal(self) -> SetRule | None:
        """Which classes are plausible; None if that was not calibrated."""
        rule = self.contract["conformal"]
        return SetRule(**rule) if rule else None

    @property
    def novelty(self) -> NoveltyRule | None:
        """When an image shows none of the classes; None if that was not calibrated."""
        rule = self.contract["novelty"]
        return NoveltyRule(**rule) if rule else None

    @property
    def model_id(self) -> str:
        """The model's identity, hexadecimal; see ``artifact.save``."""
        return str(self.contract["model_id"])

    @property
    def run_id(self) -> str:
        """The run that trained it."""
        return str(self.contract["run_id"])


def seal_contract(folder: Path, contract: dict[str, Any]) -> dict[str, Any]:
    """Write the contract over all files of a new folder, and return it."""
    files = seal.hashes(folder, CONTRACT)
    sealed = contract | {"files": files, "bytes": seal.total_bytes(folder, files)}
    (folder / CONTRACT).write_text(as_json(sealed, indent=2) + "\n", "utf-8")
    return sealed


def read_contract(folder: Path) -> dict[str, Any]:
    """Return the contract, which must be written exactly as ``seal_contract`` writes it."""
    with seal.open_regular(folder, CONTRACT) as file:
        content = file.read(MAX_BYTES)
    try:
        contract = json.loads(content)
        number = contract["format"]
        # Catches what JSON itself would let pass: another spacing, a key given twice.
        same = (as_json(contract, indent=2) + "\n").encode() == content
    except (KeyError, TypeError, ValueError, RecursionError):
        raise damaged(folder, CONTRACT, "was changed") from None
    if number != FORMAT:
        raise InputError(
            f"The model in {folder} has format {number!r}: expected {FORMAT}. "
            "Use the version of cnnlab that wrote it, or save the model again."
        )
    if not same or not isinstance(contract.get("files"), dict):
        raise damaged(folder, CONTRACT, "was changed")
    return contract


def as_json(value: Any, indent: int | None = None) -> str:
    """Return JSON that is the same text for equal values."""
    return json.dumps(value, sort_keys=True, indent=indent, allow_nan=False)

"""What the contract of a checked model folder says, typed; format 2 reads as format 3 does."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.artifact.contract import CONTRACT
from cnnlab.artifact.integrity import ModelRefused
from cnnlab.config import InputError
from cnnlab.evaluation import conformal, ood_detection
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.images import Preprocessing


@dataclass(frozen=True)
class Check:
    """What was measured when a format was made.

    Attributes:
        limit: The largest value allowed, a tolerance or a budget.
        measured: The value found, against the model itself.
        images: How many images it was measured on.
    """

    limit: float
    measured: float
    images: int


@dataclass(frozen=True)
class Artifact:
    """A model folder whose every file was found to be what the contract says.

    Attributes:
        folder: Where it is, absolute.
        contract: The content of ``contract.json``, as ``contract.parse`` returns it.
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
    def preprocessing(self) -> Preprocessing:
        """How the bytes of an image become pixels; ``prepare`` of the SavedModel does it."""
        stated = self.contract.get("preprocessing")
        if stated is None:  # format 2 knew one way only
            return Preprocessing(int(self.contract["preprocessing_version"]))
        return Preprocessing(int(stated["version"]), stated["fit"], stated["background"])

    @property
    def temperature(self) -> float:
        """T of softmax(log p / T), which the SavedModel applies and ``model.h5`` does not."""
        return float(self.contract["temperature"])

    @property
    def conformal(self) -> SetRule | None:
        """Which classes are plausible; None if that was not calibrated."""
        return _set_rule(self.contract["conformal"])

    @property
    def novelty(self) -> NoveltyRule | None:
        """When an image shows none of the classes; None if that was not calibrated."""
        return _novelty_rule(self.contract["novelty"])

    @property
    def model_id(self) -> str:
        """The model's identity, hexadecimal; see ``model_folder.save``."""
        return str(self.contract["model_id"])

    @property
    def run_id(self) -> str:
        """The run that trained it."""
        return str(self.contract["run_id"])

    @property
    def formats(self) -> dict[str, "Format"]:
        """What the model was converted to, by name; see ``Format``."""
        entries = self.contract.get("formats", {})
        return {name: Format(self, name, entry) for name, entry in entries.items()}

    def format(self, name: str) -> "Format":
        """Return one of ``formats``.

        Raises:
            InputError: The folder has no such format.
        """
        found = self.formats
        if name not in found:
            raise InputError(
                f"The model in {self.folder} has no format {name!r}: "
                f"{CONTRACT} lists {', '.join(sorted(found)) or 'none'}."
            )
        return found[name]


@dataclass(frozen=True)
class Format:
    """A quantized or converted form of a model, an entry of ``formats`` in its contract.

    It takes the model's pixels and gives probabilities of its labels, temperature applied. What
    it does not state itself is as in the model. Whoever does not know a name ignores the entry.

    Attributes:
        model: The model folder.
        name: Lower-case letters, digits and underscores: ``onnx``, ``openvino_int8``.
        entry: What stands in the contract.
    """

    model: Artifact
    name: str
    entry: dict[str, Any]

    @property
    def id(self) -> str:
        """The identity of its predictions, hexadecimal, as ``model_id`` is of the model's."""
        return str(self.entry["id"])

    @property
    def paths(self) -> list[Path]:
        """Its files, sorted by name."""
        return [self.model.folder / name for name in sorted(self.entry["files"])]

    @property
    def checks(self) -> dict[str, Check]:
        """What was measured against the model itself, by the name of the measure."""
        return {
            name: Check(float(each["limit"]), float(each["measured"]), int(each["images"]))
            for name, each in self.entry["checks"].items()
        }

    @property
    def temperature(self) -> float:
        """T of softmax(log p / T), applied inside its files."""
        return float(self.entry.get("temperature", self.model.temperature))

    @property
    def conformal(self) -> SetRule | None:
        """Which classes are plausible; None if that was not calibrated."""
        if "conformal" not in self.entry:
            return self.model.conformal
        return _set_rule(self.entry["conformal"])

    @property
    def novelty(self) -> NoveltyRule | None:
        """When an image shows none of the classes; None if that was not calibrated."""
        if "novelty" not in self.entry:
            return self.model.novelty
        return _novelty_rule(self.entry["novelty"])

    @property
    def details(self) -> dict[str, Any]:
        """What only readers of this format understand, for example an ONNX opset."""
        return dict(self.entry.get("details", {}))


def _set_rule(stated: dict[str, Any] | None) -> SetRule | None:
    """Return the conformal rule of a checked contract."""
    if stated is None:
        return None
    _require_score(stated, conformal.SCORE)
    rows = int(stated["calibrated_on"])
    return SetRule(float(stated["coverage"]), float(stated["threshold"]), rows)


def _novelty_rule(stated: dict[str, Any] | None) -> NoveltyRule | None:
    """Return the novelty rule of a checked contract."""
    if stated is None:
        return None
    _require_score(stated, ood_detection.SCORE)
    rows = int(stated["calibrated_on"])
    return NoveltyRule(float(stated["accepted"]), float(stated["threshold"]), rows)


def _require_score(stated: dict[str, Any], known: str) -> None:
    """Refuse a rule by another score, which the schema lets pass in ``formats`` only."""
    found = stated.get("score", known)  # format 2 names no conformal score
    if found != known:
        raise ModelRefused(
            "unsupported_contract",
            f"The rule goes by the score {found!r}: expected {known!r}. "
            "Use the version of cnnlab that wrote it.",
        )

"""A classifier: a trained network with the rules fitted on its validation images."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.artifact import model_folder
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.evaluation.records import Calibration, ValidationResult
from cnnlab.experiment.predictions import Predictions
from cnnlab.images import Preprocessing
from cnnlab.training import Fit


@dataclass(frozen=True, eq=False)
class Validation:
    """The images that chose the epoch and gave the rules: what was answered, and its figures."""

    predictions: Predictions
    result: ValidationResult


@dataclass(frozen=True, eq=False)
class Classifier:
    """A network that can be tested, saved and served.

    Attributes:
        model: float32 (B, S, S, 3) in 0…255 → softmax (B, C), without the temperature.
        class_names: The C labels, in the order of the outputs.
        rules: Temperature, prediction sets and *none of these*.
        preprocessing: How the bytes of an image become the pixels that it takes.
        model_id: Names all that an answer depends on, see ``model_folder.save``.
        history: What its training did; None of one that was loaded.
        validation: The same.
    """

    model: keras.Model
    class_names: tuple[str, ...]
    rules: Calibration
    preprocessing: Preprocessing
    model_id: str
    history: Fit | None = None
    validation: Validation | None = None

    def save(self, folder: Path, *, run_id: str, card: str) -> dict[str, Any]:
        """Write a model folder, see ``model_folder.save``, and return its contract."""
        return model_folder.save(
            self.model,
            folder,
            class_names=self.class_names,
            run_id=run_id,
            card=card,
            **_stated(self.rules, self.preprocessing),
        )


def identified(
    model: keras.Model,
    class_names: tuple[str, ...],
    rules: Calibration,
    preprocessing: Preprocessing,
    validation: Validation,
) -> Classifier:
    """Return a new classifier, its ``model_id`` computed."""
    stated = _stated(rules, preprocessing)
    model_id = model_folder.identity(model, class_names=class_names, **stated)
    return Classifier(model, class_names, rules, preprocessing, model_id, validation=validation)


def load(folder: Path) -> Classifier:
    """Return the classifier in a model folder, every file checked; in any process.

    Raises:
        InputError: There is no such folder, or it was saved without rules.
        ArtifactDamaged: A file is not what the contract says.
    """
    found = model_folder.load(folder)
    if found.conformal is None or found.novelty is None:
        raise InputError(
            f"The model in {folder} has no rule for prediction sets or for 'none of these': "
            "expected one that a run has saved."
        )
    rules = Calibration(found.temperature, found.conformal, found.novelty)
    model = model_folder.load_keras(folder)
    return Classifier(model, tuple(found.class_names), rules, found.preprocessing, found.model_id)


def _stated(rules: Calibration, preprocessing: Preprocessing) -> dict[str, Any]:
    """Return the rules and the preprocessing as a model folder names them."""
    return {
        "preprocessing": preprocessing,
        "temperature": rules.temperature,
        "conformal": rules.sets,
        "novelty": rules.none_of_these,
    }

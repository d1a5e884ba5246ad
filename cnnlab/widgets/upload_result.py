"""What became of one uploaded file: its prediction, or why there is none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from cnnlab.config import InputError
from cnnlab.images import Preprocessing, too_many_bytes
from cnnlab.widgets import pictures

# What the page sends instead of a file: see page/upload.js.
_NOT_SENT = re.compile(r"application/x-not-sent;bytes=(\d+)")
_UNREADABLE = "application/x-unreadable"


class Prediction(Protocol):
    """What the app reads of a prediction, such as ``serving.predictor.Prediction``."""

    @property
    def top(self) -> Any:
        """(label, probability) pairs, the most probable first."""

    @property
    def plausible(self) -> Any:
        """The labels that it may well be, best first; empty if that is not known."""

    @property
    def none_of_these(self) -> bool | None:
        """Whether it is likely none of the classes; None if that is not known."""

    @property
    def cached(self) -> bool:
        """Whether it came from the cache."""

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds from the bytes to the prediction."""


class Predicts(Protocol):
    """What the app needs of a predictor, such as ``serving.predictor.Predictor``."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How the bytes of an image become what the network sees."""

    def predict(self, image_bytes: bytes) -> Prediction:
        """Return the prediction for the bytes of an image file."""

    def pixels(self, image_bytes: bytes) -> np.ndarray:
        """Return what the network sees: uint8 (S, S, 3)."""


@dataclass(frozen=True)
class UploadResult:
    """A file's name with its prediction, or with the reason that there is none.

    Attributes:
        name: The file's name, as the browser gave it.
        prediction: None if the file was refused.
        error: Why the file was refused; empty if it was not.
    """

    name: str
    prediction: Prediction | None = None
    error: str = ""


@dataclass(frozen=True, eq=False)
class View:
    """What there is to see of a predicted file.

    Attributes:
        photo: The picture, small and upright.
        pixels: What the network sees, uint8 (S, S, 3).
        evidence: The heatmaps made so far: method → data URL, or why there is none.
    """

    photo: pictures.Photo
    pixels: np.ndarray
    evidence: dict[str, str] = field(default_factory=dict)


def predict_upload(
    predictor: Predicts, file: Mapping[str, Any]
) -> tuple[UploadResult, View | None]:
    """Return the result for one uploaded file, and what there is to see; no content of it raises.

    Args:
        predictor: Predicts from the bytes of an image file.
        file: An entry of ``ipywidgets.FileUpload.value``: name, type, content.
    """
    name, kind, image_bytes = str(file["name"]), str(file["type"]), bytes(file["content"])
    try:
        if kind == _UNREADABLE:
            raise InputError("The browser cannot read it: expected a file, not a folder.")
        if sizes := _NOT_SENT.fullmatch(kind):
            raise too_many_bytes(int(sizes[1]))
        prediction = predictor.predict(image_bytes)
        photo = pictures.photo(image_bytes, predictor.preprocessing)
        view = View(photo, predictor.pixels(image_bytes))
        return UploadResult(name, prediction), view
    except InputError as error:
        return UploadResult(name, error=str(getattr(error, "message", error))), None
    except Exception as error:  # one file must not take the others or the app with it
        return UploadResult(name, error=f"Unexpected {type(error).__name__}: {error}"), None

"""A predictor that computes nothing and counts, and what a browser would send."""

import io
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from cnnlab import images
from cnnlab.config import InputError

SIZE = 8


class RefusedError(InputError):
    """Stands for the validation's refusal."""

    message = "0 bytes came <here>: expected an image."


class FakePredictor:
    """Remembers what it has seen, refuses the empty file, fails on ``bug``, doubts ``strange``."""

    def __init__(self, preprocessing: images.Preprocessing = images.STANDARD) -> None:
        self.preprocessing = preprocessing
        self.asked: Counter[bytes] = Counter()

    def predict(self, image_bytes: bytes) -> SimpleNamespace:
        if not image_bytes:
            raise RefusedError("long text for the log")
        if image_bytes == b"bug":
            raise ZeroDivisionError("division by zero")
        self.asked[image_bytes] += 1
        strange = image_bytes.endswith(b"strange")
        return SimpleNamespace(
            top=(("cat & dog", 0.875), ("mouse", 0.125)),
            plausible=("cat & dog", "mouse") if strange else (),
            none_of_these=True if strange else None,
            cached=self.asked[image_bytes] > 1,
            elapsed_ms=0.0625 if self.asked[image_bytes] > 1 else 12.5,
        )

    def pixels(self, image_bytes: bytes) -> np.ndarray:
        return np.full((SIZE, SIZE, 3), len(image_bytes) % 256, np.uint8)


def _picture(colour: str = "navy", size: tuple[int, int] = (20, 10), orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    target = io.BytesIO()
    Image.new("RGB", size, colour).save(target, "JPEG", exif=exif)
    return target.getvalue()


def _file(name: str, content: bytes, kind: str = "image/jpeg") -> dict:
    return {
        "name": name,
        "type": kind,
        "size": len(content),
        "content": memoryview(content),
        "last_modified": datetime(2020, 1, 1, tzinfo=UTC),
    }


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture(scope="session")
def picture():
    """Return a maker of JPEG files of one colour."""
    return _picture


@pytest.fixture(scope="session")
def upload():
    """Return a maker of entries of ``FileUpload.value``."""
    return _file

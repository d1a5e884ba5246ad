"""Makes what the Go tests of the backend compare with: two model folders, images, answers."""

import io
import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from cnnlab.deploy import artifact
from cnnlab.deploy.predict import Predictor
from cnnlab.engine import keras
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.novelty import NoveltyRule

CLASS_NAMES = ["zebra", '<b>ant</b> & "é"', "鼠 🐭", "d\u2028", "e", "f"]  # more than are listed
SIZE = 16


def network(seed: int) -> keras.Model:
    """Return an untrained network whose answers differ from image to image."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, kernel_initializer=keras.initializers.GlorotUniform(seed)),
            layers.Flatten(),
            layers.Dense(
                len(CLASS_NAMES), "softmax", kernel_initializer=keras.initializers.HeNormal(seed)
            ),
        ]
    )


def pictures() -> dict[str, bytes]:
    """Return images by name: formats, orientations and kinds of pixels."""
    draw = np.random.default_rng(7)
    contents = {"broken.jpg": b"\xff\xd8\xff\xe0nothing", "text.png": b"<html>", "empty.png": b""}
    for number, mode in enumerate(("RGB", "L", "CMYK", "RGB", "RGBA", "P")):
        kind = "JPEG" if number < 4 else "PNG"
        channels = {"L": 1, "P": 1, "CMYK": 4, "RGBA": 4}.get(mode, 3)
        pixels = draw.integers(0, 256, (20 + number, 30, channels), dtype=np.uint8)
        image = Image.frombytes(
            "L" if mode == "P" else mode, (pixels.shape[1], pixels.shape[0]), pixels.tobytes()
        )
        if mode == "P":
            image = image.convert("P")
        exif = Image.Exif()
        exif[0x0112] = 6 if number == 3 else 1
        stream = io.BytesIO()
        image.save(stream, kind, **({"exif": exif} if kind == "JPEG" else {}))
        contents[f"{number}-{mode}.{kind.lower()}"] = stream.getvalue()
    cut = contents["0-RGB.jpeg"]
    contents["cut.jpg"] = cut[: len(cut) // 2] + b"\xff\xd9"
    return contents


def main(folder: Path) -> None:
    """Fill a folder: model/, other/, images/ and answers.json."""
    images = folder / "images"
    images.mkdir()
    rules = {
        "conformal": SetRule(coverage=0.9, threshold=0.15, calibrated_on=50),
        "novelty": NoveltyRule(accepted=0.9, threshold=0.3, calibrated_on=50),
    }
    for name, seed, chosen in (("model", 1, rules), ("other", 2, {})):
        artifact.save(
            network(seed),
            folder / name,
            class_names=CLASS_NAMES,
            run_id=f"run {name}",
            card="# Card\n",
            temperature=1.5,
            **chosen,
        )
    answers: dict[str, dict[str, object]] = {"model": {}, "other": {}}
    for model, found in answers.items():
        predictor = Predictor(folder / model)
        for name, content in pictures().items():
            (images / name).write_bytes(content)
            (answer,) = predictor.predict_many([content])
            found[name] = getattr(answer, "code", None) or answer.to_json()
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

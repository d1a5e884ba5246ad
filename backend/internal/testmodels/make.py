"""Makes what the Go tests of the backend compare with: three model folders, images, answers."""

import io
import json
import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from cnnlab.artifact import contract, h5, model_folder
from cnnlab.engine import keras
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.hashing import canonical_json
from cnnlab.serving.predictor import Predictor

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


def as_format_2(folder: Path) -> None:
    """Turn a model folder into what the versions before format 3 wrote of the same model."""
    stated = contract.read_contract(folder)
    stated["preprocessing_version"] = stated.pop("preprocessing")["version"]
    if stated["conformal"]:
        del stated["conformal"]["score"]
    for name in ("files", "bytes", "formats"):
        del stated[name]
    stated["format"] = 2
    with h5py.File(folder / model_folder.H5, "r+") as file:
        file.attrs[h5.ATTRIBUTE] = canonical_json(stated)
    contract.write_contract(folder, stated)


def main(folder: Path) -> None:
    """Fill a folder: model/, other/, earlier/ (the first in format 2), images/ and answers.json."""
    images = folder / "images"
    images.mkdir()
    rules = {
        "conformal": SetRule(coverage=0.9, threshold=0.15, calibrated_on=50),
        "novelty": NoveltyRule(accepted=0.9, threshold=0.3, calibrated_on=50),
    }
    for name, seed, chosen in (("model", 1, rules), ("other", 2, {})):
        model_folder.save(
            network(seed),
            folder / name,
            class_names=CLASS_NAMES,
            run_id=f"run {name}",
            card="# Card\n",
            temperature=1.5,
            **chosen,
        )
    as_format_2(Path(shutil.copytree(folder / "model", folder / "earlier")))
    answers: dict[str, dict[str, object]] = {"model": {}, "other": {}, "earlier": {}}
    for model, found in answers.items():
        predictor = Predictor(folder / model)
        for name, content in pictures().items():
            (images / name).write_bytes(content)
            (answer,) = predictor.predict_many([content])
            found[name] = getattr(answer, "code", None) or answer.to_json()
    (folder / "answers.json").write_text(json.dumps(answers), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

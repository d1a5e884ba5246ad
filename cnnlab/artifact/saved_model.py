"""The SavedModel: three signatures that any TensorFlow runtime can serve, weights stored once.

``prepare``, ``predict`` and ``predict_bytes`` hold the decoder, the resizer, the network and the
temperature in one graph, so a server in another language gives this program's own predictions.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from cnnlab import images
from cnnlab.artifact import allow_list, h5
from cnnlab.config import InputError
from cnnlab.engine import keras, tf

COMPARED_BATCH = 32  # bounds the memory of the fresh process
FRESH_PROCESS_SECONDS = 600


def tempered(probabilities: tf.Tensor, temperature: float) -> tf.Tensor:
    """Return softmax(log p / T): float32 (B, C); the input itself at T = 1.

    Args:
        probabilities: float32 (B, C), rows sum to one.
        temperature: T > 0; above one, predictions become less certain. The order never changes.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 9: log p is the
        logits up to a constant per row, which the softmax ignores.
    """
    if temperature == 1:
        return probabilities
    return tf.nn.softmax(tf.math.log(probabilities) / temperature)  # log 0 = -inf gives 0 again


def export(
    model: keras.Model,
    folder: Path | str,
    image_size: int,
    temperature: float,
    preprocessing: images.Preprocessing = images.STANDARD,
) -> None:
    """Write a SavedModel with the signatures ``prepare``, ``predict`` and ``predict_bytes``.

    - ``prepare``: image_bytes string () → pixels uint8 (S, S, 3)
    - ``predict``: pixels uint8 (B, S, S, 3) → probabilities float32 (B, C)
    - ``predict_bytes``: image_bytes string (B,) → probabilities float32 (B, C)

    An empty batch gives probabilities of shape (0, C). The bytes are JPEG or PNG; one image that
    cannot be decoded fails its whole batch, so callers decode one by one and batch the pixels.

    Args:
        model: float32 Keras model, (B, S, S, 3) in 0…255 → softmax (B, C).
        folder: Where to write; made if missing.
        image_size: S, pixels a side.
        temperature: Applied to the probabilities inside the graph; see ``tempered``.
        preprocessing: How the bytes become pixels.
    """
    image = tf.TensorSpec((image_size, image_size, 3), tf.uint8)
    num_classes = int(model.output_shape[-1])

    def answer(pixels: tf.Tensor) -> tf.Tensor:
        return tempered(model(tf.cast(pixels, tf.float32), training=False), temperature)

    def answer_batch(pixels: tf.Tensor) -> tf.Tensor:
        # Convolutions refuse an empty batch on some devices: it never reaches the network.
        probabilities = tf.cond(
            tf.shape(pixels)[0] > 0,
            lambda: answer(pixels),
            lambda: tf.zeros((0, num_classes), tf.float32),
        )
        return tf.ensure_shape(probabilities, (None, num_classes))

    @tf.function(input_signature=[tf.TensorSpec((), tf.string, name="image_bytes")])
    def prepare(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"pixels": images.prepare(image_bytes, image_size, preprocessing)}

    @tf.function(input_signature=[tf.TensorSpec((None, *image.shape), tf.uint8, name="pixels")])
    def predict(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"probabilities": answer_batch(pixels)}

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")])
    def predict_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = tf.map_fn(
            lambda one: images.prepare(one, image_size, preprocessing),
            image_bytes,
            fn_output_signature=image,
        )  # (B, S, S, 3)
        return {"probabilities": answer_batch(pixels)}

    # A bare tf.Module tracks each variable once; Keras' own exporter writes every weight twice.
    module = tf.Module()
    module.weights = [variable.value for variable in model.variables]
    signatures = {"prepare": prepare, "predict": predict, "predict_bytes": predict_bytes}
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.WARNING)  # its note of the folder would stand red in a notebook
    try:
        tf.saved_model.save(module, str(folder), signatures=signatures)
    finally:
        logger.setLevel(level)


def fresh_process_difference(
    folder: Path | str, pixels: np.ndarray, probabilities: np.ndarray
) -> float:
    """Return how far the files on disk are from answers given before, judged by a new process.

    Exporters report success on files that do not load; only another process can tell.

    Args:
        folder: An artifact folder, as ``model_folder.save`` writes it.
        pixels: uint8 (B, S, S, 3), RGB, 0…255, B ≥ 1.
        probabilities: float32 (B, C): the answers to expect, temperature applied.

    Returns:
        The largest absolute difference of any probability, over ``model.h5`` and
        ``saved_model/``; infinity where an answer is not finite or has another shape.

    Raises:
        InputError: There are no images, or the two arrays differ in length.
        RuntimeError: The new process failed to load or to run the files.
    """
    if len(pixels) == 0 or len(pixels) != len(probabilities):
        raise InputError(
            f"Got {len(pixels)} images and {len(probabilities)} rows of probabilities: expected "
            "as many of one as of the other, and at least one."
        )
    package = str(Path(__file__).resolve().parents[2])
    code = "import sys; from cnnlab.artifact import saved_model; saved_model._answer(*sys.argv[1:])"
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    }
    with tempfile.TemporaryDirectory() as scratch:
        questions, answers = Path(scratch, "pixels.npz"), Path(scratch, "answers.npz")
        np.savez(questions, pixels=pixels)
        done = subprocess.run(
            [sys.executable, "-c", code, str(folder), str(questions), str(answers)],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=FRESH_PROCESS_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"A new process cannot use the model in {folder}: {reason}")
        with np.load(answers, allow_pickle=False) as found:
            return max(_difference(found[name], probabilities) for name in ("h5", "saved_model"))


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest absolute difference, infinity where the two cannot be compared."""
    if found.shape != expected.shape:
        return float("inf")
    largest = float(np.abs(found.astype("float64") - expected).max())
    return largest if np.isfinite(largest) else float("inf")


def _answer(folder: str, questions: str, answers: str) -> None:
    """Run both files of an artifact on stored pixels; the body of the fresh process."""
    with np.load(questions, allow_pickle=False) as stored:
        pixels = stored["pixels"]
    contract = json.loads(Path(folder, "contract.json").read_text("utf-8"))
    model = h5.read(Path(folder, "model.h5"))
    allow_list.check_graph(Path(folder, allow_list.GRAPH).read_bytes())
    graph = tf.saved_model.load(str(Path(folder, "saved_model")))
    predict = graph.signatures["predict"]
    from_h5, from_graph = [], []
    for start in range(0, len(pixels), COMPARED_BATCH):
        batch = tf.constant(pixels[start : start + COMPARED_BATCH])
        plain = model(tf.cast(batch, tf.float32), training=False)
        from_h5.append(tempered(plain, contract["temperature"]).numpy())
        from_graph.append(predict(pixels=batch)["probabilities"].numpy())
    np.savez(answers, h5=np.concatenate(from_h5), saved_model=np.concatenate(from_graph))

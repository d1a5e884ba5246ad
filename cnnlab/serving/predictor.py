"""From the bytes of an image to a label: the one predictor of notebook, command line and app."""

from collections.abc import Iterable
from pathlib import Path
from time import perf_counter

import numpy as np

from cnnlab import images
from cnnlab.artifact import model_folder
from cnnlab.config import InputError
from cnnlab.images import ImageRejected
from cnnlab.serving.cache import DISK_BYTES, Cache, key
from cnnlab.serving.graph import Graph
from cnnlab.serving.prediction import Prediction
from cnnlab.serving.single_flight import SingleFlight

BATCH_SIZE = 32  # images a step of predict_many: bounds its memory
CACHE_BYTES = 64 * 2**20

__all__ = ["Prediction", "Predictor"]


class Predictor:
    """Predicts with the SavedModel of a model folder.

    The folder's hashes are checked first and one prediction is made, so the first request is as
    fast as the next. Any number of threads may share a predictor; the same image requested by
    many at once is run once.

    A result of ``predict_many`` may differ from ``predict``'s in the last bits (below 1e-6),
    as sums are ordered by batch size; the cache keeps whichever came first.

    Args:
        folder: A model folder, as ``model_folder.save`` writes it.
        cache_bytes: Bound of the predictions cached in memory; 0 caches none.
        cache_folder: Where predictions are also cached on disk, shared with other processes.
        disk_bytes: Bound of that folder; see ``Cache``.
        trusted_key: A file with an Ed25519 public key: only models that its owner signed are used.

    Raises:
        ArtifactDamaged: A file is missing, changed or was added, or the graph does not predict.
        ModelRefused: See ``model_folder.load``.
        InputError: There is no model, or the cache folder cannot be made.

    Example:
        >>> predictor = Predictor("reports/lab/model")                       # doctest: +SKIP
        >>> predictor.predict(images.read_file("photo.jpg")).label           # doctest: +SKIP
        'disc'
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        cache_bytes: int = CACHE_BYTES,
        cache_folder: Path | str | None = None,
        disk_bytes: int = DISK_BYTES,
        trusted_key: Path | str | None = None,
    ) -> None:
        self.artifact = model_folder.load(folder, trusted_key=trusted_key)
        self.cache = Cache(cache_bytes, cache_folder, disk_bytes)
        self._flights: SingleFlight[np.ndarray | ImageRejected] = SingleFlight()
        self._set_rule, self._ood_rule = self.artifact.conformal, self.artifact.novelty
        self._graph = Graph(self.artifact)

    @property
    def class_names(self) -> list[str]:
        """The labels, in the order of the probabilities."""
        return self.artifact.class_names

    @property
    def image_size(self) -> int:
        """S, pixels a side of what the network sees."""
        return self.artifact.image_size

    @property
    def preprocessing(self) -> images.Preprocessing:
        """How the bytes of an image become what the network sees."""
        return self.artifact.preprocessing

    @property
    def model_id(self) -> str:
        """The model's identity, hexadecimal."""
        return self.artifact.model_id

    def pixels(self, image_bytes: bytes) -> np.ndarray:
        """Return what the network sees of an image: uint8 (S, S, 3), RGB, upright.

        Args:
            image_bytes: The content of an image file, in any format ``images.transcode`` takes.

        Raises:
            InputError: It is not bytes.
            ImageRejected: The image is refused; ``.code`` says why.
        """
        _require_bytes(image_bytes)
        return self._graph.pixels(images.transcode(image_bytes))

    def predict(self, image_bytes: bytes, top: int = 5) -> Prediction:
        """Return the prediction for one image.

        Args:
            image_bytes: The content of an image file.
            top: How many classes to list, at least 1; at most all of them are.

        Raises:
            InputError: It is not bytes, or ``top`` is below 1.
            ImageRejected: The image is refused; ``.code`` says why.
        """
        prediction = self.predict_many([image_bytes], top)[0]
        if isinstance(prediction, ImageRejected):
            raise prediction
        return prediction

    def predict_many(
        self, images_bytes: Iterable[bytes], top: int = 5
    ) -> list[Prediction | ImageRejected]:
        """Return a prediction for each image, in order; a bad image spoils only its own.

        Every image is decoded alone, then the pixels run in batches. The same bytes given twice
        are run once.

        Args:
            images_bytes: The contents of image files.
            top: How many classes to list, at least 1.

        Returns:
            A ``Prediction`` for each image, or the ``ImageRejected`` that says what is wrong.

        Raises:
            InputError: One of them is not bytes, or ``top`` is below 1.
        """
        if top < 1:
            raise InputError(f"top={top} lists no class: expected 1 or more.")
        contents = list(images_bytes)
        for content in contents:
            _require_bytes(content)
        predictions: list[Prediction | ImageRejected] = []
        for start in range(0, len(contents), BATCH_SIZE):
            predictions += self._predict_batch(contents[start : start + BATCH_SIZE], top)
        return predictions

    def _predict_batch(self, contents: list[bytes], top: int) -> list[Prediction | ImageRejected]:
        """Return the predictions for one batch of images."""
        started = perf_counter()
        names = [key(content, self.model_id) for content in contents]
        found: dict[str, np.ndarray | ImageRejected] = {}
        fresh: dict[str, bytes] = {}  # what the cache does not hold
        for name, content in zip(names, contents, strict=True):
            if name in found or name in fresh:
                continue
            stored = self.cache.get(name)
            if stored is None:
                fresh[name] = content
            else:
                found[name] = stored
        if fresh:
            found |= self._flights.run(fresh, lambda own: self._run({n: fresh[n] for n in own}))
        return [self._result(name, found[name], name not in fresh, top, started) for name in names]

    def _run(self, contents: dict[str, bytes]) -> dict[str, np.ndarray | ImageRejected]:
        """Run the network on images that no other thread is running it on."""
        started = perf_counter()
        found: dict[str, np.ndarray | ImageRejected] = {}
        for name in contents:
            stored = self.cache.peek(name)  # another thread may just have been done
            if stored is not None:
                found[name] = stored
        new = self._compute({name: contents[name] for name in contents if name not in found})
        elapsed_ms = (perf_counter() - started) * 1e3 / len(contents)
        for name, result in new.items():
            if isinstance(result, np.ndarray):
                self.cache.put(name, result, elapsed_ms)
        return found | new

    def _compute(self, contents: dict[str, bytes]) -> dict[str, np.ndarray | ImageRejected]:
        """Run the graph; each image is decoded alone, so that a bad one spoils no other."""
        found: dict[str, np.ndarray | ImageRejected] = {}
        pixels: dict[str, np.ndarray] = {}
        for name, content in contents.items():
            try:
                transcoded = images.transcode(content)
                if len(contents) == 1:
                    found[name] = self._graph.predict(transcoded)
                else:
                    pixels[name] = self._graph.pixels(transcoded)
            except ImageRejected as rejected:
                found[name] = rejected
        if pixels:
            rows = self._graph.probabilities(np.stack(list(pixels.values())))
            found |= zip(pixels, rows, strict=True)
        return found

    def _result(
        self,
        name: str,
        found: np.ndarray | ImageRejected,
        cached: bool,
        top: int,
        started: float,
    ) -> Prediction | ImageRejected:
        """Return the prediction that a row of probabilities means."""
        if isinstance(found, ImageRejected):
            return found
        values = found.tolist()  # float32 widened to float64, as both rules demand
        order = np.argsort(-found, kind="stable").tolist()
        labels = self.class_names
        listed = tuple((labels[index], values[index]) for index in order[:top])
        plausible, none_of_these = self._doubts(values, order)
        sha256 = name.partition("-")[0]
        elapsed_ms = round((perf_counter() - started) * 1e3, 3)
        return Prediction(
            *listed[0], listed, plausible, none_of_these, cached, sha256, self.model_id, elapsed_ms
        )

    def _doubts(self, values: list[float], order: list[int]) -> tuple[tuple[str, ...], bool | None]:
        """Return the plausible labels, best first, and whether it is likely none of them.

        These are ``conformal.sets`` and ``ood_detection.flagged`` for one image, without the checks
        and arrays that would cost more than the rest of the prediction.
        """
        plausible: tuple[str, ...] = ()
        none_of_these: bool | None = None
        if self._set_rule:
            threshold = self._set_rule.threshold
            labels = self.class_names
            others = (index for index in order[1:] if values[index] >= threshold)
            plausible = (labels[order[0]], *(labels[index] for index in others))
        if self._ood_rule:
            none_of_these = values[order[0]] < self._ood_rule.threshold
        return plausible, none_of_these


def _require_bytes(image_bytes: bytes) -> None:
    """Refuse anything but bytes."""
    if not isinstance(image_bytes, bytes):
        raise InputError(
            f"Got {type(image_bytes).__name__}: expected the bytes of an image file. "
            "Read a file with cnnlab.images.read_file(path)."
        )

"""The SavedModel of an artifact, loaded, warm and tried once."""

import numpy as np

from cnnlab.artifact.model_folder import Artifact, ArtifactDamaged
from cnnlab.engine import tf
from cnnlab.images import ImageRejected


class Graph:
    """Runs the signatures ``prepare`` and ``predict``; any number of threads may.

    Made, it has answered for one grey image: the first request is as fast as the next, and a
    graph that does not fit its contract is found at once.

    Args:
        artifact: A checked model folder.

    Raises:
        ArtifactDamaged: The graph does not answer as the contract says.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._folder = artifact.folder
        try:
            self._open()
            self._check_golden(artifact)
        except ArtifactDamaged:
            raise
        except Exception as error:  # TensorFlow's, which has one for every kind of damage
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ArtifactDamaged(
                f"The graph in {self._folder} cannot be run ({reason[:200]}): save the model again."
            ) from error

    def _open(self) -> None:
        """Load the graph and find its signatures."""
        self._loaded = tf.saved_model.load(str(self._folder / "saved_model"))
        self._prepare = self._loaded.signatures["prepare"]
        self._predict = self._loaded.signatures["predict"]
        self._both_steps = tf.function(
            self._both, input_signature=[tf.TensorSpec((), tf.string)]
        ).get_concrete_function()

    def pixels(self, transcoded: bytes) -> np.ndarray:
        """Return what the network sees of an image: uint8 (S, S, 3), RGB, upright.

        Args:
            transcoded: JPEG or PNG, as ``images.transcode`` gives it.

        Raises:
            ImageRejected: ``corrupt``: it cannot be decoded.
        """
        try:
            return self._prepare(image_bytes=tf.constant(transcoded))["pixels"].numpy()
        except tf.errors.InvalidArgumentError as error:
            raise _corrupt() from error

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return the probabilities of images: uint8 (B, S, S, 3) → float32 (B, C).

        Raises:
            ArtifactDamaged: The weights give no numbers.
        """
        return self._checked(self._predict(pixels=tf.constant(pixels))["probabilities"].numpy())

    def predict(self, transcoded: bytes) -> np.ndarray:
        """Return the probabilities of one image: those of both steps, in one call.

        Args:
            transcoded: JPEG or PNG, as ``images.transcode`` gives it.

        Returns:
            float32 (C,).

        Raises:
            ArtifactDamaged: The weights give no numbers.
            ImageRejected: ``corrupt``: it cannot be decoded.
        """
        try:
            return self._checked(self._both_steps(tf.constant(transcoded)).numpy())
        except tf.errors.InvalidArgumentError as error:
            raise _corrupt() from error

    def _checked(self, probabilities: np.ndarray) -> np.ndarray:
        """Return probabilities that are numbers: a NaN would be no answer, and no JSON."""
        if not np.isfinite(probabilities).all():
            raise ArtifactDamaged(
                f"The model in {self._folder} gives no numbers for this image: its weights are "
                "not finite, or too large. Train it again."
            )
        return probabilities

    def _both(self, image_bytes: tf.Tensor) -> tf.Tensor:
        """Trace both signatures in one: string () → float32 (C,)."""
        pixels = self._prepare(image_bytes=image_bytes)["pixels"]
        return self._predict(pixels=pixels[None])["probabilities"][0]

    def _check_golden(self, artifact: Artifact) -> None:
        """Answer for one grey image, as PNG and as JPEG."""
        grey = np.full((1, artifact.image_size, artifact.image_size, 3), 128, "uint8")
        same = np.array_equal(self.pixels(tf.io.encode_png(grey[0]).numpy()), grey[0])
        row = self.probabilities(grey)
        again = self.predict(tf.io.encode_jpeg(grey[0]).numpy())
        fits = same and row.shape == (1, len(artifact.class_names)) and again.shape == row[0].shape
        # Written so that NaN does not pass.
        if not (fits and abs(row.sum() - 1) <= 1e-4 and np.abs(again - row).max() <= 1e-4):
            raise ArtifactDamaged(
                f"The model in {artifact.folder} does not answer as its contract says: "
                "expected probabilities that sum to one. Save it again."
            )


def _corrupt() -> ImageRejected:
    return ImageRejected("corrupt", "The image data cannot be decoded.")

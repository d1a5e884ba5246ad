"""Losses of the training by name. Class weights act inside them, so soft targets are weighed right.

A new one is an entry in ``LOSSES`` and its name among the choices of the setting ``loss``.
"""

from collections.abc import Callable, Sequence
from typing import Any

from cnnlab.engine import keras

FOCUS = 2.0  # gamma of the focal loss, its authors' choice


@keras.saving.register_keras_serializable(package="cnnlab")
class WeightedCrossentropy(keras.losses.Loss):
    """Cross-entropy in which class c counts ``class_weights[c]`` times: −Σ_c t_c w_c log p_c.

    Targets t and probabilities p are float32 (B, C); the mean is over the images. Keras'
    ``class_weight`` takes the weight of the largest target instead, which is another number as
    soon as targets are smoothed or mixed; for one-hot targets both give the same bits.

    Args:
        class_weights: C numbers above 0.
        label_smoothing: Share of each target that is spread over all classes, before weighing.
    """

    def __init__(
        self, class_weights: Sequence[float], label_smoothing: float = 0.0, **options: Any
    ) -> None:
        super().__init__(**options)
        self.class_weights = [float(each) for each in class_weights]
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each image, (B,)."""
        targets = y_true
        if self.label_smoothing:
            share = self.label_smoothing
            targets = targets * (1 - share) + share / len(self.class_weights)
        weighted = targets * keras.ops.convert_to_tensor(self.class_weights, targets.dtype)
        # Keras hands the logits to TensorFlow, whose gradient takes targets that add up to 1.
        total = keras.ops.sum(weighted, axis=-1)
        shares = weighted / keras.ops.expand_dims(total, -1)
        return total * keras.losses.categorical_crossentropy(shares, y_pred)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for Keras' files."""
        own = {"class_weights": self.class_weights, "label_smoothing": self.label_smoothing}
        return super().get_config() | own


def crossentropy(
    class_weights: Sequence[float] | None, label_smoothing: float
) -> keras.losses.Loss:
    """Return the cross-entropy, weighted by class if there are weights."""
    if class_weights is None:
        return keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing)
    return WeightedCrossentropy(class_weights, label_smoothing)


def focal(class_weights: Sequence[float] | None, label_smoothing: float) -> keras.losses.Loss:
    """Return the focal loss −Σ_c w_c t_c (1 − p_c)^γ log p_c (Lin et al., ICCV 2017, eq. 5)."""
    weights = 1.0 if class_weights is None else [float(each) for each in class_weights]
    return keras.losses.CategoricalFocalCrossentropy(
        alpha=weights, gamma=FOCUS, label_smoothing=label_smoothing
    )


LOSSES: dict[str, Callable[[Sequence[float] | None, float], keras.losses.Loss]] = {
    "crossentropy": crossentropy,
    "focal": focal,
}

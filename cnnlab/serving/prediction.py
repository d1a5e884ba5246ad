"""The prediction for one image, for a person, a table or another program."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Prediction:
    """A prediction for one image; ``to_json`` is what a server sends, field for field.

    Attributes:
        label: The most probable class.
        probability: Its probability, 0…1, temperature applied.
        top: The most probable classes with their probabilities, best first; equal ones in
            label order.
        plausible: The labels of the prediction set, best first: together they hold the right one
            as often as the artifact promises. Empty if it promises nothing.
        none_of_these: Whether the network is less certain than for nearly all images of its
            classes; None if the artifact sets no threshold.
        cached: Whether it was in the cache when it was requested.
        sha256: SHA-256 of the image's bytes, hexadecimal.
        model_id: Which model made it; see ``model_folder.save``.
        elapsed_ms: Milliseconds from the bytes to the prediction; of several images at once,
            from the bytes of their batch. It plays no part when predictions are compared.
    """

    label: str
    probability: float
    top: tuple[tuple[str, float], ...]
    plausible: tuple[str, ...]
    none_of_these: bool | None
    cached: bool
    sha256: str
    model_id: str
    elapsed_ms: float = field(default=0.0, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict of the fields; ``top`` becomes a list of objects."""
        return {
            "label": self.label,
            "probability": self.probability,
            "top": [{"label": label, "probability": value} for label, value in self.top],
            "plausible": list(self.plausible),
            "none_of_these": self.none_of_these,
            "cached": self.cached,
            "elapsed_ms": self.elapsed_ms,
            "sha256": self.sha256,
            "model_id": self.model_id,
        }

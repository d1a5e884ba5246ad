"""Which figures of a run stand on its front page."""

import base64
import struct
from typing import Any

from cnnlab.runs.folder import Run

# The figures of the front page, where the notebooks saved them; the others are linked.
KEY_FIGURES = {
    "cam_correct": "Where the evidence lies when the network is right",
    "cam_wrong": "… and when it is wrong, or least certain",
    "confusion_test": "Test set: true class against predicted class",
    "roc_test": "Test set: ROC curve of each class against the others",
    "training_history": "Training: loss and accuracy by epoch",
    "per_class_test": "Test set: precision, recall and F1 by class",
    "reliability": "Test set: how often answers of each confidence are right",
    "slices": "Held-out images: where it is worse than on others of the same classes",
    "fold_scores": "Cross-validation, fold by fold, beside a linear classifier",
    "sample": "Images of the dataset",
}


def figures(run: Run) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the key figures, embedded, and the names of the others."""
    found = [path.stem for path in sorted((run.folder / "figures").glob("*.png"))]
    shown = [
        {
            "caption": caption,
            "data": base64.b64encode(_png(run, name)).decode("ascii"),
            "wide": _is_wide(_png(run, name)),
        }
        for name, caption in KEY_FIGURES.items()
        if name in found
    ]
    return shown, [name for name in found if name not in KEY_FIGURES]


def _png(run: Run, name: str) -> bytes:
    return (run.folder / "figures" / f"{name}.png").read_bytes()


def _is_wide(png: bytes) -> bool:
    """A figure at least twice as wide as high takes a row of its own."""
    width, height = struct.unpack(">II", png[16:24])  # the IHDR chunk always comes first
    return width >= 2 * height

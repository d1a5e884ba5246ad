"""Which figures of a run stand on its front page."""

import base64
import struct
from dataclasses import dataclass
from pathlib import Path

from cnnlab.runs.folder import Run

# The figures of the front page, where a notebook saved them; the others are linked.
KEY_FIGURES = {
    "cam_correct": "Where the evidence lies when the network is right",
    "cam_wrong": "… and when it is wrong, or least certain",
    "confusion_test": "Test set: true class against predicted class",
    "reliability": "Test set: how often answers of each confidence are right",
    "roc_test": "Test set: ROC curve of each class against the others",
    "training_history": "Training: loss and accuracy by epoch",
    "per_class_test": "Test set: precision, recall and F1 by class",
    "slices": "Held-out images: where it is worse than on others of the same classes",
    "fold_scores": "Cross-validation, fold by fold, beside a linear classifier",
    "sample": "Images of the dataset",
}

DRAWN_BY = {
    "sample": "01_explore_data",
    "training_history": "03_training",
    "cam_correct": "05_interpretability",
    "cam_wrong": "05_interpretability",
} | dict.fromkeys(
    ("confusion_test", "reliability", "roc_test", "per_class_test", "slices", "fold_scores"),
    "04_kfold_evaluation",
)
PRINTED = ("cam_correct", "confusion_test")  # on paper, side by side


@dataclass(frozen=True)
class Picture:
    """A figure as a page holds it: its PNG in Base64, and whether it takes a row of its own."""

    name: str
    caption: str
    data: str
    wide: bool


def figures(run: Run) -> tuple[list[Picture], list[str]]:
    """Return the key figures, embedded, and the names of the others."""
    found = {path.stem: path for path in sorted((run.folder / "figures").glob("*.png"))}
    shown = [
        _picture(name, caption, found[name])
        for name, caption in KEY_FIGURES.items()
        if name in found
    ]
    return shown, [name for name in found if name not in KEY_FIGURES]


def _picture(name: str, caption: str, path: Path) -> Picture:
    png = path.read_bytes()
    width, height = struct.unpack(">II", png[16:24])  # the IHDR chunk always comes first
    wide = width >= 2 * height
    return Picture(name, caption, base64.b64encode(png).decode("ascii"), wide)

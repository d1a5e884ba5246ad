"""Runs: the folder that a run fills, the notebooks that fill it, the pages that show it."""

from cnnlab.runs import caveats, exposure, results
from cnnlab.runs.card import model_card
from cnnlab.runs.data_card import dataset_card
from cnnlab.runs.folder import Run
from cnnlab.runs.opening import open_run
from cnnlab.runs.progress import live_line
from cnnlab.runs.sealing import seal_manifest, seal_split

__all__ = [
    "Run",
    "caveats",
    "dataset_card",
    "exposure",
    "live_line",
    "model_card",
    "open_run",
    "results",
    "seal_manifest",
    "seal_split",
]

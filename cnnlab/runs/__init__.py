"""Runs: the folder that a run fills, and the notebooks that fill it."""

from cnnlab.runs import exposure, results
from cnnlab.runs.folder import Run
from cnnlab.runs.opening import open_run
from cnnlab.runs.progress import live_line
from cnnlab.runs.sealing import seal_manifest, seal_split

__all__ = [
    "Run",
    "exposure",
    "live_line",
    "open_run",
    "results",
    "seal_manifest",
    "seal_split",
]

"""What a run was foretold to take, what it took, and how near the two are.

Both stand in ``run.json``, which a reproduction does not compare: clocks differ.
"""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cnnlab.runs.folder import Run

if TYPE_CHECKING:  # it imports TensorFlow
    from cnnlab.experiment.doctor import Actual, Check, Forecast

KEY = "forecast"  # of run.json
TRAINING = ("03", "04")  # notebooks whose processes the memory is foretold of


def record(run: Run, foretold: "Forecast") -> "list[Check]":
    """Keep a forecast in ``run.json`` and return what is to be said of it on this machine.

    Raises:
        InputError: Not even half of the disk that is needed is free.
    """
    run.record(KEY, foretold.to_json())
    return on_machine(foretold, run.folder)


def on_machine(foretold: "Forecast", folder: Path) -> "list[Check]":
    """Return what is to be said of a forecast, with what this machine has free.

    Args:
        foretold: The forecast.
        folder: Where the run folder lies, or a folder above it.

    Raises:
        InputError: Not even half of the disk that is needed is free.
    """
    import psutil

    from cnnlab.experiment import doctor
    from cnnlab.training import processes

    own = psutil.Process().memory_info().rss  # a part of what is foretold
    free = shutil.disk_usage(folder).free
    return doctor.checks(foretold, free_disk=free, free_memory=processes.free_memory() + own)


def compared(run: Run) -> pd.DataFrame | None:
    """Return foretold beside actual, as text; None where nothing was foretold or has finished."""
    from cnnlab.experiment import doctor

    stored = run.state().get(KEY)
    if stored is None:
        return None
    foretold = doctor.Forecast.from_json(stored, str(run.folder / "run.json"))
    took = actual(run)
    if not {*foretold.seconds} <= {*took.seconds}:  # what is on disk is not all yet
        took = replace(took, disk=math.nan)
    return doctor.compared(foretold, took)


def actual(run: Run) -> "Actual":
    """Return what the notebooks that were executed took, and what the run holds on disk."""
    from cnnlab.experiment.doctor import Actual

    entries = {name[:2]: entry for name, entry in run.state()["notebooks"].items()}
    seconds = {name: entry["seconds"] for name, entry in entries.items() if "seconds" in entry}
    peaks = [entries[name].get("peak_bytes", 0) for name in TRAINING if name in entries]
    return Actual(seconds, float(max(peaks, default=0)), float(_bytes(run.folder)))


def _bytes(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

"""What the ledger of test openings lacks of the runs that exist, brought into it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cnnlab.config import InputError, from_dict, home
from cnnlab.data import ledger
from cnnlab.runs import storage
from cnnlab.runs.folder import Run


def record(*folders: Path) -> tuple[list[ledger.Opening], list[str]]:
    """Record what ``run.json`` of any run knows of test openings and the ledger does not.

    That are openings from before there was a ledger, and those that were damaged or lost since.

    Args:
        folders: Run folders besides those of ``reports``.

    Returns:
        The ledger's openings by time, and a sentence with the cure for each opening that cannot
        be counted.
    """
    openings, damaged = ledger.openings()
    known = {(each.run_id, each.model_id) for each in openings}
    known |= {(each.images, each.model_id) for each in openings}
    found = {path.parent.resolve() for path in (home() / "reports").glob("*/run.json")}
    recorded, failed = 0, []
    for folder in sorted(found | {folder.resolve() for folder in folders}):
        try:
            for opening, images in _lacking(folder, known):
                ledger.record(opening, images)
                recorded += 1
        except InputError as error:
            failed.append(f"Not every opening by run {folder.name!r} is counted: {error}")
    if recorded:
        openings, damaged = ledger.openings()
    return openings, damaged + failed


def _lacking(
    folder: Path, known: set[tuple[str, str]]
) -> Iterator[tuple[ledger.Opening, np.ndarray]]:
    """Yield what ``run.json`` says beyond ``known``: (run or images, model) pairs."""
    state = storage.read_state(folder)
    if not state["test_set_opened"]:
        return
    run = Run(folder, from_dict(state["settings"]))
    for entry in state["test_set_opened"]:
        if not {"at", "by", "model_id"} <= set(entry):
            raise InputError(f"{folder / 'run.json'} was edited: undo that.")
        pairs = {(run.id, entry["model_id"]), (entry.get("images", ""), entry["model_id"])}
        if not known & pairs:
            images = ledger.test_images(folder)
            yield run.opening(entry, images), images

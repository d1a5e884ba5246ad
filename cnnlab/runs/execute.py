"""Executing the notebooks of a run, in order, by papermill, and checking that they did execute.

Papermill ends well where a cell called ``sys.exit(0)`` and left the rest unrun, so every code
cell must carry an execution count afterwards. What cells write to stderr is reported and does not
stop the run: a warning after an hour of training must not cost the hour.
"""

import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab.config import InputError
from cnnlab.places import CannotWrite
from cnnlab.runs import provenance
from cnnlab.runs.progress import Progress

if TYPE_CHECKING:
    from cnnlab.runs.folder import Run

NOTEBOOKS = provenance.CHECKOUT / "notebooks"


class NotebookFailed(RuntimeError):  # noqa: N818
    """A cell raised, was never run, or its kernel died.

    Attributes:
        notebook: The notebook's name.
        cell: The cell's number in the notebook, from 1; its name is ``title``.
        title: The first line of the cell.
        error: Error name and value.
        path: The partly executed notebook.
        refused: Whether the cell raised an ``InputError``: what was given cannot be used.
    """

    def __init__(
        self,
        notebook: str,
        cell: int,
        title: str,
        error: str,
        path: Path,
        *,
        refused: bool = False,
    ) -> None:
        super().__init__(
            f"notebook {notebook}, cell {cell} ({title}): {error.rstrip('.')}. "
            f"The partly executed notebook is {path}."
        )
        self.notebook = notebook
        self.cell = cell
        self.title = title
        self.error = error
        self.path = path
        self.refused = refused


@dataclass(frozen=True)
class Executed:
    """What one execution left: seconds, code cells, and the lines written to stderr."""

    notebook: str
    seconds: float
    cells: int
    red_lines: tuple[str, ...]


def available(folder: Path | None = None) -> list[str]:
    """Return the notebooks' names in their order: ``["01_explore_data", …]``.

    Args:
        folder: Where they are; None for the checkout's ``notebooks/``.

    Raises:
        InputError: There are none, as in an installation without the checkout.
    """
    folder = folder or NOTEBOOKS
    names = sorted(path.stem for path in folder.glob("[0-9][0-9]_*.ipynb"))
    if not names:
        raise InputError(f"There are no notebooks in {folder}: run this from a checkout of cnnlab.")
    return names


def selected(names: list[str], only: str) -> list[str]:
    """Return the names whose numbers stand in ``only`` (``"03,05"`` or ``"3,5"``); "" means all.

    Raises:
        InputError: A number that no notebook has.
    """
    if not only:
        return names
    numbers = [part.strip().zfill(2) for part in only.split(",")]
    known = {name[:2] for name in names}
    odd = [number for number in numbers if number not in known]
    if odd:
        raise InputError(
            f"There is no notebook {', '.join(odd)}: expected some of {', '.join(sorted(known))}."
        )
    return [name for name in names if name[:2] in numbers]


def execute(
    run: "Run",
    names: list[str],
    folder: Path | None = None,
    begin: Callable[[str, int], Progress] = Progress,
    jobs: int = 0,
) -> list[Executed]:
    """Execute notebooks into ``<run>/notebooks/`` and record their times in ``run.json``.

    Args:
        run: The run to fill.
        names: Names from ``available``, in order.
        folder: Where the notebooks are; they are executed with it as working directory.
        begin: Makes the progress display of one notebook from its name and number of cells.
        jobs: Is given to the notebooks that have a parameter of that name.

    Raises:
        NotebookFailed: At the first notebook that does not execute to its end.
    """
    return [_execute_one(run, name, folder or NOTEBOOKS, begin, jobs) for name in names]


def _execute_one(
    run: "Run", name: str, folder: Path, begin: Callable[[str, int], Progress], jobs: int
) -> Executed:
    from cnnlab.runs import executed  # it takes seconds to load, and a wrong name is told at once

    source = folder / f"{name}.ipynb"
    target = run.path("notebooks", f"{name}.ipynb")
    written = executed.read(source)
    count = written.cells + 1  # papermill adds the parameters
    # The settings are in run.json already: the name says everything else.
    parameters = {"run": run.name} | ({"jobs": jobs} if "jobs" in written.parameters else {})
    run.update(lambda state: state["notebooks"].__setitem__(name, {"started": provenance.now()}))
    started = time.perf_counter()
    try:
        with begin(name, count) as progress:
            _call_papermill(parameters, source, target, progress)
        found = executed.read(target)
        for number, title in found.never_ran:
            raise NotebookFailed(name, number, title, "the cell was never executed.", target)
    except NotebookFailed as failure:
        error = f"cell {failure.cell}: {failure.error}"
        with suppress(CannotWrite):  # a full disk, of which the failure says more
            run.update(lambda state: state["notebooks"][name].__setitem__("failed", error))
        raise
    done = Executed(name, time.perf_counter() - started, count, found.stderr)
    finished = {"finished": provenance.now(), "seconds": round(done.seconds, 1), "cells": count}
    finished["peak_bytes"] = _peak_bytes()
    run.update(lambda state: state["notebooks"][name].update(finished))
    return done


def _peak_bytes() -> int:
    """Return the memory of the largest process so far: a kernel, or one that it began."""
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024)


def _call_papermill(
    parameters: dict[str, Any], source: Path, target: Path, progress: Progress
) -> None:
    from cnnlab.runs import executed, papermill_engine

    try:
        papermill_engine.call(parameters, source, target, progress)
    except papermill_engine.PapermillExecutionError as error:
        message = f"{error.ename}: {' '.join(error.evalue.split()) or '(no message)'}"
        number, title = executed.read(target).failed[0]
        refused = list(error.traceback) == [f"{error.ename}: {error.evalue}"]  # as it shows itself
        raise NotebookFailed(target.stem, number, title, message, target, refused=refused) from None
    except papermill_engine.DeadKernelError:
        number, title = executed.read(target).started[-1]
        message = "the kernel died, which most often means that the memory was full."
        raise NotebookFailed(target.stem, number, title, message, target) from None

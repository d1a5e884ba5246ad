"""Several trainings, in turn or side by side: what fails is named, what is done stays done."""

from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cnnlab.config import InputError
from cnnlab.data.batches import Dataset
from cnnlab.training.processes import affordable, side_by_side, tell

Result = TypeVar("Result")
Report = Callable[[int, dict[str, Any]], None]  # (number, its row of the history), see ``fit``


class TrainingFailed(RuntimeError):  # noqa: N818 - it says what happened
    """One of several networks could not be trained: the message says which and why."""


def check_jobs(dataset: Dataset, jobs: int) -> None:
    """Raise InputError if so many trainings at a time cannot be: see ``train_each``."""
    if type(jobs) is not int or jobs < 0:
        raise InputError(
            f"jobs={jobs!r} is out of range: expected how many networks to train at a time, or 0 "
            "for as many as cores and memory allow."
        )
    if jobs != 1:
        _mapped_file(dataset)


def train_each(
    train: Callable[..., Result],
    dataset: Dataset,
    calls: dict[int, tuple],
    *,
    name: str,
    jobs: int,
    memory: Callable[[], int],
    done: Callable[[int, Result], None],
    report: Report,
) -> dict[int, Result]:
    """Train several networks and return what each gave; ``jobs`` decides no bit of it.

    Args:
        train: Of a module, so that another process can import it: (dataset, number, *arguments,
            report) → a result that can be pickled.
        dataset: With pixels mapped from a file, unless ``jobs`` is 1.
        calls: Number → the other arguments of ``train``, which are pickled.
        name: What one of them is called, such as "fold".
        jobs: Trained at a time; 0: as many as cores and free memory allow. More than one are
            processes of their own, each with a TensorFlow of its own in memory.
        memory: Gives about how many bytes such a process takes; asked where ``jobs`` is 0.
        done: Is told each number and its result as soon as there is one.
        report: Is given a number and its row after each epoch.

    Raises:
        TrainingFailed: One failed; those beside it were finished, no other was begun. Where it was
            refused (an ``InputError``, such as ``Diverged``), so is the whole.
    """
    results: dict[int, Result] = {}
    workers = min(jobs or affordable(memory(), len(calls)), len(calls)) if calls else 0
    failure = None
    for number, outcome in _outcomes(train, dataset, calls, workers, report):
        try:
            results[number] = outcome()
        except Exception as error:
            failure = failure or _failed(name, number, error)
            if workers == 1:
                break
            print(f"{name} {number}  failed", flush=True)  # the others may run for long
        else:
            done(number, results[number])
    if failure:
        raise failure
    return results


def _outcomes(
    train: Callable[..., Result],
    dataset: Dataset,
    calls: dict[int, tuple],
    workers: int,
    report: Report,
) -> Iterator[tuple[int, Callable[[], Result]]]:
    """Give each number, and what returns its result or raises its error."""
    if workers > 1:
        bare, file = replace(dataset, pixels=np.empty(0, np.uint8)), _mapped_file(dataset)
        elsewhere = {number: (train, bare, file, number, *call) for number, call in calls.items()}
        for number, future in side_by_side(_train_mapped, elsewhere, workers, report):
            yield number, future.result
    else:
        for number, call in calls.items():
            yield number, partial(train, dataset, number, *call, report)


def _train_mapped(
    train: Callable[..., Result], bare: Dataset, file: Path, number: int, *arguments: Any
) -> Result:
    """Train in another process, which maps the pixels itself."""
    pixels = np.load(file, mmap_mode="r", allow_pickle=False)
    return train(replace(bare, pixels=pixels), number, *arguments, tell)


def _failed(name: str, number: int, error: Exception) -> Exception:
    """Return the exception that names the training; bad input stays bad input."""
    if isinstance(error, InputError):
        refused = type(error)(f"{name.capitalize()} {number}: {error}")
        refused.__cause__ = error
        return refused
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, BrokenProcessPool):
        reason = (
            "its process died, or one beside it, which most often means that the memory was full: "
            "try fewer jobs"
        )
    failed = TrainingFailed(f"{name.capitalize()} {number} failed ({reason.rstrip('.')}).")
    failed.__cause__ = error
    return failed


def _mapped_file(dataset: Dataset) -> Path:
    """Return the ``.npy`` file that a dataset's pixels are mapped from, all of them in order."""
    name = getattr(dataset.pixels, "filename", None)
    if name and np.load(name, mmap_mode="r").shape == dataset.pixels.shape:
        return Path(name)
    raise InputError(
        "Trainings side by side need pixels that are mapped from a file: use those of "
        "open_dataset, or jobs=1."
    )

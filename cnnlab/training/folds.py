"""Training fold by fold: each has its own child seed, and predicts what it held out.

A finished fold is kept in a file, so that an interrupted run trains only what is missing, and an
evaluation with other settings trains nothing. With several jobs each fold is trained in a process
of its own, which maps the same pixels.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab.config import InputError, Settings, child_seed
from cnnlab.data.batches import Dataset, evaluation_batches
from cnnlab.training import fold_results
from cnnlab.training.fit import predict
from cnnlab.training.held_out import hold_out
from cnnlab.training.processes import affordable, side_by_side, tell
from cnnlab.training.protocol import content_digest, new_model, train

Pair = tuple[np.ndarray, np.ndarray]  # (training, held-out), positions in the pool
Report = Callable[[int, dict[str, Any]], None]  # (fold, its row of the history)


class FoldFailed(RuntimeError):  # noqa: N818 - it says what happened
    """A fold could not be trained: the message says which and why."""


@dataclass(frozen=True)
class _Work:
    """What every fold needs. ``content`` names the pool's images, see ``content_digest``."""

    dataset: Dataset
    pool: np.ndarray
    settings: Settings
    folder: Path | None
    content: str

    def train(
        self, fold: int, training: np.ndarray, held_out: np.ndarray, report: Report
    ) -> fold_results.Result:
        """Train one fold; its result takes the place of its checkpoints."""
        seed = child_seed(self.settings.seed, f"fold/{fold}")
        data, settings = self.dataset, self.settings
        learned, judging = hold_out(
            data, self.pool[training], settings.data.validation_fraction, seed
        )
        model = new_model(data, settings, seed=seed)
        checkpoints = self.folder / f"fold-{fold}" if self.folder else None
        fitted = train(
            model, data, learned, judging, settings,
            seed=seed, epochs=settings.evaluation.fold_epochs, folder=checkpoints,
            report=partial(report, fold),
        )  # fmt: skip
        batches = evaluation_batches(
            data, self.pool[held_out], batch_size=settings.training.batch_size
        )
        probabilities = predict(model, batches)
        result = fold_results.Result(probabilities, fitted.seconds, len(fitted.history))
        if checkpoints:
            fingerprint = self._fingerprint(training, held_out)
            fold_results.save(checkpoints.with_suffix(".npz"), result, fingerprint)
            shutil.rmtree(checkpoints, ignore_errors=True)
        return result

    def earlier(
        self, fold: int, training: np.ndarray, held_out: np.ndarray
    ) -> fold_results.Result | None:
        """Return what an earlier process kept of this very fold; None if that is nothing."""
        if self.folder is None:
            return None
        return fold_results.load(
            self.folder / f"fold-{fold}.npz", self._fingerprint(training, held_out)
        )

    def _fingerprint(self, training: np.ndarray, held_out: np.ndarray) -> str:
        # Units decide, beside the seed, which images judge the epochs.
        numbered = np.unique(self.dataset.units[self.pool], return_inverse=True)[1]
        return fold_results.fingerprint(self.settings, self.content, numbered, training, held_out)


def fold_runner(
    dataset: Dataset,
    pool: np.ndarray,
    settings: Settings,
    *,
    folder: Path | None = None,
    jobs: int = 1,
    report: Report = lambda *_: None,
) -> Callable[[list[Pair]], list[tuple[np.ndarray, float]]]:
    """Return the function that trains all folds and predicts their held-out images.

    Each fold has its own child seed, for its initial weights as for all else. Early stopping is
    judged on a slice of the fold's *training* images, so the held-out ones decide nothing. The
    function prints a line for each fold that is done. How many are trained at a time changes no
    bit of what they give, on one machine.

    Args:
        dataset: Prepared pixels and labels.
        pool: int64 (N,), the images that are cross-validated; folds index into it.
        settings: Protocol; at most ``fold_epochs`` epochs a fold.
        folder: Keeps finished folds as ``fold-<n>.npz`` and the checkpoints of unfinished ones in
            ``fold-<n>/``. Called again, the function trains what is missing and uses again what
            was trained on the same images by the same settings, code, versions and devices. Once
            all are done, anything else in the folder is removed. None keeps nothing.
        jobs: Folds trained at a time; 0: as many as cores and free memory allow. More than one
            are processes of their own, each with a TensorFlow of its own in memory; the pixels
            must be mapped from a file then.
        report: Is given a fold's number and its row after each epoch, see ``fit``.

    Returns:
        [(training (N,), held_out (M,)), …] → [(probabilities float32 (M, C), seconds), …]. It
        raises ``FoldFailed`` after what runs beside the failed fold is done, and kept.

    Raises:
        InputError: ``jobs`` is below 0, or the pixels are not mapped and it is above.

    Example:
        >>> run_folds = fold_runner(dataset, pool, settings, folder=Path("folds"), jobs=2)
        >>> table, pooled = cross_validate(labels, units, 5, seed, run_folds, num_classes=3)
    """
    if jobs < 0:
        raise InputError(
            f"jobs={jobs} is out of range: expected how many folds to train at a time, or 0 for "
            "as many as cores and memory allow."
        )
    if jobs != 1:
        _mapped_file(dataset)

    def run_folds(pairs: list[Pair]) -> list[tuple[np.ndarray, float]]:
        content = content_digest(dataset, pool) if folder else ""
        work = _Work(dataset, pool, settings, folder, content)
        found = {fold: work.earlier(fold, *pair) for fold, pair in enumerate(pairs, start=1)}
        results = {fold: result for fold, result in found.items() if result}
        for fold, result in results.items():
            _print_done(fold, len(pairs), result, f"  trained earlier, from fold-{fold}.npz")
        missing = {fold: pairs[fold - 1] for fold in found if fold not in results}
        wanted = jobs or affordable(settings.data.image_size, len(missing))
        workers, failure = min(wanted, len(missing)), None
        for fold, outcome in _outcomes(work, missing, workers, report):
            try:
                results[fold] = outcome()
            except Exception as error:
                failure = failure or _failed(fold, error)
                if workers == 1:
                    break
                print(f"fold {fold}/{len(pairs)}  failed", flush=True)  # others may run for long
            else:
                _print_done(fold, len(pairs), results[fold])
        if failure:
            raise failure
        if folder:
            _remove_all_but(folder, {f"fold-{fold}.npz" for fold in results})
        return [(results[fold].probabilities, results[fold].seconds) for fold in sorted(results)]

    return run_folds


def _remove_all_but(folder: Path, names: set[str]) -> None:
    """Remove folds of another number of them, checkpoints left over and half-written files."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name not in names:
            path.unlink(missing_ok=True)


def _print_done(fold: int, k: int, result: fold_results.Result, note: str = "") -> None:
    epochs = f"{result.epochs} epoch{'s' if result.epochs != 1 else ''}"
    print(f"fold {fold}/{k}  {epochs}  {result.seconds:.0f} s{note}", flush=True)


def _train_mapped(work: _Work, file: Path, fold: int, pair: Pair) -> fold_results.Result:
    """Train a fold in another process, which maps the pixels itself."""
    pixels = np.load(file, mmap_mode="r", allow_pickle=False)
    return replace(work, dataset=replace(work.dataset, pixels=pixels)).train(fold, *pair, tell)


def _outcomes(
    work: _Work, missing: dict[int, Pair], workers: int, report: Report
) -> Iterator[tuple[int, Callable[[], fold_results.Result]]]:
    """Give each fold that was trained, and what returns its result or raises its error."""
    if workers > 1:
        bare = replace(work, dataset=replace(work.dataset, pixels=np.empty(0, np.uint8)))
        file = _mapped_file(work.dataset)
        calls = {fold: (bare, file, fold, pair) for fold, pair in missing.items()}
        for fold, future in side_by_side(_train_mapped, calls, workers, report):
            yield fold, future.result
    else:
        for fold, pair in missing.items():
            yield fold, partial(work.train, fold, *pair, report)


def _failed(fold: int, error: Exception) -> FoldFailed:
    """Return the exception that names the fold."""
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, BrokenProcessPool):
        reason = (
            "its process died, or one beside it, which most often means that the memory was full: "
            "try fewer jobs"
        )
    failed = FoldFailed(f"Fold {fold} failed ({reason.rstrip('.')}).")
    failed.__cause__ = error
    return failed


def _mapped_file(dataset: Dataset) -> Path:
    """Return the ``.npy`` file that a dataset's pixels are mapped from, all of them in order."""
    name = getattr(dataset.pixels, "filename", None)
    if name and np.load(name, mmap_mode="r").shape == dataset.pixels.shape:
        return Path(name)
    raise InputError(
        "Folds side by side need pixels that are mapped from a file: use those of open_dataset, "
        "or jobs=1."
    )

"""Training fold by fold: each has its own child seed, and predicts what it held out.

A finished fold is kept in a file, so that an interrupted run trains only what is missing, and an
evaluation with other settings trains nothing.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from cnnlab import locks
from cnnlab.config import Settings, child_seed
from cnnlab.data.batches import Dataset
from cnnlab.training import fold_results, frozen, probe
from cnnlab.training.executor import Report, check_jobs, train_each
from cnnlab.training.held_out import hold_out
from cnnlab.training.trainer import content_digest, memory, new_model, train

Pair = tuple[np.ndarray, np.ndarray]  # (training, held-out), positions in the pool


@dataclass(frozen=True)
class _Work:
    """What every fold needs, beside the dataset.

    Attributes:
        pool: The images that are cross-validated.
        units: Their units, str (N,).
        settings: The protocol.
        folder: Where finished folds are kept.
        content: Names the pool's images, see ``content_digest``.
    """

    pool: np.ndarray
    units: np.ndarray
    settings: Settings
    folder: Path | None
    content: str

    def train(
        self, data: Dataset, fold: int, training: np.ndarray, held_out: np.ndarray, report: Report
    ) -> fold_results.Result:
        """Train one fold; its result takes the place of its checkpoints."""
        settings = self.settings
        seed = child_seed(settings.seed, f"fold/{fold}")
        checkpoints = self.folder / f"fold-{fold}" if self.folder else None
        if probe.alone(settings):
            result = self._probe(data, fold, training, held_out, seed, report)
        else:
            result = self._network(data, fold, training, held_out, seed, report, checkpoints)
        if checkpoints:
            fingerprint = self._fingerprint(training, held_out)
            fold_results.save(checkpoints.with_suffix(".npz"), result, fingerprint)
            shutil.rmtree(checkpoints, ignore_errors=True)
        return result

    def _probe(
        self,
        data: Dataset,
        fold: int,
        training: np.ndarray,
        held_out: np.ndarray,
        seed: int,
        report: Report,
    ) -> fold_results.Result:
        """Fit a head on the features of the fold's images."""
        learned, judging = self.pool[training], self.pool[:0]
        if self.settings.model.hidden_units:  # it is trained by epochs, which have to be judged
            learned, judging = self._divided(data, training, seed)
        done = frozen.fitted(data, learned, judging, self.settings, seed)
        report(fold, done.row)
        return fold_results.Result(done.answers(self.pool[held_out]), done.seconds, epochs=1)

    def _divided(
        self, data: Dataset, training: np.ndarray, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the fold's images to learn from, and those that judge its epochs."""
        fraction = self.settings.data.validation_fraction
        return hold_out(data, self.pool[training], fraction, seed)

    def _network(
        self,
        data: Dataset,
        fold: int,
        training: np.ndarray,
        held_out: np.ndarray,
        seed: int,
        report: Report,
        checkpoints: Path | None,
    ) -> fold_results.Result:
        """Train a network of the fold's own."""
        settings = self.settings
        learned, judging = self._divided(data, training, seed)
        model = new_model(data, settings, seed=seed)
        fitted = train(
            model, data, learned, judging, settings,
            seed=seed, epochs=settings.evaluation.fold_epochs, folder=checkpoints,
            report=partial(report, fold),
        )  # fmt: skip
        probabilities = probe.answers(model, data, self.pool[held_out], settings)
        return fold_results.Result(probabilities, fitted.seconds, len(fitted.history))

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
        numbered = np.unique(self.units, return_inverse=True)[1]
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
    bit of what they give, on one machine. A recipe that is a probe alone fits heads on features,
    in this process, one after the other: a process for each would take longer than the fold.

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
        raises ``TrainingFailed`` after what runs beside the failed fold is done, and kept.

    Raises:
        InputError: ``jobs`` is below 0, or the pixels are not mapped and it is above.

    Example:
        >>> run_folds = fold_runner(dataset, pool, settings, folder=Path("folds"), jobs=2)
        >>> table, pooled = cross_validate(labels, units, 5, seed, run_folds, num_classes=3)
    """
    check_jobs(dataset, jobs)

    def run_folds(pairs: list[Pair]) -> list[tuple[np.ndarray, float]]:
        with locks.alone(folder, f"Folds are trained in {folder}"):
            return run_all(pairs)

    def run_all(pairs: list[Pair]) -> list[tuple[np.ndarray, float]]:
        content = content_digest(dataset, pool) if folder else ""
        work = _Work(pool, dataset.units[pool], settings, folder, content)
        found = {fold: work.earlier(fold, *pair) for fold, pair in enumerate(pairs, start=1)}
        results = {fold: result for fold, result in found.items() if result}
        for fold, result in results.items():
            _print_done(fold, len(pairs), result, f"  trained earlier, from fold-{fold}.npz")
        results |= train_each(
            work.train,
            dataset,
            {fold: pairs[fold - 1] for fold in found if fold not in results},
            name="fold",
            jobs=1 if probe.alone(settings) else jobs,
            memory=partial(memory, dataset, settings),
            done=lambda fold, result: _print_done(fold, len(pairs), result),
            report=report,
        )
        if folder:
            _remove_all_but(folder, {locks.IN_USE} | {f"fold-{fold}.npz" for fold in results})
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

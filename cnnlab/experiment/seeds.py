"""The same training with other seeds, on the same split: how much is luck of the seed?

A finished classifier stays in a folder of its own, ``seed-<n>/``: its model folder and what its
training did. So an interrupted run trains only what is missing, and another evaluation trains
nothing.
"""

import json
import shutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab import files, hashing, locks
from cnnlab.artifact import model_folder
from cnnlab.config import InputError, Settings
from cnnlab.data.batches import Dataset
from cnnlab.experiment.classifier import Classifier, load
from cnnlab.experiment.pipeline import fit_classifier, validate
from cnnlab.records import Record
from cnnlab.training import Fit, probe
from cnnlab.training.environment import origin
from cnnlab.training.executor import check_jobs, train_each
from cnnlab.training.trainer import content_digest, deciding, memory

MODEL, TRAINING = "model", "training.json"
CARD = "Trained with seed {seed} to measure how much is luck; the run's own model is another.\n"


@dataclass(frozen=True)
class _Training(Record):
    """``training.json``: how the model beside it was trained, see ``training.Fit``.

    Attributes:
        fingerprint: SHA-256 of everything that decides the training.
        model_id: Of the model.
    """

    fingerprint: str
    model_id: str
    history: tuple[dict[str, Any], ...]
    best_epoch: int
    stopped_early: bool
    seconds: float
    kept_probe: bool = False

    def fit(self) -> Fit:
        history = pd.DataFrame(list(self.history))
        return Fit(history, self.best_epoch, self.stopped_early, self.seconds, self.kept_probe)


@dataclass(frozen=True)
class _Work:
    """What every training needs, beside the dataset."""

    settings: Settings
    folder: Path
    run_id: str
    content: list[str]  # names the training and validation images

    def train(self, dataset: Dataset, seed: int, report: Callable[..., None]) -> _Training:
        """Train with a seed and save the classifier; then its checkpoints go."""
        place = self.folder / f"seed-{seed}"
        fitted = fit_classifier(
            dataset,
            self.settings,
            seed=seed,
            folder=place / "checkpoints",
            report=partial(report, seed),
        )
        history = fitted.history
        assert history is not None  # it was just trained
        fitted.save(place / MODEL, run_id=self.run_id, card=CARD.format(seed=seed))
        done = _Training(
            self.fingerprint(seed),
            fitted.model_id,
            tuple(history.history.to_dict(orient="records")),
            history.best_epoch,
            history.stopped_early,
            history.seconds,
            history.kept_probe,
        )
        files.write(place / TRAINING, json.dumps(done.to_json(), indent=2) + "\n")
        shutil.rmtree(place / "checkpoints", ignore_errors=True)
        return done

    def earlier(self, seed: int, tested: Collection[str]) -> _Training | None:
        """Return what was kept of this very training, or of one whose model was tested."""
        try:
            found = _Training.read(self.folder / f"seed-{seed}" / TRAINING)
            if found.model_id in tested or found.fingerprint == self.fingerprint(seed):
                kept = model_folder.load(self._model(seed))
                return found if kept.model_id == found.model_id else None
        except InputError:  # missing, damaged, or of another version
            pass
        return None

    def classifier(self, dataset: Dataset, seed: int, training: _Training) -> Classifier:
        """Return a finished classifier."""
        found = load(self._model(seed))
        validation = validate(found, dataset, self.settings)
        return replace(found, history=training.fit(), validation=validation)

    def fingerprint(self, seed: int) -> str:
        """Return the SHA-256 of everything that decides a training."""
        facts = {
            "settings": deciding(self.settings),
            "epochs": self.settings.training.epochs,
            "seed": seed,
            "content": self.content,
            "origin": origin(),
        }
        return hashing.json_digest(facts)

    def _model(self, seed: int) -> Path:
        return self.folder / f"seed-{seed}" / MODEL


def fit_seeds(
    dataset: Dataset,
    settings: Settings,
    *,
    folder: Path,
    run_id: str,
    jobs: int = 1,
    tested: Collection[str] = (),
    report: Callable[[int, dict[str, Any]], None] = lambda *_: None,
) -> dict[int, Classifier]:
    """Train once more for each further seed of the settings, and return the classifiers.

    Only what the seed of a training decides differs: initial weights, order, augmentation and
    dropout. How many are trained at a time changes no bit, on one machine. Prints a line a seed.

    Args:
        dataset: Prepared pixels and labels; the test set may be sealed.
        settings: The protocol; all of ``settings.seeds`` but the first, which is the run's own.
        folder: Keeps the finished classifiers and the checkpoints of unfinished ones. Called again,
            the function trains what is missing and uses again what was trained on the same images
            by the same settings, code, versions and devices.
        run_id: Of the run, for the contracts of the models.
        jobs: Trained at a time; 0: as many as cores and free memory allow. Pixels must be mapped
            from a file unless it is 1.
        tested: Ids of models that have seen the test set. They are used as they are, whatever code
            made them: trained again, they might be others, chosen after the answer was seen.
        report: Is given the number of a training, from 1, and its row after each epoch.

    Returns:
        Seed → its classifier, in the settings' order; none where there is one seed.

    Raises:
        InputError: ``jobs`` is below 0, or the pixels are not mapped and it is not 1; or another
            process trains in that folder.
        TrainingFailed: One failed, after what ran beside it was finished and kept.
    """
    seeds = settings.seeds[1:]
    if not seeds:
        return {}
    check_jobs(dataset, jobs)
    content = [content_digest(dataset, dataset.indices(side)) for side in ("train", "validation")]
    work = _Work(settings, folder, run_id, content)
    with locks.alone(folder, f"Further seeds are trained in {folder}"):
        found = {seed: work.earlier(seed, tested) for seed in seeds}
        kept = {seed: training for seed, training in found.items() if training}
        for seed, training in kept.items():
            _print_done(seed, training, f"  trained earlier, from seed-{seed}/")
        missing: dict[int, tuple] = {seed: () for seed in seeds if seed not in kept}
        trained = train_each(
            work.train,
            dataset,
            missing,
            name="seed",
            jobs=1 if probe.alone(settings) else jobs,  # a process starts slower than a probe fits
            memory=partial(memory, dataset, settings),
            done=_print_done,
            report=lambda seed, row: report(1 + list(missing).index(seed), row),
        )
    return {seed: work.classifier(dataset, seed, (kept | trained)[seed]) for seed in seeds}


def _print_done(seed: int, training: _Training, note: str = "") -> None:
    epochs = len(training.history)
    print(
        f"seed {seed}  {epochs} epoch{'s' if epochs != 1 else ''}, best {training.best_epoch}  "
        f"{training.seconds:.0f} s{note}",
        flush=True,
    )

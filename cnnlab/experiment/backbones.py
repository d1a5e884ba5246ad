"""Which pretrained network, at which picture size: probes of each, judged on the same folds.

A probe is a linear head on the features of a frozen network. Every image is held out once, the test
set is not looked at. The features are those that a run with the same settings uses, so they are
computed once for both.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from cnnlab import models, training
from cnnlab.config import InputError, Settings, child_seed
from cnnlab.config.model import PRETRAINED, RANDOM
from cnnlab.data.batches import Dataset
from cnnlab.evaluation import crossval, intervals
from cnnlab.experiment import cost
from cnnlab.experiment.backbone_ranking import Comparison, Row, ranked
from cnnlab.training import probe, trainer

SHIPPED = "efficientnet_lite0"  # its weights are installed with the package


@dataclass(frozen=True)
class Backbone:
    """A network and the weights that it begins with, as the settings of these names."""

    architecture: str
    weights: str = PRETRAINED


def at_hand() -> tuple[list[Backbone], str]:
    """Return the networks whose weights are on this machine, and a sentence on the others."""
    families = [models.architecture(name) for name in models.ARCHITECTURES]
    known = {each.name: each.pretrained.is_here(each.options()) for each in families
             if each.pretrained is not None}  # fmt: skip
    here = [Backbone(name) for name, found in known.items() if found]
    missing = ", ".join(name for name, found in known.items() if not found)
    text = (
        f"Not compared, because their weights are not on this machine: {missing}. "
        "--backbones NAME fetches them, --backbones NAME=FILE takes them from a file."
    )
    return here, text if missing else ""


def variants(
    settings: Settings, backbones: Sequence[Backbone], sizes: Iterable[int]
) -> list[Settings]:
    """Return the settings of every backbone at every size, checked; sizes are in rising order.

    Args:
        settings: All that is the same for each.
        backbones: At least one.
        sizes: Pixels a side, at least one.

    Raises:
        InputError: A network is unknown, its weights are not to be had or not its own, or it does
            not take images of such a size.
    """
    for backbone in backbones:
        models.architecture(backbone.architecture)  # an unknown name is told with those there are
    found = [
        settings.replace(
            architecture=backbone.architecture, weights=backbone.weights,
            image_size=size, stages="probe",
        )
        for size, backbone in product(sorted(set(sizes)), dict.fromkeys(backbones))
    ]  # fmt: skip
    if not found:
        raise InputError(
            "Nothing to compare: expected at least one network with weights, and one size. "
            f"make setup brings those of {SHIPPED}; --backbones NAME=FILE takes them from a file."
        )
    for smallest in found[: len(set(backbones))]:  # weights that fit one size fit all
        trainer.check(smallest)
    return found


def compare(
    variants: Sequence[Settings], opened: Callable[[Settings], Dataset], *, progress: bool = False
) -> Comparison:
    """Return how good a probe is on each network at each size, and what it costs.

    What is being measured is printed, a line each, as are folds that are done.

    Args:
        variants: From ``variants``.
        opened: From ``SplitSource.open``: the images at the size that the settings say.
        progress: Show bars on standard output.

    Raises:
        InputError: A class has fewer independent images than there are folds.
    """
    rows: list[Row] = []
    correct: list[np.ndarray] = []
    size = 0
    for number, settings in enumerate(variants, start=1):
        if settings.data.image_size != size:
            dataset, size = opened(settings), settings.data.image_size
            pool = _pool(dataset)
            _check_folds(dataset, pool, settings.evaluation.folds)
        name = f"{settings.model.architecture} at {size} pixels"
        print(f"{name}: {number} of {len(variants)}", flush=True)
        row, hits = _measured(dataset, pool, settings, progress)
        rows.append(row)
        correct.append(hits)
        print(f"{name}: accuracy {row.accuracy:.3f}", flush=True)
    groups = dataset.groups(pool)
    return Comparison(
        images=len(pool),
        classes=len(dataset.class_names),
        folds=variants[0].evaluation.folds,
        groups=None if groups is None else len(np.unique(groups)),
        rows=ranked(rows, correct, groups),
    )


def _pool(dataset: Dataset) -> np.ndarray:
    """Return the images that are cross-validated: all but those of the test set."""
    return np.sort(np.concatenate([dataset.indices("train"), dataset.indices("validation")]))


def _check_folds(dataset: Dataset, pool: np.ndarray, folds: int) -> None:
    """Raise InputError where a class has too few images, by its name, before anything is done."""
    labels, units = dataset.labels[pool], dataset.units[pool]
    for number, name in enumerate(dataset.class_names):
        distinct = len(np.unique(units[labels == number]))
        if distinct < folds:
            raise InputError(
                f"Class {name!r} has {distinct} independent images outside the test set, too few "
                f"for {folds} folds: expected one for each. Add images, or set folds to fewer."
            )


def _measured(
    dataset: Dataset, pool: np.ndarray, settings: Settings, progress: bool
) -> tuple[Row, np.ndarray]:
    """Return one network's row, and which held-out images it gets right: bool (N,)."""
    labels, units, seed = dataset.labels[pool], dataset.units[pool], settings.seed
    model = training.new_model(dataset, settings, seed=seed)
    cpu_seconds, milliseconds = cost.features_time(model, dataset, pool), cost.latency(model)
    parameters = model.count_params()
    if settings.model.weights != RANDOM:  # of random weights each fold has its own
        probe.features(model, dataset, settings, progress=progress)  # cached, for all folds
    del model
    _, pooled = crossval.cross_validate(
        labels, units, settings.evaluation.folds, child_seed(seed, "folds"),
        training.fold_runner(dataset, pool, settings), len(dataset.class_names),
    )  # fmt: skip
    correct = pooled.argmax(axis=1) == labels
    share = intervals.proportion(correct, groups=dataset.groups(pool))
    row = Row(
        settings.model.architecture, settings.model.weights, settings.data.image_size,
        share.estimate, share.low, share.high, cpu_seconds, milliseconds, parameters,
    )  # fmt: skip
    return row, correct

"""The time, memory and disk of a run: foretold from steps that were timed, then compared.

Times are upper bounds where a training may stop early. Aims, reported and not asserted: memory and
disk within 30 %, time within a factor of two.
"""

import math
from dataclasses import dataclass, field
from math import ceil

import pandas as pd

from cnnlab import models
from cnnlab.config import InputError, Settings
from cnnlab.data.batches import Dataset
from cnnlab.engine import keras
from cnnlab.experiment.doctor.check import Check
from cnnlab.experiment.doctor.speed import Speed, measured
from cnnlab.records import Record
from cnnlab.training.lr_range_test import RateTest
from cnnlab.training.recipe import Recipe, from_settings
from cnnlab.training.trainer import memory_of

FLOAT = 4  # bytes
WEIGHTS_STORED = 2  # times in a model folder: the H5 file and the SavedModel
IN_CHECKPOINT = 4  # of two: weights, two moments and the best weights
EPOCH = 0.3  # seconds of an epoch besides its steps: batches prepared, validation begun
# Seconds of each notebook without the network's own work, where ``Speed.pace`` is 1.
FIXED = {
    "02": 13.0,
    "03": 35.0,
    "04": 30.0,
    "05": 30.0,
    "06": 12.0,
    "07": 11.0,
}
EXPLAINING = 12_000  # images that pass the network in notebook 05; a tenth where it is brief
OTHER = 0.2e9  # bytes of a notebook's process besides TensorFlow: figures, tables, other networks
PAGES = 18e6  # bytes of a run's notebooks, pages and figures
CURVE = {True: (0.05, 0.1, 0.25, 0.5), False: (0.25, 0.5)}  # of notebook 03: a probe alone, or not
CURVE_SEEDS = {True: 3, False: 1}
LEAST_STEPS, MOST_STEPS = 30, 100  # of the range test in a run


@dataclass(frozen=True)
class Forecast(Record):
    """What a run is foretold to take from notebook 02 on; ``forecast`` in ``run.json``.

    Attributes:
        seconds: Number of a notebook, two digits → seconds by the clock, at most.
        memory: Bytes of the largest process.
        disk: Bytes of the run folder at its end.
        checkpoints: Bytes besides, while networks train.
        shared: Bytes of prepared pixels and features, which later runs use as well.
        speed: What it follows from.
    """

    seconds: dict[str, float]
    memory: float
    disk: float
    checkpoints: float
    shared: float
    speed: Speed = field(default_factory=Speed)

    @property
    def total(self) -> float:
        """Seconds of all notebooks."""
        return sum(self.seconds.values())


@dataclass(frozen=True)
class Actual(Record):
    """What a run took: see ``Forecast``; nan where it was not measured."""

    seconds: dict[str, float]
    memory: float = math.nan
    disk: float = math.nan


def forecast(
    model: keras.Model, dataset: Dataset, settings: Settings, trial: RateTest | None = None
) -> Forecast:
    """Return what a run will take, from a few steps that are timed; nothing is changed.

    Args:
        model: A new network for this dataset.
        dataset: Prepared pixels; their size on disk counts.
        settings: Of the run.
        trial: From ``training.range_test``, whose steps were timed; None of a probe alone.
    """
    speed = measured(model, dataset, settings, trial)
    weights = FLOAT * float(model.count_params())
    return Forecast(
        seconds=_seconds(dataset, settings, speed),
        memory=_memory(model, dataset, settings),
        disk=PAGES + WEIGHTS_STORED * len(settings.seeds) * weights,
        checkpoints=_in_checkpoints(settings) * weights if trial else 0.0,
        shared=dataset.pixels.nbytes + _features(model, dataset, settings),
        speed=speed,
    )


def trial_steps(dataset: Dataset, settings: Settings) -> int:
    """Return how many steps the range test may take to cost a twenty-fifth of the run's own."""
    unit = Speed(step=1.0)  # a second a step; what is no step counts for nothing
    seconds = _seconds(dataset, settings, unit, epoch=0.0)
    planned = sum(seconds[name] - FIXED[name] for name in seconds)
    return max(LEAST_STEPS, min(MOST_STEPS, round(planned / 25)))


def checks(found: Forecast, *, free_disk: float, free_memory: float) -> list[Check]:
    """Return what is to be said of a forecast on this machine.

    Args:
        found: The forecast.
        free_disk: Bytes where the run folder lies.
        free_memory: Bytes that a process may still take.

    Raises:
        InputError: Not even half of the disk that is needed is free.
    """
    needed, crowded, tight = found.disk + found.checkpoints, "", ""
    if free_disk < needed:
        crowded = (
            f"The run takes about {_size(needed)} on disk and {_size(free_disk)} are free. Make "
            "room, or set CNNLAB_HOME to a place that has it."
        )
    if free_disk < needed / 2:
        raise InputError(crowded)
    if found.memory > free_memory:
        tight = (
            f"A training takes about {_size(found.memory)} of memory and {_size(free_memory)} are "
            "free: close other programs, or set batch_size or image_size lower in a new run."
        )
    disk = (
        f"{_size(found.disk)}, {_size(found.checkpoints)} more while it trains, "
        f"{_size(found.shared)} of prepared pixels and features"
    )
    parts = ", ".join(f"{name} {_time(each)}" for name, each in found.seconds.items())
    return [
        Check("time", f"at most {_time(found.total)}: {parts}", ""),
        Check("memory", _size(found.memory), f"at most {_size(free_memory)}, free now", tight),
        Check("disk", disk, f"at most {_size(free_disk)}, free now", crowded),
    ]


def compared(foretold: Forecast, actual: Actual) -> pd.DataFrame:
    """Return foretold and actual side by side, as text; of the notebooks that were executed."""
    both = [name for name in foretold.seconds if name in actual.seconds]
    told, took = (sum((each.seconds[name] for name in both), 0.0) for each in (foretold, actual))
    pairs = [
        ("time", told, took, _time),
        ("memory", foretold.memory, actual.memory, _size),
        ("disk", foretold.disk, actual.disk, _size),
    ]
    rows = [
        (name, shown(told), shown(came), f"{told / came:.2f}")
        for name, told, came, shown in pairs
        if math.isfinite(came) and came > 0
    ]
    return pd.DataFrame(rows, columns=["", "foretold", "actual", "foretold : actual"])


def _seconds(
    dataset: Dataset, settings: Settings, speed: Speed, *, epoch: float = EPOCH
) -> dict[str, float]:
    """Return the seconds of each notebook that follows."""
    sides = dataset.table["split"]
    train, held = int((sides == "train").sum()), int((sides == "validation").sum())
    pool, judged = train + held, settings.evaluation
    recipe = from_settings(settings)
    alone = recipe.only_probes

    def training(images: int, judging: int, plan: Recipe) -> float:
        return _training(images, judging, plan, settings, speed, epoch)

    whole = training(train, held, recipe)
    curve = sum(
        CURVE_SEEDS[alone] * training(ceil(train * share), held, recipe) for share in CURVE[alone]
    )
    left = ceil(pool * (1 - 1 / judged.folds))
    cut = 0 if alone else ceil(left * settings.data.validation_fraction)
    plan = from_settings(settings, epochs=None if alone else judged.fold_epochs)
    folds = judged.folds * training(left - cut, cut, plan)
    seeds = (len(settings.seeds) - 1) * whole
    views = (1 + settings.training.feature_views) if recipe.probes else 0
    features = views * pool * speed.image
    explained = EXPLAINING * (0.1 if judged.explanations == "brief" else 1.0)
    own = {
        "03": features + whole + curve + len(sides) * speed.image,
        "04": folds + seeds + (len(sides) + judged.strangers) * speed.image,
        "05": explained * speed.image,
    }
    return {name: speed.pace * fixed + own.get(name, 0.0) for name, fixed in FIXED.items()}


def _training(
    images: int, judging: int, recipe: Recipe, settings: Settings, speed: Speed, besides: float
) -> float:
    """Return the seconds of one training of so many images, at most."""
    size, total = settings.data.image_size, 0.0
    last = recipe.stages[-1].image_size or size
    for stage in recipe.stages:
        if stage.probes:
            total += images * (1 + settings.training.feature_views) * speed.head
            continue
        area = ((stage.image_size or size) / last) ** 2
        steps = ceil(images / settings.training.batch_size)
        epoch = steps * speed.step * area + judging * speed.image + besides
        total += speed.first + stage.epochs * epoch
    return total


def _in_checkpoints(settings: Settings) -> int:
    """Return how many times both checkpoints together hold the weights, at most."""
    return 2 * (IN_CHECKPOINT + (settings.training.accumulate > 1))  # the gradients so far


def _memory(model: keras.Model, dataset: Dataset, settings: Settings) -> float:
    """Return the bytes of the largest process: a notebook that trains, its pixels mapped."""
    return memory_of(model, settings) + OTHER + dataset.pixels.nbytes


def _features(model: keras.Model, dataset: Dataset, settings: Settings) -> float:
    """Return the bytes of the features that a probe keeps."""
    if not from_settings(settings).probes:
        return 0.0
    rows = int((dataset.table["split"] != "test").sum()) * (1 + settings.training.feature_views)
    return float(FLOAT * rows * models.body(model).output_shape[-1])


def _size(count: float) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

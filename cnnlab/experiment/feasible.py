"""Whether a split is enough for everything that later notebooks do with it.

Notebook 01 asks before anything long runs: what a fold or an explanation would refuse after hours
is refused there, with the class by its name and settings that were tried and hold.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cnnlab.config import InputError, Settings, child_seed
from cnnlab.data import earlier, splits
from cnnlab.data.batches import Dataset
from cnnlab.evaluation import crossval
from cnnlab.training import held_out, probe
from cnnlab.training.recipe import from_settings

MOST_FOLDS = 20  # what the setting ``folds`` allows
MAPPED = 4  # validation images that the map of notebook 05 takes at least
SMALLEST = 0.25  # of the training images: the least that anything trains on by steps
NAMED = 3  # classes in a message


def check(table: pd.DataFrame, settings: Settings, class_order: Sequence[str] = ()) -> None:
    """Raise InputError where a later notebook would refuse the split.

    Args:
        table: From ``splits.assign``: every class is in training, validation and test.
        settings: ``folds``, ``validation_fraction``, the recipe and the seed, which decide folds.
        class_order: As for ``batches.open_dataset``.

    Raises:
        InputError: There are fewer than two classes or ``MAPPED`` validation images, or the
            images outside the test set cannot fill the folds; the message has the cure.
    """
    table = table.assign(unit=splits.units(table))
    used = table[table["split"] != "excluded"].reset_index(drop=True)
    names = earlier.ordered(used["label"].tolist(), class_order)
    data = Dataset(np.empty(0, np.uint8), used, names)
    if len(data.class_names) < 2:
        raise InputError(
            f"The only class is {', '.join(map(repr, data.class_names))}: expected at least two to "
            "tell apart. Add a folder of images of another class."
        )
    count = int((used["split"] == "validation").sum())
    if count < MAPPED:
        raise InputError(
            f"There are {count} validation images: notebook 05 needs at least {MAPPED}. Add images "
            "of each class, or set validation_fraction higher in a new run."
        )
    _check_steps(int((used["split"] == "train").sum()), settings)
    _check_folds(data, settings)


def _check_steps(images: int, settings: Settings) -> None:
    """Raise InputError where a training of a part of the images ends before its first step."""
    given = settings.training
    plans = [from_settings(settings)]
    if not plans[0].only_probes:
        plans.append(from_settings(settings, epochs=settings.evaluation.fold_epochs))
    stages = [stage for plan in plans for stage in plan.stages if not stage.probes]
    shortest = min((stage.epochs for stage in stages), default=0)
    batches = shortest * math.ceil(images * SMALLEST / given.batch_size)
    if stages and batches < given.accumulate:
        raise InputError(
            f"accumulate={given.accumulate} and {batches} batch{'es' if batches != 1 else ''} in "
            "the shortest stage "
            f"({shortest} epoch{'s' if shortest != 1 else ''}, a quarter of {images} training "
            "images, which the learning curve of notebook 03 trains on): its weights would never "
            f"change. Expected accumulate of at most {batches}, or more epochs, in a new run."
        )


def _check_folds(data: Dataset, settings: Settings) -> None:
    """Raise InputError unless the folds of notebook 04 can be made and trained."""
    k = settings.evaluation.folds
    refused = _refused(data, settings, k)
    if not refused:
        return
    fewer = (each for each in range(k - 1, 1, -1) if not _refused(data, settings, each))
    more = (each for each in range(k + 1, MOST_FOLDS + 1) if not _refused(data, settings, each))
    works = next(fewer, 0) or next(more, 0)
    raise InputError(f"{_said(data, settings, k)} {_cure(data, settings, works)}")


def _refused(data: Dataset, settings: Settings, k: int) -> str:
    """Return why notebook 04 would refuse k folds; "" if it would not."""
    pool = _pool(data)
    labels, units = data.labels[pool], data.units[pool]
    judged = _judges_epochs(settings)
    if _surely(labels, units, k, judged):
        return ""
    try:
        pairs = crossval.folds(labels, units, k, child_seed(settings.seed, "folds"))
        for fold, (training, _) in enumerate(pairs, start=1) if judged else ():
            seed = child_seed(settings.seed, f"fold/{fold}")
            fraction = settings.data.validation_fraction
            held_out.hold_out(data, pool[training], fraction, seed)
    except InputError as error:
        return str(error)
    return ""


def _surely(labels: np.ndarray, units: np.ndarray, k: int, judged: bool) -> bool:
    """Return whether folds exist whatever the seed, so that none need be tried.

    Units of one class each are dealt one by one to the fold with the fewest images of it, so with
    k of them every fold has one, and the others have k − 1: two for training and early stopping.
    """
    pairs = pd.DataFrame({"unit": units, "label": labels}).drop_duplicates()
    if pairs["unit"].duplicated().any():
        return False
    return bool(pairs["label"].value_counts().min() >= k and (k > 2 or not judged))


def _judges_epochs(settings: Settings) -> bool:
    """Return whether each fold needs images of its own that judge its epochs."""
    return not probe.alone(settings) or bool(settings.model.hidden_units)


def _pool(data: Dataset) -> np.ndarray:
    return np.flatnonzero(data.table["split"].to_numpy() != "test")


def _said(data: Dataset, settings: Settings, k: int) -> str:
    """Return which classes are too small, by name; or that groups hang together too much."""
    needed, counts = _needed(settings, k), _counts(data)
    small = counts[counts["units"] < needed]
    pooled = data.table.iloc[_pool(data)]
    if small.empty:
        tied = pooled.groupby("unit")["label"].nunique()
        names = tied.index[tied > 1].str.removeprefix("group/")
        shared = f" {len(names)} groups hold images of several classes," if len(names) else ""
        return (
            f"The images cannot be cut into {k} folds with every class in each:{shared} "
            f"{pooled['unit'].nunique()} groups in all, and a group is never divided."
        )
    grouped = (data.table["group"] != "").any()
    listed = [
        f"{name!r} has {row.images} in {row.units} group{'s' if row.units != 1 else ''}"
        if grouped
        else f"{name!r} has {row.units}"
        for name, row in zip(small.index[:NAMED], small.itertuples(), strict=False)
    ]
    more = f" and {len(small) - NAMED} more classes have too few" if len(small) > NAMED else ""
    what = "groups" if grouped else "distinct images"
    return (
        f"Too few images outside the test set for folds={k}: class {', '.join(listed)}{more}; "
        f"expected at least {needed} {what} of each class."
    )


def _cure(data: Dataset, settings: Settings, works: int) -> str:
    grouped = (data.table["group"] != "").any()
    of = " from other groups" if grouped else ""
    if works:
        return (
            f"Set folds={works} (--set folds={works}), which these images allow, or add some{of}."
        )
    least = min(_needed(settings, each) for each in (2, 3))
    return (
        f"No other number of folds would do: add images{of}, until each class has at least {least} "
        "outside the test set and no group holds most of a class."
    )


def _needed(settings: Settings, k: int) -> int:
    """Return how many units of each class k folds take, at least."""
    return 4 if k == 2 and _judges_epochs(settings) else k


def _counts(data: Dataset) -> pd.DataFrame:
    """Return images and units of each class outside the test set, the smallest class first."""
    by_label = data.table.iloc[_pool(data)].groupby("label")
    counts = pd.DataFrame({"images": by_label.size(), "units": by_label["unit"].nunique()})
    return counts.sort_values("units", kind="stable")

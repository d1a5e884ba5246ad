"""Whether two runs answered the same images, and what may then be said of their difference.

Answers are paired by what the images show (the SHA-256 of their files) and what they are called,
never by path. Where test sets or folds differ there is nothing to pair, and the words say so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from cnnlab.config import InputError, value_of
from cnnlab.data import splits, tables
from cnnlab.evaluation import registry, resampling
from cnnlab.evaluation.intervals import Interval
from cnnlab.runs import results
from cnnlab.runs.folder import Run
from cnnlab.statistics import paired_tests

MANIFEST = "manifest.csv"
TEST, FOLDS, SPLITS = "predictions/test.csv", "predictions/kfold.csv", "splits.csv"
FOLD_SCORES = "metrics/kfold.json"


@dataclass(frozen=True)
class Paired:
    """What came out of a comparison, in words, and each difference, first minus second.

    ``differences`` is empty where the answers cannot be paired.
    """

    words: str
    differences: dict[str, Interval]


def by_images(first: Run, second: Run, names: tuple[str, str]) -> Paired:
    """Compare two runs on the test set: McNemar's test, and the differences of the headlines.

    Args:
        first: A run.
        second: Another.
        names: What they are called in a sentence.
    """
    missing = _missing((first, second), TEST)
    if missing:
        return Paired(missing, {})
    answers = [_answers(run, TEST).sort_values(["sha256", "label"]) for run in (first, second)]
    reason = _other_images(answers, names)
    if reason:
        return Paired(
            f"{reason} The answers cannot be paired, so nothing here says whether a difference is "
            "more than chance. Intervals that overlap do not show that two models are equal.",
            {},
        )
    right = [table["correct"].to_numpy(bool) for table in answers]
    by_image = paired_tests.mcnemar(*right, groups=_groups(answers))
    verdict = paired_tests.image_verdict(by_image, first=names[0], second=names[1])
    return Paired(verdict, _differences(answers, first.settings.evaluation.bootstrap_samples))


def by_folds(first: Run, second: Run, names: tuple[str, str]) -> Paired:
    """Compare two runs by cross-validation: corrected t-test and McNemar, if the folds are equal.

    Args:
        first: A run.
        second: Another.
        names: What they are called in a sentence.
    """
    missing = _missing((first, second), FOLDS, FOLD_SCORES)
    if missing:
        return Paired(missing, {})
    answers = [_answers(run, FOLDS) for run in (first, second)]
    reason = _other_folds(first, second, answers)
    if reason:
        return Paired(
            f"The folds differ: {reason}. Their scores cannot be paired, so nothing here says "
            "whether a difference is more than chance; the deviation over folds is no standard "
            "error, because folds share training images.",
            {},
        )
    scores = [found.table() for found in map(results.kfold, (first, second)) if found]
    sizes = {name: float(scores[0][name].mean()) for name in ("n_train", "n_test")}
    tests = {
        score: paired_tests.corrected_t_test(scores[0][score], scores[1][score], **sizes)
        for score in registry.shown(registry.FOLDS)
        if all(score in table for table in scores)  # an older run lacks a newer metric
    }
    right = [table["correct"].to_numpy(bool) for table in answers]
    by_image = paired_tests.mcnemar(*right, groups=_groups(answers))
    verdict = paired_tests.verdict(tests["accuracy"], by_image, first=names[0], second=names[1])
    limits = {key: Interval(test.difference, test.low, test.high) for key, test in tests.items()}
    return Paired(verdict, limits)


def _missing(runs: tuple[Run, Run], *relative: str) -> str:
    """Return which notebook has to run first, "" if none."""
    said = []
    for run in runs:
        try:
            for needed in (MANIFEST, SPLITS, *relative):
                run.require(needed)
        except InputError as error:
            said.append(str(error))
    return " ".join(said)


def _answers(run: Run, relative: str) -> pd.DataFrame:
    """Return a run's predictions with the unit and the SHA-256 of every image."""
    found = run.load_table(relative)
    listed = tables.read(run.require(MANIFEST), "manifest")
    table = splits.read(run.require(SPLITS))
    units = dict(zip(table["path"], splits.units(table), strict=True))
    hashes = listed.set_index("path")["sha256"]
    return found.assign(
        sha256=found["path"].map(hashes),
        unit=found["path"].map(units),
        declared=bool((table["group"] != "").any()),
    )


def _groups(answers: list[pd.DataFrame]) -> np.ndarray | None:
    """Return what images depend on each other, (N,); None where neither run declared groups."""
    declared = [table["unit"].to_numpy() for table in answers if table["declared"].any()]
    return declared[0] if declared else None


def _other_images(answers: list[pd.DataFrame], names: tuple[str, str]) -> str:
    """Return why the answers are to other questions, "" if they are to the same."""
    images = [list(zip(table["sha256"], table["label"], strict=True)) for table in answers]
    if images[0] != images[1]:
        both = len(set(images[0]) & set(images[1]))
        return (
            f"The test sets differ: {len(images[0]):,} images in {names[0]}, {len(images[1]):,} in "
            f"{names[1]}, {both:,} with the same label in both."
        )
    known = [list(_probabilities(table)) for table in answers]
    if known[0] != known[1]:
        sizes = f"{names[0]} knows {len(known[0])}, {names[1]} {len(known[1])}"
        return f"The classes differ: {sizes}."
    return ""


def _other_folds(first: Run, second: Run, answers: list[pd.DataFrame]) -> str:
    """Return why two runs have different folds, "" if they are the same.

    Folds follow from the images in their order, their labels and units, the number of folds, the
    seed and scikit-learn.
    """
    for name, what in (("folds", "their number"), ("seed", "the seed that draws them")):
        values = [value_of(run.settings, name) for run in (first, second)]
        if values[0] != values[1]:
            return f"{what} is {values[0]} in one run and {values[1]} in the other"
    columns = ["sha256", "label", "unit"]
    rows = [table[columns].to_numpy().tolist() for table in answers]
    if rows[0] != rows[1]:
        return "they are made of other images, labels, copies or groups"
    versions = [run.state()["versions"].get("scikit-learn") for run in (first, second)]
    if versions[0] != versions[1]:
        return f"scikit-learn drew them in versions {versions[0]} and {versions[1]}"
    return ""


def _differences(answers: list[pd.DataFrame], samples: int) -> dict[str, Interval]:
    """Return every headline's difference on the same images, with its bootstrap interval."""
    names = [name.removeprefix("p_") for name in _probabilities(answers[0])]
    labels = answers[0]["label"].map(names.index).to_numpy()
    both = np.hstack([_probabilities(table).to_numpy(float) for table in answers])  # (N, 2C)
    return {
        key: resampling.bootstrap(
            partial(_difference, metric.compute),
            labels,
            both,
            samples=samples,
            seed=0,
            groups=_groups(answers),
        )
        for key, metric in registry.shown(registry.COMPARISON).items()
    }


def _difference(
    score: Callable[[np.ndarray, np.ndarray], float], labels: np.ndarray, both: np.ndarray
) -> float:
    first, second = np.hsplit(both, 2)
    return score(labels, first) - score(labels, second)


def _probabilities(answers: pd.DataFrame) -> pd.DataFrame:
    return answers[[name for name in answers.columns if name.startswith("p_")]]

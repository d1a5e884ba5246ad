"""What a figure does not say, in the one wording that pages, cards, notebooks and terminal use."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from cnnlab.config import Settings
from cnnlab.config.data import NO_GROUPS
from cnnlab.data.audit.suspected_groups import RULES
from cnnlab.evaluation.seeds import SeedResults
from cnnlab.runs import results
from cnnlab.runs.folder import Run

ONE_TRAINING = (
    "These are the figures of one training. Their intervals say how they would move with other "
    "images; another seed, or the same seed on another processor, can move them further."
)
FOLDS = "The deviation over the folds gives an idea of how far."
SEVERAL = (
    "The test figures are those of the model that ships, seed {seed}. Their intervals say how they "
    "would move with other images; the deviation over {count} seeds, how they move with the luck "
    "of a training on the same split. Another processor can move them, too."
)


def trainings(seeds: SeedResults | None, *, folds: bool) -> str:
    """Return what belongs beside the figures of a model: whether they are those of one training.

    Args:
        seeds: The trainings with each seed; None where nobody has counted them.
        folds: Whether the deviation over the folds of a cross-validation stands near.
    """
    if seeds and seeds.several:
        return SEVERAL.format(seed=seeds.runs[0].seed, count=len(seeds.runs))
    return f"{ONE_TRAINING} {FOLDS}" if folds else ONE_TRAINING


def seeds(settings: Settings, run: str) -> str:
    """Return how many trainings there are, and what one alone does not say.

    Args:
        settings: Of the run.
        run: Its name.
    """
    first, *others = settings.seeds
    if not others:
        more = ",".join(str(first + step) for step in range(3))
        return (
            "One training says nothing of the luck of its seed. To train with further seeds and "
            f"report mean ± deviation: cnnlab run --run {run} --seeds {more}"
        )
    return f"{len(others) + 1} trainings; the model of seed {first} ships."


def beside_test(run: Run) -> str:
    """Return what belongs beside a run's test figures; "" while there are none."""
    test = results.test(run)
    if not test:
        return ""
    few = test.scores.interval.warning  # of few groups
    said = trainings(results.seeds(run), folds=results.kfold(run) is not None)
    return " ".join(filter(None, (few, said)))


def groups(run: Run, table: pd.DataFrame) -> str:
    """Return whether groups (a patient, a video) were declared, dismissed, suspected, or neither.

    Args:
        run: Gives the settings and what notebook 01 suspected, which an earlier version did not.
        table: The split.
    """
    declared = table.loc[table["group"] != "", "group"].nunique()
    if declared:
        return f"{declared:,} groups were declared; no group stands on two sides."
    if run.settings.data.groups_dismissed:
        return (
            f"No groups: the settings say that no images belong together (group_by={NO_GROUPS}). "
            "Two pictures count as independent."
        )
    found = results.audit(run)
    if found is None or found.suspected_groups is None:
        return "No groups were declared: two pictures count as independent."
    if not found.suspected_groups:
        return "No groups were declared, and none are suspected: two pictures count as independent."
    return suspected_groups(found.suspected_groups)


def suspected_groups(rows: Iterable[dict[str, Any]]) -> str:
    """Return which groups were suspected and not declared, and what that means for the figures.

    Args:
        rows: Of ``Audit.suspected_groups``, at least one.
    """
    listed = "; ".join(
        f"{row['groups']:,} by {RULES[row['rule']]}, such as {row['example']!r}, "
        f"{row['divided']:,} of them divided by the split"
        for row in rows
    )
    return (
        f"No groups were declared, but some are suspected: {listed}. Where images of a group stand "
        "on several sides, all figures are better than they should be."
    )


def wrong_labels(run: Run) -> str:
    """Return what the wrong labels of a run mean for its figures; "" where none are known."""
    found = results.suspected_labels(run)
    if not found or not found.planted:
        return ""
    return (
        f"Wrong on purpose: {found.planted:,} of the {found.images:,} labels that cross-validation "
        f"used; found by it: {found.found:,}, among {found.suspected:,} that it suspects. "
        f"Its accuracy is {found.accuracy:.3f} against these labels and {found.true_accuracy:.3f} "
        "against the true classes."
    )

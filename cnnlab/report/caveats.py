"""What a figure does not say, in the one wording that pages, cards, notebooks and terminal use."""

from cnnlab.runs import results
from cnnlab.runs.folder import Run

ONE_TRAINING = (
    "These are the figures of one training. Their intervals say how they would move with other "
    "images; another seed, or the same seed on another processor, can move them further."
)
FOLDS = "The deviation over the folds gives an idea of how far."


def one_training(folds: bool) -> str:
    """Return what belongs beside the figures of a single training.

    Args:
        folds: Whether the deviation over the folds of a cross-validation stands near.
    """
    return f"{ONE_TRAINING} {FOLDS}" if folds else ONE_TRAINING


def beside_test(run: Run) -> str:
    """Return what belongs beside a run's test figures; "" while there are none."""
    test = results.test(run)
    if not test:
        return ""
    few = test.scores.interval.warning  # of few groups
    return " ".join(filter(None, (few, one_training(results.kfold(run) is not None))))


def wrong_labels(run: Run) -> str:
    """Return what the wrong labels of a run mean for its figures; "" where none are known."""
    found = results.suspected_labels(run)
    if not found or not found.planted:
        return ""
    return (
        f"{found.planted:,} of the {found.images:,} labels that cross-validation used are wrong "
        f"on purpose; {found.found:,} of them are among the {found.suspected:,} that it suspects. "
        f"Its accuracy is {found.accuracy:.3f} against these labels and {found.true_accuracy:.3f} "
        "against the true classes."
    )

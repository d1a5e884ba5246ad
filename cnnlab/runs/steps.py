"""The steps of a run, one a notebook: what each needs, writes and draws.

Every other list of notebooks derives from ``STEPS``; ``tests/runs/test_steps.py`` holds it to what
the notebooks' cells do. How long a step takes is measured in each run, not written down.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A picture that a step draws, ``figures/<name>.png``.

    Attributes:
        name: The file's name, without its ending.
        caption: What it shows; "" for one that the front page links and does not show.
        place: Its order on the front page, the smallest first.
        printed: The pages that keep it on paper: "run" (the front page), "comparison".
    """

    name: str
    caption: str = ""
    place: int = 0
    printed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One notebook.

    Attributes:
        name: The notebook's name; its first two digits are its number.
        needs: The steps whose results it reads; those that these need are implied.
        writes: Paths in the run folder; one that ends in "/" is a folder with all in it. Where two
            steps write a path, it is missing because the earlier one has not run.
        figures: What it draws, where there is something to draw.
        reproducible: The result that shows that the step was executed; ``cnnlab reproduce`` then
            executes it again. "" for a step without numbers of its own.
        settings: The names of the settings in ``evaluation`` and ``report`` that it reads.
    """

    name: str
    needs: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    reproducible: str = ""
    settings: tuple[str, ...] = ()

    @property
    def number(self) -> str:
        """The two digits that ``--only`` selects it by."""
        return self.name[:2]


def _linked(*names: str) -> tuple[Figure, ...]:
    return tuple(map(Figure, names))


PAPER = ("run", "comparison")

STEPS: tuple[Step, ...] = (
    Step(
        "01_explore_data",
        writes=("manifest.csv", "metrics/audit.json", "splits.csv", "dataset_card.md"),
        figures=(
            Figure("sample", "Images of the dataset", 100),
            *_linked("balance", "sizes", "fits", "copies", "outliers", "class_means"),
        ),
        reproducible="splits.csv",
        settings=("example_images", "figure_dpi"),
    ),
    Step(
        "02_augmentation",
        needs=("01_explore_data",),
        figures=_linked(
            "draws", "augmentation_alone", "augmentation_together", "resampling", "batch"
        ),
        settings=("figure_dpi",),
    ),
    Step(
        "03_training",
        needs=("01_explore_data",),
        writes=(
            *("training/history.csv", "training/learning_curve.csv", "metrics/doctor.json"),
            *("metrics/validation.json", "predictions/validation.csv", "model/"),
        ),
        figures=(
            Figure("training_history", "Training: loss and accuracy by epoch", 60),
            Figure("strengths", "The head's penalty, chosen by cross-validation", 61),
            *_linked("rate_finder", "learning_rates", "confusion_validation", "highest_losses"),
            *_linked("learning_curve"),
        ),
        reproducible="model/contract.json",
        settings=("bootstrap_samples", "example_images", "figure_dpi"),
    ),
    Step(
        "04_kfold_evaluation",
        needs=("01_explore_data", "03_training"),
        writes=(
            *("metrics/kfold.json", "metrics/slices.csv", "metrics/confused_pairs.csv"),
            *("metrics/suspected_labels.csv", "metrics/suspected_labels.json", "metrics/test.json"),
            "metrics/seeds.json",
            *("predictions/kfold.csv", "predictions/test.csv", "model/card.md"),
        ),
        figures=(
            Figure("confusion_test", "Test set: true class against predicted class", 30, PAPER),
            Figure(
                "reliability",
                "Test set: how often answers of each confidence are right",
                40,
                ("comparison",),
            ),
            Figure("calibration_by_class", "Test set: each class's frequency and probability", 45),
            Figure("roc_test", "Test set: ROC curve of each class against the others", 50),
            Figure("per_class_test", "Test set: precision, recall and F1 by class", 70),
            Figure(
                "slices",
                "Held-out images: where it is worse than on others of the same classes",
                80,
            ),
            Figure("fold_scores", "Cross-validation, fold by fold, beside a linear classifier", 90),
            *_linked("confusion_kfold", "roc_kfold", "confused_pairs", "suspected_labels"),
            *_linked("precision_recall_test", "set_sizes", "novelty"),
        ),
        reproducible="metrics/test.json",
        settings=(
            "folds",
            "fold_epochs",
            "bootstrap_samples",
            "strangers",
            "figure_dpi",
            "more_seeds",
        ),
    ),
    Step(
        "05_interpretability",
        needs=("03_training",),
        writes=("metrics/explanations.json",),
        figures=(
            Figure("cam_correct", "Where the evidence lies when the network is right", 10, PAPER),
            Figure("cam_wrong", "… and when it is wrong, or least certain", 20),
            *_linked("cam_methods", "vanishing", "baseline_gaps", "filters", "patches"),
            *_linked("maximised", "activations", "depth", "embedding", "neighbours"),
        ),
        settings=("explained_images", "explanations", "example_images", "figure_dpi"),
    ),
    Step(
        "06_inference_demo",
        needs=("03_training",),
        figures=_linked("prediction", "prediction_heatmap"),
        settings=("figure_dpi",),
    ),
    Step(
        "07_deployment",
        needs=("03_training",),
        writes=("metrics/serving.json",),
        figures=_linked("serving_load"),
        settings=("figure_dpi",),
    ),
)


def named(name: str) -> Step | None:
    """Return a step by its name; None for a notebook that is none of ours."""
    return next((step for step in STEPS if step.name == name), None)


def writer(relative: str) -> Step | None:
    """Return the first step that writes a path of the run folder, None if none does.

    Example:
        >>> writer("model/contract.json").name
        '03_training'
    """
    for step in STEPS:
        for path in step.writes:
            if relative == path or (path.endswith("/") and f"{relative}/".startswith(path)):
                return step
    return None


def hint(relative: str) -> str:
    """Return which notebook to run where a path is missing: "run notebook …"; "" if none helps."""
    step = writer(relative)
    return f"run notebook {step.name}" if step else ""


def drawn_by(figure: str) -> str:
    """Return the name of the step that draws a figure.

    Raises:
        KeyError: None does.
    """
    return {each.name: step.name for step in STEPS for each in step.figures}[figure]


def front_page() -> list[Figure]:
    """Return the figures that the front page shows, in its order."""
    shown = [figure for step in STEPS for figure in step.figures if figure.caption]
    return sorted(shown, key=lambda figure: figure.place)


def upstream(name: str) -> list[Step]:
    """Return all steps that a step builds on, directly or through others, in their order."""
    step = named(name)
    found = {*step.needs} if step else set()
    for direct in [*found]:
        found |= {each.name for each in upstream(direct)}
    return [each for each in STEPS if each.name in found]


def reproducible() -> list[Step]:
    """Return the steps that ``cnnlab reproduce`` executes again."""
    return [step for step in STEPS if step.reproducible]


def affected_by(settings: Collection[str]) -> list[Step]:
    """Return the steps that read any of the named ``evaluation`` or ``report`` settings.

    What these write changes with the setting. Steps downstream of them are not listed: they are
    out of date once an affected one has run again.

    Example:
        >>> [step.number for step in affected_by(["folds"])]
        ['04']
    """
    return [step for step in STEPS if {*settings} & {*step.settings}]

"""The model card: what a model is, what it was measured to do, and what nobody has shown."""

from collections.abc import Sequence

from cnnlab.config import Settings
from cnnlab.config.data import fitting
from cnnlab.data import splits
from cnnlab.evaluation import registry
from cnnlab.evaluation.intervals import Interval
from cnnlab.evaluation.records import CrossValidation, TestResult, ValidationResult
from cnnlab.evaluation.seeds import SeedResults
from cnnlab.report import caveats, weights_origin
from cnnlab.runs import exposure
from cnnlab.runs.folder import Run
from cnnlab.text import markdown
from cnnlab.text.markdown import Markdown

LIMITS = Markdown(
    """\
- The label is always one of the classes above, also for a picture that shows none of them;
  *none of these* catches a part of such pictures only.
- Probabilities, prediction sets and *none of these* were fitted on the validation images{also}:
  on other pictures of the same kind they may fall a little short.
- The intervals say how the figures would move with other images *of the same kind*. Pictures from
  another camera, place or time are another kind; measure again before relying on them.
- Heatmaps show where the evidence lies, not why; they prove nothing about single answers."""
)


def model_card(
    run: Run,
    *,
    validation: ValidationResult,
    kfold: CrossValidation | None = None,
    test: TestResult | None = None,
    seeds: SeedResults | None = None,
) -> Markdown:
    """Return the card of a run's model.

    Args:
        run: Gives the settings, the split, the training history and the provenance.
        validation: What the validation images gave.
        kfold: The cross-validation, once it was done.
        test: What the test images gave, once they were opened.
        seeds: What the trainings with each seed gave.
    """
    from cnnlab.report import trained  # it loads TensorFlow, which no other page needs

    chose = trained.chooses_epoch(run.settings)
    sections: dict[str, str] = {
        "Data": _data(run),
        "Pretrained weights": _weights(run),
        "Protocol": _protocol(run),
        "Results": _results(validation, kfold, test, seeds, exposure.of(run), run.settings),
        "Calibration": _calibration(validation, test),
        "Limits": LIMITS.format(also=", which also chose the epoch" if chose else ""),
        "Provenance": _provenance(run),
    }
    title = Markdown("# Model card: {}\n\n{}").format(
        run.name, _purpose(validation.scores.class_names)
    )
    return markdown.document(title, sections)


def _purpose(class_names: Sequence[str]) -> Markdown:
    return Markdown(
        "An image classifier for {} classes: {}.\n\n"
        "Intended for pictures like those it was trained on, as an aid to a person who can check "
        "the answer. Not intended for decisions about people."
    ).format(len(class_names), ", ".join(class_names))


def _data(run: Run) -> Markdown:
    table = run.load_table("splits.csv")
    counts = table.groupby(["label", "split"]).size().unstack(fill_value=0).reset_index()
    dataset = run.state()["dataset"] or {}
    named = Markdown(
        "Dataset {}, manifest SHA-256 {}. "
        "Images per class and split; *excluded* are copies and conflicts:"
    ).format(*(markdown.code(dataset.get(key, "?")) for key in ("name", "sha256")))
    listed = markdown.table(list(counts), counts.to_numpy().tolist())
    grouped = caveats.groups(run, splits.read(run.require("splits.csv")))
    return markdown.paragraphs(named, listed, grouped, caveats.wrong_labels(run))


def _weights(run: Run) -> str:
    """Return what is to be known of weights that others trained; "" where none are used."""
    from cnnlab.report import trained

    known = weights_origin.found(run)
    return weights_origin.section(run, trained.learned(run.settings)) if known else ""


def _protocol(run: Run) -> Markdown:
    from cnnlab import augment  # it loads TensorFlow, as the next two do
    from cnnlab.report import trained
    from cnnlab.training import recipe

    data, model, training = run.settings.data, run.settings.model, run.settings.training
    options = f" ({model.network_options})" if model.network_options else ""
    network = f"{options}, input {data.image_size} × {data.image_size} RGB"
    if how := fitting(data.fit, data.background):
        network += f" ({how})"
    if model.hidden_units:
        network += f", with a hidden layer of {model.hidden_units} units"
    described, augmented = recipe.described(training), augment.described(run.settings.augmentation)
    if recipe.from_settings(run.settings).only_probes:
        how = (
            f"trained by steps until the validation loss fell no more; dropout {model.dropout:g}"
            if model.hidden_units
            else "a multinomial logistic regression, whose L2 penalty was chosen by "
            "cross-validation among the training images"
        )
        views = f" Augmentation of the views: {augmented}." if training.feature_views else ""
        said = f"{network}. {described}: {how}.{views} Seed {run.settings.seed}."
        return Markdown("Network {}{}").format(markdown.code(model.architecture), said)
    history = run.load_table("training/history.csv")
    best = trained.best_epoch(run.settings, history)
    said = (
        f"{network}; L2 {model.l2:g}, dropout {model.dropout:g}. {described}: "
        f"stopped after {len(history)}, weights of epoch {best}"
        f"{', which is the probe' if trained.kept_probe(run.settings, history) else ''}. "
        f"Augmentation: {augmented}. Seed {run.settings.seed}."
    )
    said = f"{said} {trained.steps(run.settings)}".rstrip()
    return Markdown("Network {}{}").format(markdown.code(model.architecture), said)


def _results(
    validation: ValidationResult,
    kfold: CrossValidation | None,
    test: TestResult | None,
    seeds: SeedResults | None,
    seen: exposure.Exposure,
    settings: Settings,
) -> Markdown:
    from cnnlab.report import trained

    chose = trained.chooses_epoch(settings)
    validated = "validation (chose the epoch)" if chose else "validation"
    splits = {seen.heading: test, validated: validation}
    known = {name: found.scores for name, found in splits.items() if found}
    rows = [
        [metric.label, *(_figure(metric, scores.score(name)) for scores in known.values())]
        for name, metric in registry.shown(registry.CARD).items()
    ]
    heads = [f"{name}, n = {scores.n}" for name, scores in known.items()]
    basis = next(iter(known.values())).interval  # of the test, once it was opened
    said = f"Brackets: {basis.level:.0%} intervals{basis.over}."
    said += f" {basis.warning}" if basis.warning else ""
    said += f" {caveats.trainings(seeds, folds=kfold is not None)}"
    varied = _over_seeds(seeds) if seeds and seeds.several else ""
    varied += f" {trained.seeds(settings)}" if varied and not chose else ""
    return markdown.paragraphs(
        markdown.table(["figure", *heads], rows),
        said,
        seen.dated if test and seen.text else "",
        varied,
        _over_folds(kfold) if kfold else "",
    )


def _over_folds(kfold: CrossValidation) -> str:
    spread = kfold.over_folds["accuracy"]
    text = (
        f"{kfold.k}-fold cross-validation of the protocol: accuracy "
        f"{spread.mean:.3f} ± {spread.deviation:.3f} (deviation over folds)."
    )
    return f"{text} {kfold.comparison.verdict}" if kfold.comparison else text


def _over_seeds(seeds: SeedResults) -> str:
    """Return mean, deviation and the single runs of the test figures, in a sentence."""
    listed = "; ".join(
        f"{metric.label} {seeds.spread(name)} ({', '.join(seeds.single(name))})"
        for name, metric in registry.shown(registry.FOLDS).items()
        if name in seeds.test
    )
    numbers = ", ".join(str(run.seed) for run in seeds.runs)
    return (
        f"{len(seeds.runs)} trainings on the same split, which differ in the seed alone: test "
        f"{listed}. Mean ± sample deviation; in brackets seeds {numbers}."
    )


def _figure(metric: registry.Metric, scored: Interval) -> str:
    """Return "estimate [low, high]", or a dash where the figure is not defined."""
    estimate, low, high = map(metric.text, (scored.estimate, scored.low, scored.high))
    return f"{estimate} [{low}, {high}]" if estimate != "–" else "–"


def _calibration(validation: ValidationResult, test: TestResult | None) -> Markdown:
    rules = validation.calibration
    sets, strange = rules.sets, rules.none_of_these
    lines = [
        f"Served is softmax(log p / T) with T = {rules.temperature:.3f}.",
        f"A prediction set holds every class of at least {sets.threshold:.3f}, to contain the "
        f"true one in about {sets.coverage:.0%} of all cases or more.",
        f"no class reaches {strange.threshold:.3f}: of known classes, {1 - strange.accepted:.0%}.",
    ]
    if test and test.sets:
        lines[1] += f" Test: {test.sets.coverage:.1%}, {test.sets.size:.2f} classes a set."
    if test and test.none_of_these:
        told = test.none_of_these
        lines[2] += (
            f" Test: {told.known:.1%}; of generated shapes that no class has, "
            f"{told.strangers:.1%} (AUROC {told.auroc:.2f})."
        )
    return Markdown("- {}\n- {}\n- *None of these* is said where {}").format(*lines)


def _provenance(run: Run) -> Markdown:
    state = run.state()
    versions = ", ".join(f"{name} {version}" for name, version in state["versions"].items())
    commit = state["commit"] or {"id": "unknown", "dirty": False}
    changed = " with local changes" if commit["dirty"] else ""
    named = map(markdown.code, (run.id, commit["id"]))
    return Markdown("Run {}, commit {}{}. {}.").format(*named, changed, versions)

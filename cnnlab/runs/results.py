"""What a run's notebooks left in ``metrics/``, typed; None for what was not measured yet."""

from dataclasses import dataclass, field, replace
from math import nan
from typing import TYPE_CHECKING, Any, TypeVar

from cnnlab.config import InputError
from cnnlab.data.audit.picture_size import PictureSizes
from cnnlab.evaluation.records import CrossValidation, TestResult, ValidationResult
from cnnlab.evaluation.seeds import SeedResults
from cnnlab.records import Record, key
from cnnlab.runs import steps
from cnnlab.runs.folder import Run

if TYPE_CHECKING:  # it imports TensorFlow
    from cnnlab.data.batches import Dataset

Kind = TypeVar("Kind", bound=Record)


@dataclass(frozen=True)
class FileCounts(Record):
    """How many files were found, and what became of them."""

    accepted: int
    quarantined: int
    skipped: int
    found: int


@dataclass(frozen=True)
class Audit(Record):
    """``metrics/audit.json``, see ``data.audit.summary``.

    Attributes:
        files: Found = accepted + quarantined + skipped.
        reasons: quarantined or skipped → reason → number of files.
        findings: Kind → number of findings.
        balance: Rows of label, split and count.
        imbalance: Images of the largest class over those of the smallest; nan if that is empty.
        sizes: How the images fit a square; None of an earlier version.
        warnings: What is worth a look before anything is trained.
        score: Rows of ``data.audit.score``: what was planted and found, of generated data.
        suspected_groups: Rows of ``suspected_groups.Suspicion.to_json``; None of an earlier
            version, which suspected nothing.
    """

    files: FileCounts
    reasons: dict[str, dict[str, int]]
    findings: dict[str, int] = field(default_factory=dict)
    balance: tuple[dict[str, Any], ...] = ()
    imbalance: float = nan
    sizes: PictureSizes | None = None
    warnings: tuple[str, ...] = ()
    score: tuple[dict[str, Any], ...] = ()
    suspected_groups: tuple[dict[str, Any], ...] | None = None


@dataclass(frozen=True)
class SuspectedLabels(Record):
    """``metrics/suspected_labels.json``; nothing is known, and all is 0 or nan, of a plain folder.

    Attributes:
        images: Labels that were looked at; of ``planted`` it is known that they are wrong.
        suspected: How many are on the list; ``found`` of them are wrong.
        recall: See ``evaluation.label_errors.score``, as for precision, first_precision, chance
            and named.
        accuracy: Of the held-out answers, against the labels.
        true_accuracy: The same against the true classes.
    """

    images: int = 0
    planted: int = 0
    suspected: int = 0
    found: int = 0
    recall: float = nan
    precision: float = nan
    first_precision: float = nan
    chance: float = nan
    named: float = nan
    accuracy: float = nan
    true_accuracy: float = nan


@dataclass(frozen=True)
class MethodResult(Record):
    """A heatmap method by one measure, see ``explain.quality.faithfulness.compare``.

    Attributes:
        method: Its name, or that of a baseline.
        images: How many it says something about.
        mean: Its score, with the limits ``low`` and ``high``.
        gap: How far it is ahead of the closer baseline, with limits; nan for a baseline.
        beats_both: Whether it is ahead of both; None for a baseline and for too few images.
    """

    method: str
    images: int
    mean: float = nan
    low: float = nan
    high: float = nan
    gap: float = nan
    gap_low: float = nan
    gap_high: float = nan
    beats_both: bool | None = None


@dataclass(frozen=True)
class Explanations(Record):
    """``metrics/explanations.json``.

    Attributes:
        images: How many the methods were tested on.
        verdicts: A sentence a method.
        faithfulness: Measure → the methods and baselines by it.
        randomization: Rows of ``explain.quality.randomization.summary``; in JSON under the key
            that it has had since version 0.1.0, like ``stages``.
        stages: Rows, what each stage has learnt.
        claims: Rows of ``explain.network.depth.claims``.
    """

    images: int = 0
    verdicts: tuple[str, ...] = ()
    faithfulness: dict[str, tuple[MethodResult, ...]] = field(default_factory=dict)
    randomization: tuple[dict[str, Any], ...] = field(default=(), metadata=key("scrambled"))
    stages: tuple[dict[str, Any], ...] = field(default=(), metadata=key("blocks"))
    claims: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True)
class Serving(Record):
    """``metrics/serving.json``: the server beside the notebook.

    Attributes:
        model_id: The model that both served.
        served: Whether there was a server; without one, nothing below was measured.
        files: How many both were asked about.
        same: How many they answered alike.
        largest_difference: Of any probability.
        hit_ratio: Share of the requests that the server's cache answered.
        hit_ratio_foretold: The same, as ``serving.server.request_stream`` predicts it.
        seconds: cached or fresh → rows of ``serving.server.load_test.curve``.
    """

    model_id: str
    served: bool
    files: int = 0
    same: int = 0
    largest_difference: float = nan
    hit_ratio: float = nan
    hit_ratio_foretold: float = nan
    seconds: dict[str, tuple[dict[str, Any], ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelFacts(Record):
    """What the front page says of ``model/contract.json``."""

    bytes: int
    parameters: int
    image_size: int
    preprocessing: dict[str, Any] | None = None  # of format 3


def audit(run: Run) -> Audit | None:
    """Return what notebook 01 found in the data."""
    return _optional(run, "metrics/audit.json", Audit)


def validation(run: Run) -> ValidationResult | None:
    """Return the scores on the validation images."""
    return _optional(run, "metrics/validation.json", ValidationResult)


def renewed_validation(run: Run, dataset: "Dataset") -> ValidationResult | None:
    """Return the scores on the validation images, by as many resamples as the settings ask now.

    Where ``bootstrap_samples`` changed since they were scored, the intervals are made again from
    the stored answers, and ``metrics/validation.json`` is written again.
    """
    from cnnlab.evaluation import scoring

    found, settings = validation(run), run.settings
    samples = settings.evaluation.bootstrap_samples
    if found is None or found.scores.interval.samples == samples:
        return found
    answered, names = run.load_table("predictions/validation.csv"), dataset.class_names
    scores = scoring.evaluate(
        answered["label"].map(names.index).to_numpy(),
        answered[[f"p_{name}" for name in names]].to_numpy("float32"),  # the CSV has all digits
        names,
        samples=samples,
        seed=settings.seed,
        groups=dataset.groups(dataset.indices("validation")),
    )
    renewed = replace(found, scores=scores)
    run.save_json("metrics/validation.json", renewed)
    return renewed


def kfold(run: Run) -> CrossValidation | None:
    """Return the cross-validation."""
    return _optional(run, "metrics/kfold.json", CrossValidation)


def suspected_labels(run: Run) -> SuspectedLabels | None:
    """Return how good the list of suspected labels is."""
    return _optional(run, "metrics/suspected_labels.json", SuspectedLabels)


def test(run: Run) -> TestResult | None:
    """Return the scores on the test images."""
    return _optional(run, "metrics/test.json", TestResult)


def seeds(run: Run) -> SeedResults | None:
    """Return what the trainings with each seed gave."""
    return _optional(run, "metrics/seeds.json", SeedResults)


def explanations(run: Run) -> Explanations | None:
    """Return how the heatmap methods did."""
    return _optional(run, "metrics/explanations.json", Explanations)


def model(run: Run) -> ModelFacts | None:
    """Return the size of the model."""
    return _optional(run, "model/contract.json", ModelFacts)


def _optional(run: Run, relative: str, kind: type[Kind]) -> Kind | None:
    path = run.folder / relative
    if not path.exists():
        return None
    try:
        return kind.read(path)
    except InputError as error:
        raise InputError(f"{error} To write it again, {steps.hint(relative)}.") from None

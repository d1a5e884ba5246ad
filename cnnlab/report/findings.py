"""What a run found, in sentences, and which of its heatmaps can be trusted."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import isnan

from cnnlab.evaluation.records import Evaluation, NoveltyResult, SetsResult
from cnnlab.report import caveats, weights_origin
from cnnlab.runs import exposure, results
from cnnlab.runs.folder import Run
from cnnlab.runs.results import MethodResult


@dataclass(frozen=True)
class Finding:
    """One finding: what it is about, and what came out."""

    about: str
    text: str


@dataclass(frozen=True)
class Heatmaps:
    """Every heatmap method beside the baselines, a random map and a centre prior."""

    images: int
    measures: list[str]
    methods: dict[str, list[MethodResult | None]]  # one a measure, None where it was not measured
    sentence: str


def findings(run: Run) -> list[Finding]:
    """Return what the notebooks left, in words; what was not measured is left out."""
    audit, test, kfold = results.audit(run), results.test(run), results.kfold(run)
    found = [Finding("Data", _data(audit))] if audit else []
    if began := weights_origin.sentence(run):
        found.append(Finding("Pretrained weights", began))
    if test:
        found.append(Finding("Test images", _test(test.scores)))
    if seen := exposure.of(run).text:
        found.append(Finding("Models tested on these images", seen))
    if audit and audit.suspected_groups:
        found.append(Finding("Groups", caveats.suspected_groups(audit.suspected_groups)))
    if wrong := caveats.wrong_labels(run):
        found.append(Finding("Wrong labels", wrong))
    if kfold and kfold.comparison:
        found.append(Finding("Against a cheap rival", kfold.comparison.verdict))
    if test and test.sets:
        found.append(Finding("When it is unsure", _unsure(test.sets, test.none_of_these)))
    return found


def heatmaps(run: Run) -> Heatmaps | None:
    """Return how every method did beside both baselines; None before notebook 05 has run."""
    explained = results.explanations(run)
    if not explained or not explained.faithfulness:
        return None
    tables = explained.faithfulness
    by_measure = {measure: {row.method: row for row in rows} for measure, rows in tables.items()}
    # A baseline is not compared with itself: it has no gap by any measure.
    names = dict.fromkeys(
        row.method for rows in tables.values() for row in rows if not isnan(row.gap)
    )
    methods = {name: [found.get(name) for found in by_measure.values()] for name in names}
    images = max(row.images for rows in tables.values() for row in rows)
    return Heatmaps(images, list(tables), methods, _judged(methods, list(tables), images))


def _data(audit: results.Audit) -> str:
    files, reasons = audit.files, audit.reasons.get("quarantined", {})
    why = ", ".join(f"{count} {reason.replace('_', ' ')}" for reason, count in reasons.items())
    text = f"{files.found:,} files were found and {files.accepted:,} accepted; "
    text += f"{files.quarantined:,} are in quarantine{f' ({why})' if why else ''}."
    copies = sum(audit.findings.get(kind, 0) for kind in ("exact_leak", "near_leak"))
    if copies:
        text += f" {copies:,} others were copies of test images and are left out."
    return text


def _test(scores: Evaluation) -> str:
    text = f"{scores.correct:,} of {scores.n:,} are classified right."
    known = (found for found in scores.per_class if not isnan(found.f1))
    scored = sorted(known, key=lambda found: found.f1)
    if scored and scored[0].f1 < scored[-1].f1:
        worst = scored[0]
        text += f" The class with the lowest F1 is {worst.name} ({worst.f1:.3f})."
    return text


def _unsure(sets: SetsResult, none: NoveltyResult | None) -> str:
    text = (
        f"Prediction sets that promise the true class in {sets.promised:.0%} of cases hold it "
        f"for {sets.coverage:.1%} of the test images, with {sets.size:.2f} classes on "
        "average."
    )
    if none:
        text += (
            f" “None of these” is said of {none.known:.1%} of the test images, wrongly, and of "
            f"{none.strangers:.1%} of pictures that show no known class, rightly."
        )
    return text.replace("%", " %")


def _judged(methods: dict[str, list[MethodResult | None]], measures: list[str], images: int) -> str:
    """Say which methods beat both baselines, and what it means that others do not."""
    judged = {
        name: {m: gap.beats_both for m, gap in zip(measures, gaps, strict=True) if gap}
        for name, gaps in methods.items()
    }
    won = {name: [m for m, beats in by.items() if beats] for name, by in judged.items()}
    always = [name for name, by in won.items() if len(by) == len(measures)]
    some = [f"{name} ({', '.join(by)})" for name, by in won.items() if 0 < len(by) < len(measures)]
    unknown = [name for name, by in judged.items() if set(by.values()) <= {None}]
    never = [name for name, by in won.items() if not by and name not in unknown]
    text = (
        f"On {images} images, {_listed(always) or 'no method'} "
        f"{'beat' if len(always) > 1 else 'beats'} both a random map and a centre prior by "
        "every measure."
    )
    if some:
        text += f" By some measures only: {_listed(some)}."
    if never:
        text += (
            f" By none: {_listed(never)}. Nothing shows that such a map tells more about this "
            "network than a picture that never saw it."
        )
    if unknown:
        text += f" There were too few maps to judge: {_listed(unknown)}."
    return text


def _listed(names: Iterable[str]) -> str:
    *first, last = [*names] or [""]
    return f"{', '.join(first)} and {last}" if first else last

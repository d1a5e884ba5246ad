"""Two runs side by side: what went in differently, what came out, and whether that is chance."""

import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cnnlab.config import InputError, home
from cnnlab.evaluation import registry
from cnnlab.evaluation.intervals import Interval
from cnnlab.report import comparison, front_page, gallery, headlines, layout
from cnnlab.report.headlines import Row
from cnnlab.runs import drift, exposure, results, steps, storage
from cnnlab.runs.folder import Run


@dataclass(frozen=True)
class Line:
    """One figure of two runs. ``difference`` is first minus second; "" where there is none."""

    label: str
    first: Row
    second: Row
    difference: str
    limits: str


@dataclass(frozen=True)
class Versus:
    """Two runs, compared.

    Attributes:
        names: What they are called here: their names, with the time of creation if these are equal.
        causes: (part, what, first, second) of data, settings and origin that differ.
        lines: The figures.
        words: About what → what may be concluded, and what not.
        cautions: What makes either run's results doubtful.
    """

    runs: tuple[Run, Run]
    names: tuple[str, str]
    causes: list[tuple[str, str, str, str]]
    lines: list[Line]
    words: dict[str, str]
    cautions: list[str]


def compare(first: Path, second: Path) -> Versus:
    """Compare two runs.

    Args:
        first: A run folder.
        second: Another.

    Raises:
        InputError: One is no run folder, or both are the same one.
    """
    if first.resolve() == second.resolve():
        raise InputError(f"Both runs are {first}: expected two different ones.")
    runs = _open(first), _open(second)
    names = (runs[0].name, runs[1].name)
    if names[0] == names[1]:
        names = (runs[0].id, runs[1].id)
    said = (f"run {names[0]}", f"run {names[1]}")
    images, folds = comparison.by_images(*runs, said), comparison.by_folds(*runs, said)
    differences = {f"test_{key}": value for key, value in images.differences.items()}
    differences |= {f"kfold_{key}": value for key, value in folds.differences.items()}
    counted = [results.seeds(run) for run in runs]
    several = any(seeds and seeds.several for seeds in counted)
    figures = [_figures(run, several) for run in runs]
    lines = [_line(figures[0][key], figures[1][key], differences.get(key)) for key in figures[0]]
    words = {"Test images": images.words, "Cross-validation": folds.words}
    if seen := exposure.of_two(*runs, said):
        words["Models tested on these images"] = seen
    return Versus(runs, names, _causes(first, second), lines, words, _cautions(runs, names))


def write_page(found: Versus) -> Path:
    """Write ``reports/<first>-vs-<second>.html``, which needs no other file, and return it."""
    target = home() / "reports" / f"{found.names[0]}-vs-{found.names[1]}.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    shown = [{each.name: each for each in gallery.figures(run)[0]} for run in found.runs]
    pages = [run.folder / "index.html" for run in found.runs]
    layout.write(
        "comparison.html.jinja",
        target,
        names=found.names,
        links=[
            quote(Path(os.path.relpath(page, target.parent)).as_posix()) if page.exists() else ""
            for page in pages
        ],
        causes=found.causes,
        lines=found.lines,
        words=found.words,
        cautions=found.cautions,
        pairs=[
            (figure, shown[0].get(figure.name), shown[1].get(figure.name))
            for figure in steps.front_page()
            if figure.name in shown[0] or figure.name in shown[1]
        ],
        drawn_by=steps.drawn_by,
    )
    return target


def _open(folder: Path) -> Run:
    return Run(folder, storage.read_settings(folder))


def _figures(run: Run, over_seeds: bool) -> dict[str, Row]:
    rows = headlines.test_rows(results.test(run), registry.COMPARISON)
    rows |= headlines.seed_rows(results.seeds(run)) if over_seeds else {}
    rows |= headlines.fold_rows(results.kfold(run))
    times = [page.seconds for page in front_page.notebooks(run) if page.seconds is not None]
    total = Row("Notebooks took", layout.clock(sum(times)) if times else "–")
    return rows | {"model": headlines.model_row(results.model(run)), "time": total}


def _line(first: Row, second: Row, difference: Interval | None) -> Line:
    metric = first.metric or second.metric
    if metric is None:
        return Line(first.label, first, second, "", "")
    if difference is not None:
        values = (difference.estimate, difference.low, difference.high)
        estimate, low, high = map(metric.difference, values)
        return Line(first.label, first, second, estimate, f"{low} to {high}")
    if first.estimate is None or second.estimate is None:
        return Line(first.label, first, second, "", "")
    estimate = metric.difference(first.estimate - second.estimate)
    return Line(first.label, first, second, estimate, "cannot be paired")


def _causes(first: Path, second: Path) -> list[tuple[str, str, str, str]]:
    """Return what differs before anything was trained; nobody counts equal data again."""
    old, new = (
        (storage.read_state(folder).get("dataset") or {}).get("sha256", "not recorded")
        for folder in (first, second)
    )
    rows = [("data", "dataset SHA-256", old, new)] if old != new else []
    if rows and all((folder / "manifest.csv").exists() for folder in (first, second)):
        rows += [("data", *row) for row in drift.data(first, second)]
    return rows + drift.causes(first, second)


def _cautions(runs: tuple[Run, Run], names: tuple[str, str]) -> list[str]:
    return [
        f"{name}: {page.name} {'failed' if page.status == 'failed' else 'is ' + page.detail}."
        for run, name in zip(runs, names, strict=True)
        for page in front_page.notebooks(run)
        if page.status in ("failed", "out of date")
    ]

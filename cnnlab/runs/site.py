"""The front page of a run and its summary: what was found, what is missing, where it came from."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import Environment, StrictUndefined

from cnnlab import files
from cnnlab.config import changes
from cnnlab.runs import execute, gallery, pages
from cnnlab.runs.folder import Run

# Notebooks that later ones build on: when one runs again, what stands after it is out of date.
UPSTREAM = ("01_explore_data", "03_training")
EVALUATION = "04_kfold_evaluation"
FILES = ("manifest.csv", "splits.csv", "training/history.csv", "metrics/test.json", "model/card.md")


@dataclass(frozen=True)
class Row:
    """One line of the summary; ``low`` and ``high`` are set where the value is a fraction."""

    label: str
    value: str
    note: str = ""
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    missing: bool = False


@dataclass(frozen=True)
class Page:
    """One notebook of a run: its title, what became of it, and which files there are."""

    name: str
    title: str
    status: str  # done, out of date, failed, opened, not run
    detail: str
    seconds: float | None
    notebook: bool  # it was executed; build() writes its page before the front page


def summary(run: Run) -> list[Row]:
    """Return the headline figures of a run; what was not measured says how to measure it."""
    test = _optional(run, "metrics/test.json")
    kfold = _optional(run, "metrics/kfold.json")
    model = _optional(run, "model/contract.json")
    headlines = (("accuracy", "accuracy"), ("macro_f1", "macro-F1"), ("macro_auc", "macro-AUC"))
    rows = [_interval_row(f"Test {label}", test, key) for key, label in headlines]
    rows += [_fold_row(f"k-fold {label}", kfold, key) for key, label in headlines[:2]]
    rows.append(_model_row(model))
    timed = [page for page in notebooks(run) if page.seconds is not None]
    rows += [Row(page.name, clock(page.seconds or 0), page.detail) for page in timed]
    if timed:
        rows.append(Row("All notebooks", clock(sum(page.seconds or 0 for page in timed))))
    return rows


def as_text(rows: list[Row]) -> str:
    """Return the summary as aligned plain text."""
    labels = max(len(row.label) for row in rows)
    values = max(len(row.value) for row in rows)
    return "\n".join(
        f"{row.label:{labels}}  {row.value:{values}}  {row.note}".rstrip() for row in rows
    )


def clock(seconds: float) -> str:
    """Return seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def notebooks(run: Run) -> list[Page]:
    """Return the state of every notebook of the checkout in this run."""
    entries = run.state()["notebooks"]
    names = sorted({*execute.available(), *entries})
    return [_page(run, name, entries) for name in names]


def build(run: Run) -> Path:
    """Write ``html/<notebook>.html`` for every executed notebook, and ``index.html``; return it."""
    names = [path.stem for path in sorted((run.folder / "notebooks").glob("*.ipynb"))]
    for before, name, after in zip(["", *names], names, [*names[1:], ""], strict=False):
        pages.write_page(
            run.folder / "notebooks" / f"{name}.ipynb",
            run.path("html", f"{name}.html"),
            run_name=run.name,
            previous=before,
            following=after,
        )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["clock"] = clock
    environment.filters["figure"] = lambda value: "–" if value is None else f"{value:.3f}"
    html = environment.from_string(pages.template("index.html.jinja")).render(_facts(run))
    target = run.path("index.html")
    with files.replacing(target) as temporary:
        temporary.write_text(html, encoding="utf-8")
    return target


def _facts(run: Run) -> dict[str, Any]:
    """Return everything the front page shows."""
    state = run.state()
    rows = summary(run)
    shown, others = gallery.figures(run)
    listed = notebooks(run)
    test = _optional(run, "metrics/test.json") or {}
    return {
        "run": run.name,
        "settings": asdict(run.settings),
        "changed": list(changes(run.settings)),
        "state": state,
        "headlines": [row for row in rows if row.estimate is not None or row.missing][:4],
        "rows": rows,
        "pages": listed,
        "total": sum(page.seconds or 0 for page in listed),
        "missing": [page.name for page in listed if page.status == "not run"],
        "stale": [page for page in listed if page.status == "out of date"],
        "failed": [page for page in listed if page.status == "failed"],
        "classes": test.get("per_class", []),
        "level": test.get("interval", {}).get("level", 0.95),
        "figures": shown,
        "more_figures": others,
        "dataset": state["dataset"] or {},
        "links": [name for name in FILES if (run.folder / name).exists()],
        "devices": sorted({d for e in state["notebooks"].values() for d in e.get("devices", [])}),
    }


def _optional(run: Run, relative: str) -> Any:
    path = run.folder / relative
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _interval_row(label: str, report: dict[str, Any] | None, key: str) -> Row:
    if report is None:
        return Row(label, "not measured", f"run notebook {EVALUATION}", missing=True)
    found = report[key]
    if found["estimate"] is None:
        return Row(label, "undefined", f"{report['n']} images")
    percent = round(report["interval"]["level"] * 100)
    note = f"n\u00a0=\u00a0{report['n']}"
    if found["low"] is not None and found["high"] is not None:
        note = f"{percent} % interval {found['low']:.3f} – {found['high']:.3f}, {note}"
    return Row(label, f"{found['estimate']:.3f}", note, **found)


def _fold_row(label: str, report: dict[str, Any] | None, key: str) -> Row:
    if report is None:
        return Row(label, "not measured", f"run notebook {EVALUATION}", missing=True)
    mean, deviation = report[key]["mean"], report[key]["deviation"]
    return Row(
        label,
        f"{mean:.3f} ± {deviation:.3f}",
        f"mean ± deviation of {report['k']} folds",
        estimate=mean,
        low=mean - deviation,
        high=mean + deviation,
    )


def _model_row(contract: dict[str, Any] | None) -> Row:
    if contract is None:
        return Row("Model size", "no model", "run notebook 03_training")
    note = f"{contract['parameters']:,} parameters, {contract['image_size']} pixels a side"
    return Row("Model size", f"{contract['bytes'] / 1e6:.1f} MB", note)


def _page(run: Run, name: str, entries: dict[str, dict[str, Any]]) -> Page:
    entry = entries.get(name, {})
    executed = run.folder / "notebooks" / f"{name}.ipynb"
    status, detail = _status(name, entries)
    return Page(
        name=name,
        title=_title(executed) or _title(execute.NOTEBOOKS / f"{name}.ipynb") or name,
        status=status,
        detail=detail,
        seconds=entry.get("seconds"),
        notebook=executed.exists(),
    )


def _status(name: str, entries: dict[str, dict[str, Any]]) -> tuple[str, str]:
    entry = entries.get(name, {})
    if "failed" in entry:
        return "failed", entry["failed"]
    finished = entry.get("finished", "")
    if not finished:
        return ("opened", "outside `cnnlab run`") if "opened" in entry else ("not run", "")
    for earlier in UPSTREAM:
        if earlier < name and entries.get(earlier, {}).get("finished", "") > finished:
            return "out of date", f"older than the last {earlier}"
    return "done", ""


def _title(path: Path) -> str:
    """Return the first heading of a notebook, or ""."""
    if not path.exists():
        return ""
    for cell in nbformat.read(path, as_version=4).cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "markdown" and line.startswith("# "):
                return line.removeprefix("# ").replace("*", "").strip()
    return ""

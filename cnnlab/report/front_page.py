"""The front page of a run and its summary: what was found, what is missing, where it came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnlab.config import Settings, changes, to_dict
from cnnlab.report import caveats, findings, gallery, layout, pages
from cnnlab.report.headlines import Row, headlines
from cnnlab.report.layout import clock
from cnnlab.runs import amendments, execute, executed, results, steps, storage
from cnnlab.runs.folder import Run


@dataclass(frozen=True)
class Page:
    """One notebook of a run: its title, what became of it, and which files there are."""

    name: str
    title: str
    status: str  # done, out of date, older figures, failed, opened, not run
    detail: str
    seconds: float | None
    notebook: bool  # it was executed; build() writes its page before the front page


def summary(run: Run) -> list[Row]:
    """Return the headline figures, and how long every notebook took."""
    timed = [page for page in notebooks(run) if page.seconds is not None]
    rows = [Row(page.name, clock(page.seconds or 0), page.detail) for page in timed]
    if timed:
        rows.append(Row("All notebooks", clock(sum(page.seconds or 0 for page in timed))))
    return [*headlines(run).values(), *rows]


def as_text(rows: list[Row]) -> str:
    """Return the summary as aligned plain text."""
    labels = max(len(row.label) for row in rows)
    values = max(len(row.value) for row in rows)
    return "\n".join(
        f"{row.label:{labels}}  {row.value:{values}}  {row.note}".rstrip() for row in rows
    )


def notebooks(run: Run) -> list[Page]:
    """Return the state of every notebook of the checkout in this run."""
    state = run.state()
    names = sorted({*execute.available(), *state["notebooks"]})
    older = amendments.outdated(state)
    return [_page(run, name, state["notebooks"], older) for name in names]


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
    target = run.path("index.html")
    layout.write("index.html.jinja", target, **_facts(run))
    return target


def _facts(run: Run) -> dict[str, Any]:
    """Return everything the front page shows."""
    state = run.state()
    shown, others = gallery.figures(run)
    listed = notebooks(run)
    written = [path for step in steps.STEPS for path in step.writes]
    test = results.test(run)
    settings, defaults = to_dict(run.settings), to_dict(Settings())
    del settings["version"]
    return {
        "run": run.name,
        "settings": settings,
        "not_default": {key: value for key, value in settings.items() if value != defaults[key]},
        "amended": state.get(storage.CHANGES, []),
        "changed": list(changes(run.settings)),
        "state": state,
        "headlines": list(headlines(run).values()),
        "one_training": caveats.beside_test(run),
        "findings": findings.findings(run),
        "heatmaps": findings.heatmaps(run),
        "pages": listed,
        "total": sum(page.seconds or 0 for page in listed),
        "missing": [page.name for page in listed if page.status == "not run"],
        "stale": [page for page in listed if page.status == "out of date"],
        "redraw": [page for page in listed if page.status == "older figures"],
        "failed": [page for page in listed if page.status == "failed"],
        "scores": test.scores if test else None,
        "figures": shown,
        "more_figures": others,
        "dataset": state["dataset"] or {},
        "no_dataset": steps.hint("manifest.csv"),
        "links": [name for name in written if (run.folder / name).is_file()],
        "devices": sorted({d for e in state["notebooks"].values() for d in e.get("devices", [])}),
    }


def _page(
    run: Run, name: str, entries: dict[str, dict[str, Any]], older: dict[str, amendments.Outdated]
) -> Page:
    entry = entries.get(name, {})
    notebook = run.folder / "notebooks" / f"{name}.ipynb"
    status, detail = _status(name, entries, older)
    return Page(
        name=name,
        title=_title(notebook) or _title(execute.NOTEBOOKS / f"{name}.ipynb") or name,
        status=status,
        detail=detail,
        seconds=entry.get("seconds"),
        notebook=notebook.exists(),
    )


def _status(
    name: str, entries: dict[str, dict[str, Any]], older: dict[str, amendments.Outdated]
) -> tuple[str, str]:
    entry = entries.get(name, {})
    if "failed" in entry:
        return "failed", entry["failed"]
    finished = entry.get("finished", "")
    if not finished:
        return ("opened", "outside `cnnlab run`") if "opened" in entry else ("not run", "")
    for earlier in steps.upstream(name):
        if entries.get(earlier.name, {}).get("finished", "") > finished:
            return "out of date", f"older than the last {earlier.name}"
        if _status(earlier.name, entries, older)[0] == "out of date":
            return "out of date", f"built on {earlier.name}, which is out of date itself"
    if name in older:
        return ("out of date" if older[name].results else "older figures"), older[name].words
    return "done", ""


def _title(path: Path) -> str:
    """Return the first heading of a notebook; "" where it has none or there is no notebook."""
    return executed.read(path).title if path.exists() else ""

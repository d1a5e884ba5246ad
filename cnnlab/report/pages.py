"""An executed notebook as one HTML page that opens anywhere: nothing in it asks a network."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from bs4 import BeautifulSoup
from jinja2 import DictLoader, pass_context
from jinja2.runtime import Context
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html

from cnnlab import files
from cnnlab.report import layout, sanitizer
from cnnlab.text.html import Html
from cnnlab.text.printable import printable

TEMPLATE = "notebook.html.jinja"
SLOW = 1.0  # seconds from which on a cell says how long it took
WIDGET = "application/vnd.jupyter.widget-view+json"
SHOWN = {"text/html", "text/markdown", "text/plain", "image/png", "image/jpeg"}
WIDGET_NOTE = (
    '<p class="run-widget">Interactive: open the notebook in JupyterLab to use this element.</p>'
)


@dataclass(frozen=True)
class Section:
    """One heading of a notebook and the seconds that the cells below it took, if any ran."""

    anchor: str
    title: str
    seconds: float


class _Exporter(HTMLExporter):
    """Makes HTML of Markdown that was sanitized after it became HTML."""

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        return sanitizer.html(super().markdown2html(context, source))


def write_page(
    notebook: Path, target: Path, *, run_name: str, previous: str = "", following: str = ""
) -> None:
    """Convert an executed notebook to a page.

    Args:
        notebook: The executed ``.ipynb``.
        target: The ``.html`` to write; its folder exists.
        run_name: Shown with a link back to the run's front page.
        previous: Name of the notebook before, "" for none.
        following: Name of the notebook after, "" for none.
    """
    node = nbformat.read(notebook, as_version=4)
    run_name = printable(run_name)
    node.metadata["title"] = f"{notebook.stem} · {run_name}"
    _replace_widgets(node)
    _sanitize(node)
    exporter = _Exporter(
        extra_loaders=[DictLoader({TEMPLATE: layout.read(TEMPLATE)})],
        template_file=TEMPLATE,
        exclude_input_prompt=False,
        filters={"took": took},
    )
    resources = {
        "run_name": run_name,
        "notebook": notebook.stem,
        "previous": previous,
        "next": following,
        "sections": list(sections(node)),
        "seconds": node.metadata.get("papermill", {}).get("duration"),
        "slow": SLOW,
        "policy": layout.policy(),
        "script": layout.read(layout.SCRIPT),
        "dark_css": _dark_css(exporter),
    }
    page, _ = exporter.from_notebook_node(node, resources=resources)
    files.write(target, page)


def sections(node: nbformat.NotebookNode) -> Iterator[Section]:
    """Yield the headings below the title, with the time of the cells up to the next one."""
    open_section, seconds = None, 0.0
    for cell in node.cells:
        for heading in _headings(cell):
            if open_section:
                yield Section(*open_section, seconds)
            open_section, seconds = heading, 0.0
        seconds += cell.metadata.get("papermill", {}).get("duration") or 0.0
    if open_section:
        yield Section(*open_section, seconds)


def took(seconds: float) -> str:
    """Return a running time as one reads it: "4.2 s", "3 min 58 s"."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{seconds:.1f} s" if seconds < 10 else f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _headings(cell: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Return anchor and title of a cell's second-level headings, as the page will have them."""
    if cell.cell_type != "markdown" or "##" not in cell.source:
        return []
    found = BeautifulSoup(markdown2html(cell.source), "html.parser").find_all("h2")
    for link in (link for heading in found for link in heading.select(".anchor-link")):
        link.decompose()
    return [(str(heading["id"]), heading.get_text()) for heading in found]


def _replace_widgets(node: nbformat.NotebookNode) -> None:
    """Widgets need scripts from a network: say where they live, and drop finished progress bars."""
    node.metadata.pop("widgets", None)
    for cell in node.cells:
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if not _is_progress_bar(output)]
        for output in cell.outputs:
            if WIDGET in output.get("data", {}):
                output.data = nbformat.from_dict({"text/html": WIDGET_NOTE})


def _sanitize(node: nbformat.NotebookNode) -> None:
    """Keep what is text, a table or a picture: cells that are neither prose nor code, go."""
    node.cells = [cell for cell in node.cells if cell.cell_type in ("markdown", "code")]
    for cell in node.cells:
        for output in cell.get("outputs", []):
            data = {kind: it for kind, it in output.get("data", {}).items() if kind in SHOWN}
            if "text/html" in data:
                data["text/html"] = sanitizer.html(data["text/html"])
            if "data" in output:
                output.data = nbformat.from_dict(data)


def _is_progress_bar(output: nbformat.NotebookNode) -> bool:
    data = output.get("data", {})
    return WIDGET in data and "%|" in data.get("text/plain", "")


def _dark_css(exporter: HTMLExporter) -> Html:
    """Return JupyterLab's dark colours for readers whose system is set to dark."""
    for folder in exporter.template_paths:
        path = Path(folder) / "static" / "theme-dark.css"
        if path.exists():
            css = Html(path.read_text(encoding="utf-8"))
            return Html('<style media="screen and (prefers-color-scheme: dark)">{}</style>').format(
                css
            )
    return Html("")

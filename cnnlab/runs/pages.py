"""An executed notebook as one HTML page that opens anywhere: nothing in it asks a network."""

from importlib.resources import files as package_files
from pathlib import Path

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter

from cnnlab import files

TEMPLATE = "notebook.html.jinja"
WIDGET = "application/vnd.jupyter.widget-view+json"
WIDGET_NOTE = (
    '<p class="run-widget">Interactive: open the notebook in JupyterLab to use this element.</p>'
)


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
    node.metadata["title"] = f"{notebook.stem} · {run_name}"
    _replace_widgets(node)
    exporter = HTMLExporter(
        extra_loaders=[DictLoader({TEMPLATE: template(TEMPLATE)})],
        template_file=TEMPLATE,
        embed_images=True,
        exclude_input_prompt=False,
    )
    resources = {
        "run_name": run_name,
        "notebook": notebook.stem,
        "previous": previous,
        "next": following,
        "dark_css": _dark_css(exporter),
    }
    page, _ = exporter.from_notebook_node(node, resources=resources)
    with files.replacing(target) as temporary:
        temporary.write_text(page, encoding="utf-8")


def template(name: str) -> str:
    """Return the text of a template of this package."""
    return (package_files("cnnlab.runs") / "templates" / name).read_text(encoding="utf-8")


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


def _is_progress_bar(output: nbformat.NotebookNode) -> bool:
    data = output.get("data", {})
    return WIDGET in data and "%|" in data.get("text/plain", "")


def _dark_css(exporter: HTMLExporter) -> str:
    """Return JupyterLab's dark colours for readers whose system is set to dark."""
    for folder in exporter.template_paths:
        path = Path(folder) / "static" / "theme-dark.css"
        if path.exists():
            css = path.read_text(encoding="utf-8")
            return f'<style media="screen and (prefers-color-scheme: dark)">{css}</style>'
    return ""

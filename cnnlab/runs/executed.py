"""What stands in a notebook's file, read once: its cells, and what became of them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import nbformat

# Tags of the cells that papermill adds; cell numbers are those of the notebook as it was written.
ADDED = {"injected-parameters", "papermill-error-cell-tag"}


class Cell(NamedTuple):
    """A code cell: its number in the notebook as it was written, from 1, and its first line."""

    number: int
    title: str


@dataclass(frozen=True)
class Notebook:
    """A notebook's file, executed or not.

    Attributes:
        title: The first heading, "" without one.
        cells: How many cells there are, those of papermill included.
        parameters: The names that the cell tagged ``parameters`` assigns.
        started: The code cells that papermill came to.
        failed: Those that raised.
        never_ran: Those with code in them and no execution count.
        stderr: The lines that cells wrote to stderr; empty ones are left out.
    """

    title: str
    cells: int
    parameters: tuple[str, ...]
    started: tuple[Cell, ...]
    failed: tuple[Cell, ...]
    never_ran: tuple[Cell, ...]
    stderr: tuple[str, ...]


def read(path: Path) -> Notebook:
    """Return what stands in an ``.ipynb`` file."""
    cells = nbformat.read(path, as_version=4).cells
    written = [cell for cell in cells if not ADDED & _tags(cell)]
    code = [
        (Cell(number, cell.source.strip().partition("\n")[0].strip()), cell)
        for number, cell in enumerate(written, start=1)
        if cell.cell_type == "code"
    ]
    return Notebook(
        title=next(_headings(cells), ""),
        cells=len(cells),
        parameters=tuple(name for cell in cells for name in _parameters(cell)),
        started=tuple(name for name, cell in code if _was_started(cell)),
        failed=tuple(name for name, cell in code if _failed(cell)),
        never_ran=tuple(name for name, cell in code if _never_ran(cell)),
        stderr=tuple(line for cell in cells for line in _stderr(cell)),
    )


def _tags(cell: nbformat.NotebookNode) -> set[str]:
    return set(cell.metadata.get("tags", []))


def _headings(cells: list[nbformat.NotebookNode]) -> Iterator[str]:
    """Yield the text of every heading of the first level."""
    for cell in cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "markdown" and line.startswith("# "):
                yield line.removeprefix("# ").replace("*", "").strip()


def _parameters(cell: nbformat.NotebookNode) -> Iterator[str]:
    """Yield the names that a cell of parameters assigns; none where Python cannot read it."""
    if "parameters" not in _tags(cell):
        return
    try:
        statements = ast.parse(cell.source).body
    except SyntaxError:  # its execution will say so
        return
    for statement in statements:
        if isinstance(statement, ast.Assign):
            yield from map(ast.unparse, statement.targets)


def _was_started(cell: nbformat.NotebookNode) -> bool:
    return cell.metadata.get("papermill", {}).get("start_time") is not None


def _failed(cell: nbformat.NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.outputs)


def _never_ran(cell: nbformat.NotebookNode) -> bool:
    return bool(cell.source.strip()) and cell.execution_count is None


def _stderr(cell: nbformat.NotebookNode) -> Iterator[str]:
    for output in cell.get("outputs", []):
        if output.output_type == "stream" and output.name == "stderr":
            yield from filter(str.strip, output.text.splitlines())

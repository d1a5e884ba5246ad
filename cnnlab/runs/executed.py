"""What stands in a notebook's file: which cells ran, which failed, what they ask for."""

import ast
from collections.abc import Callable
from pathlib import Path

import nbformat

# Tags of the cells that papermill adds; cell numbers are those of the notebook as it was written.
ADDED = {"injected-parameters", "papermill-error-cell-tag"}


def count(path: Path) -> int:
    """Return the number of cells."""
    return len(nbformat.read(path, as_version=4).cells)


def has_parameter(path: Path, name: str) -> bool:
    """Tell whether the notebook's cell of parameters sets ``name``."""
    return any(
        isinstance(statement, ast.Assign) and name in map(ast.unparse, statement.targets)
        for cell in nbformat.read(path, as_version=4).cells
        if "parameters" in cell.metadata.get("tags", [])
        for statement in ast.parse(cell.source).body
    )


def matching(path: Path, test: Callable[[nbformat.NotebookNode], bool]) -> list[tuple[int, str]]:
    """Return number and first line of the code cells that pass ``test``."""
    written = [
        cell
        for cell in nbformat.read(path, as_version=4).cells
        if not ADDED & set(cell.metadata.get("tags", []))
    ]
    return [
        (number, cell.source.strip().partition("\n")[0].strip())
        for number, cell in enumerate(written, start=1)
        if cell.cell_type == "code" and test(cell)
    ]


def never_ran(cell: nbformat.NotebookNode) -> bool:
    """Tell whether a cell with code in it has no execution count."""
    return bool(cell.source.strip()) and cell.execution_count is None


def has_error(cell: nbformat.NotebookNode) -> bool:
    """Tell whether a cell raised."""
    return any(output.output_type == "error" for output in cell.outputs)


def was_started(cell: nbformat.NotebookNode) -> bool:
    """Tell whether papermill came to a cell."""
    return cell.metadata.get("papermill", {}).get("start_time") is not None


def red_lines(path: Path) -> list[str]:
    """Return the lines that a notebook's cells wrote to stderr."""
    return [
        line
        for cell in nbformat.read(path, as_version=4).cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
        for line in output.text.splitlines()
        if line.strip()
    ]

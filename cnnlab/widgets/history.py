"""The results of all files: as a table, and the same as CSV."""

import base64
import html
from collections.abc import Sequence

from cnnlab.data import tables
from cnnlab.widgets.upload_result import UploadResult

COLUMNS = (
    "name",
    "label",
    "probability",
    "plausible",
    "none_of_these",
    "cached",
    "ms",
    "error",
)
_BOM = "\ufeff"  # without it spreadsheets take UTF-8 for something else


def to_csv(history: Sequence[UploadResult]) -> str:
    """Return one row a file, in the order in which they came.

    Text that a spreadsheet would compute is guarded, see ``data.tables``. Several plausible labels
    are separated by `` | ``; what is not known is empty.
    """
    return tables.for_people(COLUMNS, map(_row, history))


def download(history: Sequence[UploadResult]) -> str:
    """Return a link that saves the CSV; the file is inside it, no server is contacted."""
    data = base64.b64encode((_BOM + to_csv(history)).encode("utf-8", "replace")).decode("ascii")
    return (
        '<a class="cnnlab-button cnnlab-download" download="predictions.csv" '
        f'href="data:text/csv;charset=utf-8;base64,{data}">Download CSV</a>'
    )


def table(history: Sequence[UploadResult]) -> str:
    """Return the table as HTML, folded, the newest file first."""
    head = "".join(
        f'<th scope="col">{title}</th>'
        for title in ("#", "File", "Prediction", "Probability", "Plausible", "From", "ms")
    )
    rows = "".join(
        f"<tr><td>{number}</td>{_cells(result)}</tr>"
        for number, result in reversed(list(enumerate(history, start=1)))
    )
    return (
        f'<details class="cnnlab-fold"><summary>History ({len(history)})</summary>'
        '<div class="cnnlab-scroll" tabindex="0" role="region" aria-label="History"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def _row(result: UploadResult) -> tuple[str, ...]:
    """Return the cells of one file in the CSV."""
    if result.prediction is None:
        return (result.name, *[""] * (len(COLUMNS) - 2), result.error)
    prediction = result.prediction
    label, probability = prediction.top[0]
    return (
        result.name,
        str(label),
        f"{float(probability):.6f}",
        " | ".join(map(str, prediction.plausible)),
        "" if prediction.none_of_these is None else str(prediction.none_of_these).lower(),
        str(prediction.cached).lower(),
        f"{prediction.elapsed_ms:.3f}",
        "",
    )


def _cells(result: UploadResult) -> str:
    """Return the cells of one file behind its number, as HTML."""
    name = f"<td>{html.escape(result.name)}</td>"
    if result.prediction is None:
        return f'{name}<td colspan="5">no prediction: {html.escape(result.error)}</td>'
    prediction = result.prediction
    label, probability = prediction.top[0]
    best = f"{label} (perhaps none of these)" if prediction.none_of_these else str(label)
    texts = (
        best,
        f"{100 * float(probability):.1f} %",
        ", ".join(map(str, prediction.plausible)),
        "cache" if prediction.cached else "model",
        f"{prediction.elapsed_ms:.2f}",
    )
    return name + "".join(f"<td>{html.escape(text)}</td>" for text in texts)

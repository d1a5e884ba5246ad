"""The results of all files: as a table, and the same as CSV."""

import base64
from collections.abc import Sequence

from cnnlab.data import tables
from cnnlab.text.html import Html
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


def as_csv(history: Sequence[UploadResult]) -> str:
    """Return one row a file, in the order in which they came.

    Text that a spreadsheet would compute is guarded, see ``data.tables``. Several plausible labels
    are separated by `` | ``; what is not known is empty.
    """
    return tables.for_people(COLUMNS, map(_row, history))


def download(history: Sequence[UploadResult]) -> Html:
    """Return a link that saves the CSV; the file is inside it, no server is contacted."""
    data = base64.b64encode((_BOM + as_csv(history)).encode("utf-8", "replace")).decode("ascii")
    return Html(
        '<a class="cnnlab-button cnnlab-download" download="predictions.csv" '
        'href="data:text/csv;charset=utf-8;base64,{}">Download CSV</a>'
    ).format(data)


def table(history: Sequence[UploadResult]) -> Html:
    """Return the table as HTML, folded, the newest file first."""
    titles = ("#", "File", "Prediction", "Probability", "Plausible", "From", "ms")
    head = Html("").join(Html('<th scope="col">{}</th>').format(title) for title in titles)
    rows = Html("").join(
        Html("<tr><td>{}</td>{}</tr>").format(number, _cells(result))
        for number, result in reversed(list(enumerate(history, start=1)))
    )
    return Html(
        '<details class="cnnlab-fold"><summary>History ({})</summary>'
        '<div class="cnnlab-scroll" tabindex="0" role="region" aria-label="History"><table>'
        "<thead><tr>{}</tr></thead><tbody>{}</tbody></table></div></details>"
    ).format(len(history), head, rows)


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


def _cells(result: UploadResult) -> Html:
    """Return the cells of one file behind its number, as HTML."""
    if result.prediction is None:
        return Html('<td>{}</td><td colspan="5">no prediction: {}</td>').format(
            result.name, result.error
        )
    prediction = result.prediction
    label, probability = prediction.top[0]
    doubt = Html(" <em>(perhaps none of these)</em>") if prediction.none_of_these else Html("")
    texts = (
        result.name,
        Html("{}{}").format(label, doubt),
        f"{100 * float(probability):.1f} %",
        ", ".join(map(str, prediction.plausible)),
        "cache" if prediction.cached else "model",
        f"{prediction.elapsed_ms:.2f}",
    )
    return Html("").join(Html("<td>{}</td>").format(text) for text in texts)

"""The prediction app of the notebooks: choose images, see classes, heatmap and where it came from.

Colours come from JupyterLab's theme variables, with fallbacks for pages without them, so the app
is legible in light and dark. Everything a file brings (its name, an error text) is escaped.
"""

import base64
import html
import io
import time
from collections.abc import Callable
from typing import Any, Protocol

import ipywidgets
import numpy as np
from PIL import Image

from cnnlab.config import InputError
from cnnlab.plots import heatmap_overlay

Explain = Callable[[np.ndarray], np.ndarray]

_ACCEPTED = ".jpg,.jpeg,.png,.gif,.bmp,.webp,.tif,.tiff,.avif"

_STYLE = """<style>
.cnnlab-app { color: var(--jp-content-font-color1, currentColor); max-width: 60rem; }
.cnnlab-card { display: flex; flex-wrap: wrap; gap: 12px; align-items: flex-start; padding: 12px 0;
  border-top: 1px solid var(--jp-border-color2, #8886); line-height: 1.4;
  color: var(--jp-content-font-color1, currentColor); }
.cnnlab-card figure { margin: 0; }
.cnnlab-card figcaption { font-size: 0.85em; color: var(--jp-content-font-color2, inherit); }
.cnnlab-card img { display: block; width: 128px; height: 128px; object-fit: contain; margin: 0; }
.cnnlab-text { flex: 1 1 18rem; min-width: 0; }
.cnnlab-name { font-weight: 600; overflow-wrap: anywhere; }
.cnnlab-note { font-size: 0.9em; color: var(--jp-content-font-color2, inherit);
  margin-bottom: 6px; }
.cnnlab-row { display: grid; grid-template-columns: minmax(5rem, 9rem) 1fr 4rem; gap: 8px;
  align-items: center; }
.cnnlab-row span { overflow-wrap: anywhere; }
.cnnlab-row span:last-child { text-align: right; font-variant-numeric: tabular-nums; }
.cnnlab-track { height: 0.75em; border-radius: 2px; overflow: hidden;
  background: var(--jp-layout-color2, #8884); }
.cnnlab-fill { height: 100%; background: var(--jp-brand-color1, #0072b2); }
.cnnlab-plausible { margin-top: 6px; overflow-wrap: anywhere; }
.cnnlab-reason { border-left: 4px solid var(--jp-error-color1, #d55e00); padding-left: 8px; }
</style>"""


class Answer(Protocol):
    """What the app reads of a prediction."""

    @property
    def top(self) -> Any:
        """(label, probability) pairs, the most probable first."""

    @property
    def plausible(self) -> Any:
        """The labels that it may well be, best first; empty if that is not known."""

    @property
    def none_of_these(self) -> bool | None:
        """Whether it is likely none of the classes; None if that is not known."""

    @property
    def cached(self) -> bool:
        """Whether the answer was remembered."""


class Predicts(Protocol):
    """What the app needs of a predictor."""

    def predict(self, image_bytes: bytes) -> Answer:
        """Return the answer for the bytes of an image file."""

    def pixels(self, image_bytes: bytes) -> np.ndarray:
        """Return what the network sees: uint8 (S, S, 3)."""


def prediction_app(predictor: Predicts, explain: Explain | None = None) -> ipywidgets.Widget:
    """Return the app: an upload button, a clear button, and one card for each image, newest first.

    Uploading happens in the browser; in Python, assigning ``upload.value`` does the same. After
    the files are answered the button is emptied, so the same file can be chosen again (and then
    comes from the cache).

    Args:
        predictor: Answers for the bytes of an image file, such as ``deploy.predict.Predictor``.
        explain: uint8 (S, S, 3) → heatmap float32 (S, S) in 0–1, shown beside the image.

    Returns:
        A widget. Its parts carry the classes cnnlab-upload, cnnlab-clear, cnnlab-status,
        cnnlab-results; every card is a cnnlab-result, or a cnnlab-error for a refused file, and
        cnnlab-cache marks the line that says where an answer came from, cnnlab-plausible and
        cnnlab-none the two that say how far to trust it.
    """
    upload = ipywidgets.FileUpload(
        accept=_ACCEPTED,
        multiple=True,
        description="Choose images",
        button_style="primary",
        tooltip="Predict the class of one or several image files",
        layout=ipywidgets.Layout(width="12rem"),
    )
    clear = ipywidgets.Button(description="Clear", tooltip="Remove all results", icon="trash")
    status = ipywidgets.HTML()
    results = ipywidgets.VBox()

    def answer_files(change: Any) -> None:
        files = change["new"]
        if not files:
            return
        cards = []
        for position, file in enumerate(files, start=1):
            status.value = _status(f"{position} of {len(files)} …")
            cards.append(_card(predictor, explain, str(file["name"]), bytes(file["content"])))
        results.children = (*cards, *results.children)
        status.value = _status(_summary(cards))
        upload.value = ()  # the same file may be chosen again

    def remove_all(_: Any) -> None:
        results.children = ()
        status.value = _status("")

    upload.observe(answer_files, names="value")
    clear.on_click(remove_all)
    bar = ipywidgets.HBox([upload, clear, status])
    bar.layout.flex_flow = "row wrap"
    app = ipywidgets.VBox([ipywidgets.HTML(_STYLE), bar, results])
    for widget, name in (
        (app, "app"),
        (upload, "upload"),
        (clear, "clear"),
        (status, "status"),
        (results, "results"),
    ):
        widget.add_class(f"cnnlab-{name}")
    return app


def _status(text: str) -> str:
    """Return a status line that screen readers announce."""
    return f'<span role="status" aria-live="polite">{html.escape(text)}</span>'


def _summary(cards: list[ipywidgets.HTML]) -> str:
    """Return how many files of the last choice were answered and refused."""
    refused = sum("cnnlab-error" in card._dom_classes for card in cards)
    answered = len(cards) - refused
    text = f"{answered} image{'' if answered == 1 else 's'} answered"
    return f"{text}, {refused} refused" if refused else text


def _card(
    predictor: Predicts, explain: Explain | None, name: str, image_bytes: bytes
) -> ipywidgets.HTML:
    """Return the card of one file; whatever goes wrong with it stays on its own card."""
    try:
        body, kind = _answered(predictor, explain, name, image_bytes), "result"
    except InputError as error:
        body, kind = _refused(name, str(getattr(error, "message", error))), "error"
    except Exception as error:  # one file must not take the others or the app with it
        body, kind = _refused(name, f"Unexpected {type(error).__name__}: {error}"), "error"
    card = ipywidgets.HTML(body)
    card.add_class(f"cnnlab-{kind}")
    return card


def _answered(predictor: Predicts, explain: Explain | None, name: str, image_bytes: bytes) -> str:
    """Return the HTML of an answered file: image, heatmap, classes, and where it came from."""
    start = time.perf_counter()
    prediction = predictor.predict(image_bytes)
    milliseconds = max(1, round(1000 * (time.perf_counter() - start)))
    pixels = predictor.pixels(image_bytes)
    pictures = _picture(pixels, "cnnlab-thumbnail", f"{name} as the network sees it", "input")
    if explain is not None:
        pictures += _evidence(explain, pixels, name, str(prediction.top[0][0]))
    origin = "from the cache" if prediction.cached else f"computed in {milliseconds} ms"
    rows = "".join(_row(str(label), float(share)) for label, share in prediction.top)
    return (
        f'<div class="cnnlab-card">{pictures}<div class="cnnlab-text">'
        f'<div class="cnnlab-name">{html.escape(name)}</div>'
        f'<div class="cnnlab-note cnnlab-cache">{origin}</div>{rows}{_doubts(prediction)}'
        "</div></div>"
    )


def _doubts(prediction: Answer) -> str:
    """Return what else it may be, and whether it may be nothing the network knows."""
    lines = []
    if prediction.plausible:
        plausible = html.escape(" or ".join(map(str, prediction.plausible)))
        lines.append(f'<div class="cnnlab-note cnnlab-plausible">plausible: {plausible}</div>')
    if prediction.none_of_these:
        lines.append(
            '<div class="cnnlab-reason cnnlab-none" role="note">Perhaps none of these: the '
            "network is less certain than for almost every image of the classes it knows.</div>"
        )
    return "".join(lines)


def _evidence(explain: Explain, pixels: np.ndarray, name: str, label: str) -> str:
    """Return the heatmap over the image, or, should it fail, a line that says so."""
    try:
        overlay = heatmap_overlay(pixels, explain(pixels))
    except Exception as error:  # the answer stands without its picture
        return f"<figure><figcaption>no heatmap: {html.escape(str(error))}</figcaption></figure>"
    return _picture(
        overlay, "cnnlab-overlay", f"where {name} speaks for {label}", f"evidence for {label}"
    )


def _refused(name: str, reason: str) -> str:
    """Return the HTML of a file that got no answer: its name and the reason."""
    return (
        '<div class="cnnlab-card"><div class="cnnlab-text cnnlab-reason" role="alert">'
        f'<div class="cnnlab-name">{html.escape(name)}</div>'
        f"<div>No prediction: {html.escape(reason)}</div></div></div>"
    )


def _row(label: str, share: float) -> str:
    """Return one class with its bar and its probability."""
    width = 100 * min(max(share, 0.0), 1.0)
    return (
        f'<div class="cnnlab-row"><span>{html.escape(label)}</span>'
        '<div class="cnnlab-track" aria-hidden="true">'
        f'<div class="cnnlab-fill" style="width:{width:.1f}%"></div></div>'
        f"<span>{100 * share:.1f} %</span></div>"
    )


def _picture(pixels: np.ndarray, name: str, alternative: str, caption: str) -> str:
    """Return an image of class ``name`` with a caption, its PNG inside the page."""
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "PNG")
    data = base64.b64encode(target.getvalue()).decode("ascii")
    return (
        f'<figure><img class="{name}" alt="{html.escape(alternative)}" '
        f'src="data:image/png;base64,{data}"><figcaption>{html.escape(caption)}</figcaption></figure>'
    )

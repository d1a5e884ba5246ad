"""The prediction app: choose or drop images, see classes, evidence and earlier results.

The page's script (``page/upload.js``) brings the files, the kernel answers, and the opacity of
the heatmaps is the page's own affair. Driven from Python, ``upload.value`` does what a choice
in the browser does.
"""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

import ipywidgets

from cnnlab.images import MAX_BYTES
from cnnlab.text.html import Html
from cnnlab.widgets import cards, history, pictures
from cnnlab.widgets.heatmaps import Explain
from cnnlab.widgets.upload_result import Predicts, UploadResult, View, predict_upload

ACCEPTED = ".jpg,.jpeg,.png,.gif,.bmp,.webp,.tif,.tiff,.avif,.heic,.heif"
CARDS = 24  # shown at once: each carries its pictures; the history keeps every file
NO_HEATMAP = "none"
FAVOURITE = "HiResCAM"  # right for flattened heads too; see notebook 5


class PredictionApp(ipywidgets.VBox):
    """Files come in, each gets a card, newest first, and a row in the history.

    Every prediction is made once. Another heatmap method computes heatmaps only, each once, and
    another opacity nothing at all.

    Args:
        predictor: Answers for the bytes of an image file, such as ``serving.predictor.Predictor``.
        explainers: Name → function uint8 (S, S, 3) → heatmap float32 (S, S) in 0–1; see
            ``widgets.explainers``. The first is shown, or HiResCAM if it is among them.

    Attributes:
        history: The results of all files, the oldest first.
        upload: The button; after the files are predicted it is emptied, so the same file can be
            chosen again (and then comes from the cache).
        method: The choice of a heatmap.
        clear: The button that forgets everything.

    Example:
        >>> PredictionApp(Predictor("reports/lab/model"))                    # doctest: +SKIP
    """

    def __init__(
        self, predictor: Predicts, explainers: Mapping[str, Explain] | None = None
    ) -> None:
        self.history: list[UploadResult] = []
        self._predictor, self._explainers = predictor, dict(explainers or {})
        self._received = 0
        self.upload = ipywidgets.FileUpload(
            accept=ACCEPTED,
            multiple=True,
            icon="",
            description="Choose images",
            button_style="primary",
            tooltip="Ask about one or several image files",
        )
        names = [*self._explainers, NO_HEATMAP]
        first = FAVOURITE if FAVOURITE in names else names[0]
        self.method = ipywidgets.Dropdown(options=names, value=first, description="Heatmap")
        self.method.tooltip = "How to find what speaks for the prediction"
        self.clear = ipywidgets.Button(
            description="Clear", tooltip="Forget all files", disabled=True
        )
        self._download, self._status, self._table = (ipywidgets.HTML() for _ in range(3))
        self._results = ipywidgets.VBox()
        super().__init__(tuple(self._parts()))
        self.upload.observe(self._take, "value")
        self.method.observe(self._draw_again, "value")
        self.clear.on_click(self._forget)
        self._say("")

    def _parts(self) -> Iterator[ipywidgets.Widget]:
        """Yield the app's parts from top to bottom, after naming them for style and tests."""
        zone = ipywidgets.Box([self.upload, ipywidgets.HTML(_page("drop.html"))])
        opacity = ipywidgets.HTML(_page("opacity.html"))
        explaining = [self.method, opacity] if self._explainers else []
        controls = ipywidgets.Box([*explaining, self.clear, self._download])
        names = {"app": self, "upload": self.upload, "zone": zone, "controls": controls}
        names |= {"method": self.method, "clear": self.clear, "status": self._status}
        names |= {"results": self._results, "history": self._table}
        for name, widget in names.items():
            widget.add_class(f"cnnlab-{name}")
        yield ipywidgets.HTML(Html("<style>{}</style>").format(_page("style.css")))
        yield _script()
        yield from (zone, controls, self._status, self._results, self._table)
        yield ipywidgets.HTML(_page("legend.html"))

    def _take(self, change: Any) -> None:
        """Answer the files that came, one card after the other."""
        incoming = change["new"]
        if not incoming:
            return
        for position, file in enumerate(incoming, start=1):
            if len(incoming) > 1:
                self._say(f"{position} of {len(incoming)} …")
            result, view = predict_upload(self._predictor, file)
            self.history.append(result)
            self._results.children = (self._card(result, view), *self._results.children)[:CARDS]
        self.upload.value = ()  # the same file may be chosen again
        self._received += 1
        self._tell()

    def _tell(self) -> None:
        """Bring everything but the cards up to date with the history."""
        refused = sum(result.prediction is None for result in self.history)
        answered = len(self.history) - refused
        text = f"{answered} image{'' if answered == 1 else 's'} answered"
        text = f"{text}, {refused} refused" if refused else text
        self.clear.disabled = not self.history
        self._download.value = history.download(self.history) if self.history else Html("")
        self._table.value = history.table(self.history) if self.history else Html("")
        self._say(text if self.history else "")

    def _say(self, text: str) -> None:
        """Show a line that screen readers announce; its count tells the page's script to go on."""
        self._status.value = Html(
            '<span role="status" aria-live="polite" data-received="{}">{}</span>'
        ).format(self._received, text)

    def _card(self, result: UploadResult, view: View | None) -> ipywidgets.HTML:
        """Return the card of one file; what it shows stays with it."""
        card = ipywidgets.HTML(self._drawn(result, view))
        card.shows = (result, view)
        card.add_class("cnnlab-result" if view else "cnnlab-error")
        return card

    def _draw_again(self, _: Any) -> None:
        """Draw the cards with the heatmap that is chosen now."""
        for position, card in enumerate(self._results.children, start=1):
            self._say(f"{self.method.value}: {position} of {len(self._results.children)} …")
            card.value = self._drawn(*card.shows)
        self._tell()

    def _drawn(self, result: UploadResult, view: View | None) -> Html:
        """Return the HTML of a file's card."""
        if result.prediction is None or view is None:
            return cards.refused(result.name, result.error)
        method = "" if self.method.value == NO_HEATMAP else self.method.value
        evidence = self._evidence(view, method) if method else ""
        return cards.predicted(result.name, result.prediction, view.photo, method, evidence)

    def _evidence(self, view: View, method: str) -> str:
        """Return the colours of a heatmap as a data URL, or, should it fail, the reason."""
        if method not in view.evidence:
            try:
                view.evidence[method] = pictures.heat(self._explainers[method](view.pixels))
            except Exception as error:  # the prediction stands without its heatmap
                view.evidence[method] = str(error)
        return view.evidence[method]

    def _forget(self, _: Any) -> None:
        """Empty the app."""
        self.history.clear()
        self._results.children = ()
        self._tell()


def _page(name: str) -> Html:
    """Return one of the app's files for the browser."""
    text = (files("cnnlab.widgets") / "page" / name).read_text(encoding="utf-8")
    return Html(text.replace("{max_bytes}", str(MAX_BYTES)))


def _script() -> ipywidgets.Output:
    """Return the app's script: an output, because those are what a notebook's page runs."""
    data = {"text/html": Html("<script>{}</script>").format(_page("upload.js")), "text/plain": ""}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    return ipywidgets.Output(outputs=(output,))

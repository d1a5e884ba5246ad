"""The card of one file, as HTML. All that a file brings, its name or an error text, is escaped."""

import html

from cnnlab.widgets.pictures import Photo
from cnnlab.widgets.upload_result import Prediction


def predicted(name: str, prediction: Prediction, photo: Photo, method: str, evidence: str) -> str:
    """Return the card of a predicted file: pictures, cache or network, classes, doubts.

    Args:
        name: The file's name.
        prediction: What the predictor says.
        photo: The picture.
        method: The name of the heatmap, "" for none.
        evidence: Its colours as a data URL, or why there are none.
    """
    pictures = _figure(photo, f"{name}, upright", f"{photo.width} × {photo.height} px")
    if method:
        pictures += _evidence(photo, name, str(prediction.top[0][0]), method, evidence)
    origin = "from the cache" if prediction.cached else "computed"
    rows = "".join(_row(str(label), float(share), prediction) for label, share in prediction.top)
    return (
        f'<div class="cnnlab-card" role="group" aria-label="{html.escape(name)}">'
        f'<div class="cnnlab-pictures">{pictures}</div><div class="cnnlab-text">'
        f'<div class="cnnlab-name">{html.escape(name)}</div>'
        f'<div class="cnnlab-note cnnlab-cache">{origin} in {_milliseconds(prediction)} ms</div>'
        f'<div role="list" class="cnnlab-bars">{rows}</div>{_doubts(prediction)}</div></div>'
    )


def refused(name: str, reason: str) -> str:
    """Return the card of a file that got no prediction: its name and the reason."""
    return (
        f'<div class="cnnlab-card" role="group" aria-label="{html.escape(name)}">'
        '<div class="cnnlab-text cnnlab-reason">'
        f'<div class="cnnlab-name">{html.escape(name)}</div>'
        f"<div>No prediction: {html.escape(reason)}</div></div></div>"
    )


def _milliseconds(prediction: Prediction) -> str:
    """Return a duration with as many digits as say something."""
    return f"{prediction.elapsed_ms:.{0 if prediction.elapsed_ms >= 10 else 2}f}"


def _row(label: str, share: float, prediction: Prediction) -> str:
    """Return one class with its bar and its probability."""
    width = 100 * min(max(share, 0.0), 1.0)
    kind = " cnnlab-unlikely" if prediction.plausible and label not in prediction.plausible else ""
    return (
        f'<div class="cnnlab-row{kind}" role="listitem"><span>{html.escape(label)}</span>'
        '<div class="cnnlab-track" aria-hidden="true">'
        f'<div class="cnnlab-fill" style="width:{width:.1f}%"></div></div>'
        f"<span>{100 * share:.1f} %</span></div>"
    )


def _doubts(prediction: Prediction) -> str:
    """Return what else it may be, and whether it may be nothing the network knows."""
    lines = []
    if prediction.plausible:
        plausible = html.escape(" or ".join(map(str, prediction.plausible)))
        lines.append(f'<div class="cnnlab-note cnnlab-plausible">Plausible: {plausible}</div>')
    if prediction.none_of_these:
        lines.append(
            '<div class="cnnlab-warning cnnlab-none" role="note"><b>Perhaps none of these:</b> the '
            "network is less certain than for almost every image of the classes it knows.</div>"
        )
    return "".join(lines)


def _evidence(photo: Photo, name: str, label: str, method: str, evidence: str) -> str:
    """Return the heatmap over the photo, or a line that says why there is none."""
    if not evidence.startswith("data:"):
        reason = f"No {method}: {evidence}"
        return f'<figure><figcaption role="note">{html.escape(reason)}</figcaption></figure>'
    layer = f'<img class="cnnlab-heat" alt="" src="{evidence}">'
    return _figure(photo, f"where {name} speaks for {label}", f"{method}: {label}", layer)


def _figure(photo: Photo, alternative: str, caption: str, layer: str = "") -> str:
    """Return a photo with a caption, and what lies over it."""
    width, height = photo.box
    kind = "cnnlab-overlay" if layer else "cnnlab-thumbnail"
    return (
        f'<figure><div class="cnnlab-frame" style="--width:{width:.1f};--height:{height:.1f}">'
        f'<img class="{kind}" alt="{html.escape(alternative)}" src="{photo.url}">{layer}</div>'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )

"""The card of one file, as HTML. All that a file brings, its name or an error text, is escaped."""

from cnnlab.text.html import Html
from cnnlab.widgets.pictures import Photo
from cnnlab.widgets.upload_result import Prediction

NOTHING = Html("")


def predicted(name: str, prediction: Prediction, photo: Photo, method: str, evidence: str) -> Html:
    """Return the card of a predicted file: pictures, cache or network, classes, doubts.

    Args:
        name: The file's name.
        prediction: What the predictor says.
        photo: The picture.
        method: The name of the heatmap, "" for none.
        evidence: Its colours as a data URL, or why there are none.
    """
    said = f"{photo.width} × {photo.height} px"
    said += {"pad": ", padded", "crop": ", cropped"}.get(photo.fit, "")
    pictures = _figure(photo, f"{name}, upright", said)
    if method:
        pictures += _evidence(photo, name, str(prediction.top[0][0]), method, evidence)
    rows = (_row(str(label), float(share), prediction) for label, share in prediction.top)
    return Html(
        '<div class="cnnlab-card" role="group" aria-label="{name}">'
        '<div class="cnnlab-pictures">{pictures}</div><div class="cnnlab-text">'
        '<div class="cnnlab-name">{name}</div>'
        '<div class="cnnlab-note cnnlab-cache">{origin} in {time} ms</div>'
        '<div role="list" class="cnnlab-bars">{rows}</div>{doubts}</div></div>'
    ).format(
        name=name,
        pictures=pictures,
        origin="from the cache" if prediction.cached else "computed",
        time=_milliseconds(prediction),
        rows=Html("").join(rows),
        doubts=_doubts(prediction),
    )


def refused(name: str, reason: str) -> Html:
    """Return the card of a file that got no prediction: its name and the reason."""
    return Html(
        '<div class="cnnlab-card" role="group" aria-label="{name}">'
        '<div class="cnnlab-text cnnlab-reason">'
        '<div class="cnnlab-name">{name}</div>'
        "<div>No prediction: {reason}</div></div></div>"
    ).format(name=name, reason=reason)


def _milliseconds(prediction: Prediction) -> str:
    """Return a duration with as many digits as say something."""
    return f"{prediction.elapsed_ms:.{0 if prediction.elapsed_ms >= 10 else 2}f}"


def _row(label: str, share: float, prediction: Prediction) -> Html:
    """Return one class with its bar and its probability."""
    width = 100 * min(max(share, 0.0), 1.0)
    kind = " cnnlab-unlikely" if prediction.plausible and label not in prediction.plausible else ""
    return Html(
        '<div class="cnnlab-row{}" role="listitem"><span>{}</span>'
        '<div class="cnnlab-track" aria-hidden="true">'
        '<div class="cnnlab-fill" style="width:{:.1f}%"></div></div>'
        "<span>{:.1f} %</span></div>"
    ).format(kind, label, width, 100 * share)


def _doubts(prediction: Prediction) -> Html:
    """Return what else it may be, and whether it may be nothing the network knows."""
    lines = Html("")
    if prediction.plausible:
        lines += Html('<div class="cnnlab-note cnnlab-plausible">Plausible: {}</div>').format(
            " or ".join(map(str, prediction.plausible))
        )
    if prediction.none_of_these:
        lines += Html(
            '<div class="cnnlab-warning cnnlab-none" role="note"><b>Perhaps none of these:</b> the '
            "network is less certain than for almost every image of the classes it knows.</div>"
        )
    return lines


def _evidence(photo: Photo, name: str, label: str, method: str, evidence: str) -> Html:
    """Return the heatmap over the photo, or a line that says why there is none."""
    if not evidence.startswith("data:image/"):
        return Html('<figure><figcaption role="note">No {}: {}</figcaption></figure>').format(
            method, evidence
        )
    layer = Html('<img class="cnnlab-heat" alt="" src="{}">').format(evidence)
    return _figure(photo, f"where {name} speaks for {label}", f"{method}: {label}", layer)


def _figure(photo: Photo, alternative: str, caption: str, layer: Html = NOTHING) -> Html:
    """Return a photo with a caption, and what lies over it."""
    width, height = photo.box
    return Html(
        '<figure><div class="cnnlab-frame" style="--width:{width:.1f};--height:{height:.1f}">'
        '<img class="{kind}" alt="{alternative}" src="{url}">{layer}</div>'
        "<figcaption>{caption}</figcaption></figure>"
    ).format(
        width=width,
        height=height,
        kind="cnnlab-overlay" if layer else "cnnlab-thumbnail",
        alternative=alternative,
        url=photo.url,
        layer=layer,
        caption=caption,
    )

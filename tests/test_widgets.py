"""The prediction app, driven from Python: what the browser would send is assigned or set."""

import base64
import io
import re
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from types import SimpleNamespace

import ipywidgets
import numpy as np
import pytest
from PIL import Image

from cnnlab.config import InputError
from cnnlab.plots import heatmap_overlay
from cnnlab.widgets import prediction_app

SIZE = 8


class RefusedError(InputError):
    """Stands for the gatekeeper's refusal."""

    message = "0 bytes came <here>: expected an image."


class FakePredictor:
    """Answers by the first byte, remembers what it has seen, refuses the empty file."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()

    def predict(self, image_bytes: bytes) -> SimpleNamespace:
        if not image_bytes:
            raise RefusedError("long text for the log")
        if image_bytes == b"bug":
            raise ZeroDivisionError("division by zero")
        cached = image_bytes in self.seen
        self.seen.add(image_bytes)
        strange = image_bytes.startswith(b"?")
        return SimpleNamespace(
            top=(("cat & dog", 0.875), ("mouse", 0.125)),
            plausible=("cat & dog", "mouse") if strange else (),
            none_of_these=True if strange else None,
            cached=cached,
        )

    def pixels(self, image_bytes: bytes) -> np.ndarray:
        return np.full((SIZE, SIZE, 3), image_bytes[0], np.uint8)


HEATMAP = np.linspace(0, 1, SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)


@pytest.fixture
def app() -> ipywidgets.Widget:
    return prediction_app(FakePredictor(), lambda pixels: HEATMAP)


def _all(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _all(child)


def _find(app: ipywidgets.Widget, name: str) -> list[ipywidgets.Widget]:
    return [widget for widget in _all(app) if name in getattr(widget, "_dom_classes", ())]


def _file(name: str, content: bytes) -> dict:
    return {
        "name": name,
        "type": "image/jpeg",
        "size": len(content),
        "content": memoryview(content),
        "last_modified": datetime(2020, 1, 1),
    }


def _send(app: ipywidgets.Widget, *files: tuple[str, bytes]) -> None:
    (upload,) = _find(app, "cnnlab-upload")
    upload.value = tuple(_file(name, content) for name, content in files)


def _images(card: ipywidgets.HTML) -> dict[str, np.ndarray]:
    found = re.findall(r'<img class="([^"]+)"[^>]*base64,([^"]+)"', card.value)
    return {
        name: np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for name, data in found
    }


def test_a_card_shows_name_classes_image_and_heatmap(app):
    _send(app, ("photo.jpg", b"A"))
    (card,) = _find(app, "cnnlab-result")
    assert "photo.jpg" in card.value
    assert re.findall(r"([\d.]+) %<", card.value) == ["87.5", "12.5"]
    assert "cat &amp; dog" in card.value
    assert "cat & dog" not in card.value
    assert 'style="width:87.5%"' in card.value
    images = _images(card)
    pixels = np.full((SIZE, SIZE, 3), ord("A"), np.uint8)
    np.testing.assert_array_equal(images["cnnlab-thumbnail"], pixels)
    np.testing.assert_array_equal(images["cnnlab-overlay"], heatmap_overlay(pixels, HEATMAP))
    assert card.value.count(" alt=") == 2


def test_the_cache_line_says_where_the_answer_came_from(app):
    _send(app, ("first.jpg", b"A"))
    _send(app, ("again.jpg", b"A"))
    again, first = _find(app, "cnnlab-result")  # newest on top
    assert re.search(r"cnnlab-cache\">computed in \d+ ms<", first.value)
    assert 'cnnlab-cache">from the cache<' in again.value


def test_a_card_says_how_far_to_trust_the_answer(app):
    _send(app, ("strange.jpg", b"?"), ("plain.jpg", b"A"))
    strange, plain = _find(app, "cnnlab-result")
    assert "plausible: cat &amp; dog or mouse<" in strange.value
    assert "Perhaps none of these" in strange.value
    assert "plausible" not in plain.value
    assert "none of these" not in plain.value


def test_the_same_file_can_be_chosen_twice(app):
    _send(app, ("photo.jpg", b"A"))
    assert _find(app, "cnnlab-upload")[0].value == ()
    _send(app, ("photo.jpg", b"A"))
    assert len(_find(app, "cnnlab-result")) == 2


def test_a_bad_file_gives_its_reason_and_harms_no_other(app):
    _send(app, ("one.jpg", b"A"), ("empty.jpg", b""), ("bug.jpg", b"bug"), ("two.jpg", b"B"))
    assert [card.value.split('cnnlab-name">')[1][:3] for card in _find(app, "cnnlab-result")] == [
        "one",
        "two",
    ]
    empty, bug = _find(app, "cnnlab-error")
    assert "empty.jpg" in empty.value
    assert "No prediction: 0 bytes came &lt;here&gt;: expected an image." in empty.value
    assert "Unexpected ZeroDivisionError: division by zero" in bug.value
    assert "2 images answered, 2 refused" in _find(app, "cnnlab-status")[0].value


class _Page(HTMLParser):
    """Collects the tags, the alternative texts and the words of a card, as a browser reads it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.alternatives: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.alternatives += [value or "" for name, value in attrs if name == "alt"]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_names_are_escaped_everywhere(app):
    hostile = "\"'><script>alert(1)</script>.jpg"
    _send(app, (hostile, b"A"), (hostile, b""))
    (answered,), (refused,) = _find(app, "cnnlab-result"), _find(app, "cnnlab-error")
    for card in (answered, refused):
        page = _Page(card.value)
        assert page.tags <= {"div", "span", "figure", "figcaption", "img"}
        assert hostile in page.words
    alternatives = _Page(answered.value).alternatives
    assert [hostile in text for text in alternatives] == [True, True]


def test_clear_removes_everything(app):
    _send(app, ("one.jpg", b"A"), ("empty.jpg", b""))
    _find(app, "cnnlab-clear")[0].click()
    assert _find(app, "cnnlab-result") == _find(app, "cnnlab-error") == []
    assert "answered" not in _find(app, "cnnlab-status")[0].value


def test_without_explain_there_is_no_heatmap():
    app = prediction_app(FakePredictor())
    _send(app, ("one.jpg", b"A"))
    assert set(_images(_find(app, "cnnlab-result")[0])) == {"cnnlab-thumbnail"}


def test_a_failing_heatmap_leaves_the_answer():
    app = prediction_app(FakePredictor(), lambda pixels: HEATMAP[:2])
    _send(app, ("one.jpg", b"A"))
    (card,) = _find(app, "cnnlab-result")
    assert "87.5 %" in card.value
    assert "no heatmap: heatmap has shape (2, 8)" in card.value


def test_the_browser_message_has_the_same_effect(app):
    (upload,) = _find(app, "cnnlab-upload")
    message = {
        "name": "photo.jpg",
        "type": "image/jpeg",
        "size": 1,
        "last_modified": 1_577_836_800_000,
        "content": memoryview(b"A"),
    }
    upload.set_state({"value": [message]})
    assert "photo.jpg" in _find(app, "cnnlab-result")[0].value
    assert upload.value == ()


def test_upload_takes_several_images(app):
    (upload,) = _find(app, "cnnlab-upload")
    assert upload.multiple
    assert {".jpg", ".png", ".webp"} <= set(upload.accept.split(","))

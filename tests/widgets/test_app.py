"""The prediction app, driven from Python: what the browser would send is assigned or set."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

import ipywidgets
import numpy as np
import pytest

from cnnlab.images import MAX_BYTES, ImageRejected, inspect
from cnnlab.widgets import PredictionApp, app

SIZE = 8


class CountingExplainer:
    """A ramp as heatmap; counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.calls += 1
        return np.linspace(0, 1, SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)


@pytest.fixture
def explainers() -> dict[str, CountingExplainer]:
    return {"occlusion": CountingExplainer(), "HiResCAM": CountingExplainer()}


@pytest.fixture
def shown(predictor, explainers) -> PredictionApp:
    return PredictionApp(predictor, explainers)


def _all(widget: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from _all(child)


def _find(root: ipywidgets.Widget, name: str) -> list[ipywidgets.Widget]:
    return [widget for widget in _all(root) if name in getattr(widget, "_dom_classes", ())]


def _status(root: ipywidgets.Widget) -> str:
    (status,) = _find(root, "cnnlab-status")
    return re.sub("<.*?>", "", status.value)


def test_a_card_shows_name_classes_photo_and_heatmap(shown, picture, upload):
    shown.upload.value = (upload("photo.jpg", picture(size=(40, 10))),)
    (card,) = _find(shown, "cnnlab-result")
    assert "photo.jpg" in card.value
    assert re.findall(r"([\d.]+) %<", card.value) == ["87.5", "12.5"]
    assert "cat &amp; dog" in card.value
    assert "cat & dog" not in card.value
    assert 'style="width:87.5%"' in card.value
    assert "40 × 10 px" in card.value
    assert "HiResCAM: cat &amp; dog" in card.value
    assert re.findall('<img class="([a-z-]+)"', card.value) == [
        "cnnlab-thumbnail",
        "cnnlab-overlay",
        "cnnlab-heat",
    ]
    assert card.value.count(" alt=") == 3


def test_it_says_where_the_answer_came_from_and_how_long_it_took(shown, picture, upload):
    for name in ("first.jpg", "again.jpg"):
        shown.upload.value = (upload(name, picture()),)
    again, first = _find(shown, "cnnlab-result")  # newest on top
    assert 'cnnlab-cache">computed in 12 ms<' in first.value
    assert 'cnnlab-cache">from the cache in 0.06 ms<' in again.value


def test_a_card_says_how_far_to_trust_the_answer(shown, picture, upload):
    strange = picture() + b"strange"
    shown.upload.value = (upload("plain.jpg", picture()), upload("strange.jpg", strange))
    strange, plain = _find(shown, "cnnlab-result")
    assert "Plausible: cat &amp; dog or mouse<" in strange.value
    assert "Perhaps none of these" in strange.value
    assert "Plausible" not in plain.value
    assert "none of these" not in plain.value


def test_the_same_file_can_be_chosen_twice(shown, picture, upload):
    for _ in range(2):
        shown.upload.value = (upload("photo.jpg", picture()),)
        assert shown.upload.value == ()
    assert len(_find(shown, "cnnlab-result")) == 2


def test_a_bad_file_gives_its_reason_and_harms_no_other(shown, picture, upload):
    contents = {"one.jpg": picture(), "empty.jpg": b"", "bug.jpg": b"bug", "two.jpg": picture()}
    shown.upload.value = tuple(upload(name, content) for name, content in contents.items())
    names = [re.findall('cnnlab-name">(.*?)<', card.value) for card in shown._results.children]
    assert names == [["two.jpg"], ["bug.jpg"], ["empty.jpg"], ["one.jpg"]]
    bug, empty = _find(shown, "cnnlab-error")
    assert "No prediction: 0 bytes came &lt;here&gt;: expected an image." in empty.value
    assert "Unexpected ZeroDivisionError: division by zero" in bug.value
    assert _status(shown) == "2 images answered, 2 refused"


def test_a_file_that_was_too_large_to_be_sent_is_refused_in_the_words_of_validation(shown, upload):
    size = MAX_BYTES + 1
    shown.upload.value = (upload("big.jpg", b"", f"application/x-not-sent;bytes={size}"),)
    (card,) = _find(shown, "cnnlab-error")
    with pytest.raises(ImageRejected) as refusal:
        inspect(bytes(size))
    assert refusal.value.message in card.value
    assert "big.jpg" in card.value


def test_a_folder_that_was_dropped_is_named(shown, upload):
    shown.upload.value = (upload("holiday", b"", "application/x-unreadable"),)
    (card,) = _find(shown, "cnnlab-error")
    assert "holiday" in card.value
    assert "not a folder" in card.value


def test_another_method_asks_for_heatmaps_only_and_for_each_once(
    shown, predictor, explainers, picture, upload
):
    shown.upload.value = (upload("one.jpg", picture()), upload("two.jpg", picture("red")))
    assert shown.method.value == "HiResCAM"
    asked = dict(predictor.asked)
    for method in ("occlusion", "none", "HiResCAM", "occlusion"):
        shown.method.value = method
    assert predictor.asked == asked
    assert {name: explain.calls for name, explain in explainers.items()} == {
        "occlusion": 2,
        "HiResCAM": 2,
    }
    assert all("occlusion: cat" in card.value for card in _find(shown, "cnnlab-result"))


def test_no_heatmap_is_a_choice(shown, explainers, picture, upload):
    shown.method.value = "none"
    shown.upload.value = (upload("one.jpg", picture()),)
    (card,) = _find(shown, "cnnlab-result")
    assert "cnnlab-heat" not in card.value
    assert explainers["HiResCAM"].calls == 0


def test_the_opacity_is_the_pages_own_and_asks_nobody(shown):
    (slider,) = [part for part in _all(shown) if 'type="range"' in str(getattr(part, "value", ""))]
    assert 'class="cnnlab-opacity"' in slider.value
    styles = [part.value for part in _all(shown) if "<style>" in str(getattr(part, "value", ""))]
    assert "opacity: var(--cnnlab-opacity" in styles[0]


def test_a_failing_heatmap_leaves_the_answer(predictor, picture, upload):
    def fails(pixels: np.ndarray) -> np.ndarray:
        raise RuntimeError("no <conv>")

    shown = PredictionApp(predictor, {"Grad-CAM": fails})
    shown.upload.value = (upload("one.jpg", picture()),)
    (card,) = _find(shown, "cnnlab-result")
    assert "87.5 %" in card.value
    assert "No Grad-CAM: no &lt;conv&gt;" in card.value


def test_without_explainers_there_is_no_choice_of_heatmaps(predictor, picture, upload):
    shown = PredictionApp(predictor)
    shown.upload.value = (upload("one.jpg", picture()),)
    (card,) = _find(shown, "cnnlab-result")
    assert "cnnlab-heat" not in card.value
    assert _find(shown, "cnnlab-method") == []
    assert not any('type="range"' in str(getattr(part, "value", "")) for part in _all(shown))


class _Page(HTMLParser):
    """Collects tags, alternative texts and words, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[str] = []
        self.words: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [value or "" for name, value in attrs if name in ("alt", "aria-label")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_names_are_escaped_everywhere(shown, picture, upload):
    hostile = "\"'><script>alert(1)</script>.jpg"
    shown.upload.value = (upload(hostile, picture()), upload(hostile, b""))
    (answered,), (refused,) = _find(shown, "cnnlab-result"), _find(shown, "cnnlab-error")
    (table,) = _find(shown, "cnnlab-history")
    for part in (answered, refused, table):
        page = _Page(part.value)
        assert "script" not in page.tags
        assert hostile in page.words
    assert sum(hostile in text for text in _Page(answered.value).attributes) == 3


def test_old_cards_go_and_the_history_stays(shown, picture, upload):
    count = app.CARDS + 2
    shown.upload.value = tuple(upload(f"{n}.jpg", picture()) for n in range(count))
    assert len(_find(shown, "cnnlab-result")) == app.CARDS
    assert [asked.name for asked in shown.history] == [f"{n}.jpg" for n in range(count)]
    assert _status(shown) == f"{count} images answered"


def test_clear_removes_everything(shown, picture, upload):
    assert shown.clear.disabled
    shown.upload.value = (upload("one.jpg", picture()), upload("empty.jpg", b""))
    assert not shown.clear.disabled
    shown.clear.click()
    assert _find(shown, "cnnlab-result") == _find(shown, "cnnlab-error") == shown.history == []
    assert (_status(shown), shown.clear.disabled) == ("", True)
    assert "one.jpg" not in "".join(str(getattr(part, "value", "")) for part in _all(shown))


def test_every_message_is_acknowledged(shown, picture, upload):
    """The page sends the next file when this count changes."""
    (status,) = _find(shown, "cnnlab-status")
    seen = [re.findall('data-received="(.*?)"', status.value)]
    for content in (picture(), b""):
        shown.upload.value = (upload("x", content),)
        seen.append(re.findall('data-received="(.*?)"', status.value))
    shown.clear.click()
    assert [*seen, re.findall('data-received="(.*?)"', status.value)] == [
        ["0"],
        ["1"],
        ["2"],
        ["2"],
    ]


def test_the_browser_message_has_the_same_effect(shown, picture):
    content = picture()
    message = {"name": "photo.jpg", "type": "image/jpeg", "size": len(content)}
    message |= {"last_modified": 1_577_836_800_000, "content": memoryview(content)}
    shown.upload.set_state({"value": [message]})
    assert "photo.jpg" in _find(shown, "cnnlab-result")[0].value
    assert shown.upload.value == ()


def test_upload_takes_several_images(shown):
    assert shown.upload.multiple
    assert {".jpg", ".png", ".webp"} <= set(shown.upload.accept.split(","))

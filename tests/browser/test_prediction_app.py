"""The prediction app in a real browser: in notebook 06 under JupyterLab, and alone under Voilà.

One page is opened for each; every test begins by clearing the app and brings files of its own.
"""

import csv
import io
import re
import shutil
import signal
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cnnlab.serving.predictor import Predictor

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600_000  # milliseconds that a step may take at most
DRAWN = "picture => picture.decode().then(() => picture.naturalWidth)"
WIDE, NARROW = {"width": 1000, "height": 1200}, {"width": 360, "height": 800}


@pytest.fixture(scope="module")
def predictor(served_run) -> Predictor:
    return Predictor(served_run / "reports" / "lab" / "model")


@pytest.fixture(scope="module", params=["lab", "voila"])
def opened(request, browser, serve, lab_limit, tmp_path_factory):
    """Return the page that shows the app, its server, and every address that it asked for."""
    arguments: tuple[str, ...] = ("app.ipynb",)
    folder, ready, path = ROOT / "notebooks" / "app", "/voila/static/voila.js", "/"
    if request.param == "lab":
        folder = tmp_path_factory.mktemp("notebooks")
        shutil.copy(ROOT / "notebooks" / "06_inference_demo.ipynb", folder)
        arguments = ("--IdentityProvider.token=", "--ServerApp.allow_root=True")
        arguments += (f"--ServerApp.tornado_settings={lab_limit}",)
        ready, path = "/api", "/lab/tree/06_inference_demo.ipynb?reset"
    module = {"lab": "jupyterlab", "voila": "voila"}[request.param]
    with serve(module, *arguments, folder=folder, ready=ready) as (server, address):
        page = browser.new_page(viewport=WIDE, color_scheme="light")
        page.set_default_timeout(SECONDS)
        asked: list[str] = []
        page.on("request", lambda sent: asked.append(sent.url))
        page.goto(address + path)
        if request.param == "lab":
            _run_all(page)
        page.wait_for_function("window.cnnlabUpload")
        page.server, page.front, page.asked, page.address = server, request.param, asked, address
        yield page
        page.close()


def _run_all(page) -> None:
    """Run the notebook from JupyterLab's menu until its last cell has run or one has failed."""
    page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle")).wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()
    failed = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.error"]'
    page.wait_for_function(
        """failed => document.querySelector(failed) ||
          [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].every(
            prompt => /\\[\\d+\\]/.test(prompt.textContent))""",
        arg=failed,
        timeout=3 * SECONDS,  # TensorFlow starts in there
    )
    assert page.locator(failed).all_inner_texts() == []


@pytest.fixture
def page(opened):
    """Return the page with an empty app, in light colours and wide."""
    opened.set_viewport_size(WIDE)
    opened.emulate_media(color_scheme="light")
    clear = opened.get_by_role("button", name="Clear", exact=True)
    if clear.is_enabled():
        clear.click()
    opened.locator(".cnnlab-card").first.wait_for(state="hidden")
    opened.locator(".cnnlab-app").scroll_into_view_if_needed()
    yield opened
    outside = [sent for sent in opened.asked if not sent.startswith(_known(opened.address))]
    assert outside == []


def _known(address: str) -> tuple[str, ...]:
    return (address, address.replace("http", "ws"), "data:", f"blob:{address}")


@pytest.fixture
def photo(request):
    """Return a maker of JPEG files that no other test has."""
    seed = np.random.default_rng([len(request.node.nodeid), *request.node.nodeid.encode()])

    def made(width: int = 320, height: int = 240, orientation: int = 1) -> bytes:
        exif = Image.Exif()
        exif[0x0112] = orientation
        coarse = seed.integers(0, 256, (6, 8, 3)).astype(np.uint8)
        target = io.BytesIO()
        Image.fromarray(coarse).resize((width, height)).save(target, "JPEG", exif=exif)
        return target.getvalue()

    return made


@pytest.fixture
def choose(page, tmp_path):
    """Return how to choose files by the button, and to wait for their answers."""

    def chosen(contents: dict[str, bytes], *, wait: bool = True) -> None:
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        before = page.locator(".cnnlab-card").count()  # the first answer may be there at once
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Choose images").click()
        chooser.value.set_files([tmp_path / name for name in contents])
        if wait:
            _answered(page, before + len(contents))

    return chosen


def _answered(page, count: int) -> None:
    page.locator(".cnnlab-card").nth(count - 1).wait_for()
    page.wait_for_function("!document.querySelector('.cnnlab-sending').textContent")


@contextmanager
def _silent(server):
    """Let a server answer nobody for a while."""
    server.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.send_signal(signal.SIGCONT)


def _card(page, name: str):
    return page.get_by_role("group", name=name, exact=True)


def _rows(card) -> list[tuple[str, str]]:
    texts = card.get_by_role("listitem").all_inner_texts()
    return [tuple(text.split("\n")) for text in texts]


def test_a_photo_is_answered_as_the_predictor_answers(page, choose, photo, predictor):
    content = photo()
    answer = predictor.predict(content)
    choose({"photo.jpg": content})
    card = _card(page, "photo.jpg")
    assert _rows(card) == [(label, f"{100 * share:.1f} %") for label, share in answer.top]
    assert f"Plausible: {' or '.join(answer.plausible)}" in card.inner_text()
    assert ("Perhaps none of these" in card.inner_text()) == answer.none_of_these
    assert re.search(r"computed in [\d.]+ ms", card.locator(".cnnlab-cache").inner_text())
    assert card.locator(".cnnlab-thumbnail").evaluate(DRAWN) > 100
    assert card.locator(".cnnlab-heat").evaluate(DRAWN) == predictor.image_size
    assert f"HiResCAM: {answer.label}" in card.inner_text()


def test_a_photo_lying_on_its_side_stands_up(page, choose, photo, predictor):
    content = photo(orientation=6)
    choose({"rotated.jpg": content})
    card = _card(page, "rotated.jpg")
    assert _rows(card)[0][0] == predictor.predict(content).label
    assert "240 × 320 px" in card.inner_text()
    for frame in card.locator(".cnnlab-frame").all():
        box = frame.bounding_box()
        assert box["height"] == pytest.approx(box["width"] * 320 / 240, rel=0.02)


def test_the_same_file_again_comes_from_the_cache(page, choose, photo):
    content = photo()
    choose({"first.jpg": content})
    choose({"again.jpg": content})
    assert "computed in" in _card(page, "first.jpg").inner_text()
    assert re.search(r"from the cache in [\d.]+ ms", _card(page, "again.jpg").inner_text())
    assert _rows(_card(page, "again.jpg")) == _rows(_card(page, "first.jpg"))


def test_bad_files_say_why_and_harm_no_other(page, choose, photo, screenshots):
    content = photo()
    big = content + bytes(12 * 2**20 - len(content))
    files = {"before.jpg": content, "broken.jpg": content[:500], "big.jpg": big}
    choose({**files, "after.jpg": photo()})
    assert "The JPEG file is damaged" in _card(page, "broken.jpg").inner_text()
    limit = "has 12.6 MB: at most 10.4 are accepted."
    assert limit in _card(page, "big.jpg").inner_text()
    assert len(_rows(_card(page, "before.jpg"))) == len(_rows(_card(page, "after.jpg"))) == 3
    assert page.locator(".cnnlab-status").inner_text() == "2 images answered, 2 refused"
    page.locator(".cnnlab-app").screenshot(path=screenshots / f"{page.front}_errors.png")


def test_photos_of_nine_megabytes_arrive_however_many(page, choose, photo):
    """Together they are larger than a message may be where nobody raised the limit."""
    large = {name: _bitmap(photo()) for name in ("one.bmp", "two.bmp")}
    assert min(map(len, large.values())) > 9_000_000
    choose(large)
    assert page.locator(".cnnlab-status").inner_text() == "2 images answered"


def _bitmap(content: bytes) -> bytes:
    target = io.BytesIO()
    Image.open(io.BytesIO(content)).resize((2000, 1520)).save(target, "BMP")
    return target.getvalue()


def test_files_may_be_dropped_anywhere_on_the_app(page, photo):
    transfer = page.evaluate_handle(
        """letters => {
          const parcel = new DataTransfer();
          const bytes = Uint8Array.from(letters);
          for (const name of ["one.jpg", "two.jpg"]) parcel.items.add(new File([bytes], name));
          return parcel;
        }""",
        list(photo()),
    )
    app, over = page.locator(".cnnlab-app"), re.compile("cnnlab-over")
    status = page.locator(".cnnlab-status")
    status.dispatch_event("dragover", {"dataTransfer": transfer})
    assert over.search(app.get_attribute("class"))
    status.dispatch_event("drop", {"dataTransfer": transfer})
    _answered(page, 2)
    assert len(_rows(_card(page, "one.jpg"))) == len(_rows(_card(page, "two.jpg"))) == 3
    assert not over.search(app.get_attribute("class"))


def test_a_file_without_an_answer_is_spoken_of(page, choose, photo):
    """As when the server drops a message that is too large; here it only waits."""
    note = page.locator(".cnnlab-sending")
    note.evaluate("note => { note.dataset.patience = 0.1; }")
    with _silent(page.server):
        choose({"lost.jpg": photo()}, wait=False)
        note.get_by_text("No answer to lost.jpg").wait_for()
        assert "make app" in note.inner_text()
    _answered(page, 1)
    note.evaluate("note => { note.dataset.patience = 15; }")


def test_it_works_by_keyboard_alone(page, choose, photo):
    choose({"photo.jpg": photo()})
    page.get_by_role("button", name="Choose images").focus()
    stops = []
    for _ in range(5):
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.className.match(/cnnlab-[a-z]+|$/)[0]"))
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid", stops
    assert stops == ["", "cnnlab-opacity", "cnnlab-clear", "cnnlab-button", ""]
    page.get_by_label("Heatmap").focus()
    page.keyboard.press("ArrowDown")  # from HiResCAM
    _card(page, "photo.jpg").get_by_text("LayerCAM:").wait_for()
    page.get_by_role("button", name="Clear", exact=True).focus()
    page.keyboard.press("Enter")
    _card(page, "photo.jpg").wait_for(state="hidden")
    page.get_by_label("Heatmap").select_option("HiResCAM")


def test_opacity_changes_the_picture_and_asks_nobody(page, choose, photo):
    choose({"photo.jpg": photo()})
    heat, slider = page.locator(".cnnlab-heat"), page.get_by_label("Opacity")
    picture = heat.get_attribute("src")
    with _silent(page.server):
        slider.focus()
        for key, opacity in (("End", "1"), ("Home", "0"), ("ArrowRight", "0.05")):
            page.keyboard.press(key)
            assert heat.evaluate("picture => getComputedStyle(picture).opacity") == opacity
    assert heat.get_attribute("src") == picture
    slider.fill("0.55")


def test_the_history_is_saved_as_csv(page, choose, photo, predictor):
    content = photo()
    answer = predictor.predict(content)
    choose({"=1+1.jpg": content, "page.html": b"<html>"})
    page.get_by_text("History (2)").click()
    assert page.get_by_role("region", name="History").get_by_role("row").count() == 3
    with page.expect_download() as download:
        page.get_by_role("link", name="Download CSV").click()
    assert download.value.suggested_filename == "predictions.csv"
    text = download.value.path().read_text(encoding="utf-8-sig")
    good, bad = csv.DictReader(io.StringIO(text))
    assert (good["name"], good["label"]) == ("'=1+1.jpg", answer.label)
    assert float(good["probability"]) == pytest.approx(answer.probability, abs=1e-5)
    assert bad["name"] == "page.html"
    assert "not an image" in bad["error"]


CONTRAST = """element => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], under) => [r, g, b].map((c, i) => c * a + under[i] * (1 - a));
  const ground = node => {
    if (!node) return [255, 255, 255];
    const colour = parse(getComputedStyle(node).backgroundColor);
    return (colour[3] ?? 1) === 1 ? colour : over(colour, ground(node.parentElement));
  };
  const light = colour => colour.map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const under = ground(element), text = over(parse(getComputedStyle(element).color), under);
  const [low, high] = [light(under), light(text)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}"""
TEXTS = (
    *(".cnnlab-hint", ".cnnlab-status span", ".cnnlab-name", ".cnnlab-note", ".cnnlab-row span"),
    *("figcaption", ".cnnlab-reason div", "summary", ".cnnlab-slider", ".cnnlab-upload"),
    *(".cnnlab-clear", ".cnnlab-button", ".cnnlab-method label", ".cnnlab-method select"),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_legible_in_both_themes(page, choose, photo, screenshots, scheme):
    page.emulate_media(color_scheme=scheme)
    choose({"broken.jpg": photo()[:500], "photo.jpg": photo(), "wide.jpg": photo(480, 160)})
    ground = page.locator(".cnnlab-app").evaluate(
        "app => getComputedStyle(app).getPropertyValue('--jp-layout-color0')"
    )
    assert (ground.strip() in ("#fff", "white", "#ffffff")) == (scheme == "light")
    app = page.locator(".cnnlab-app")
    for text in TEXTS:
        assert app.locator(text).first.evaluate(CONTRAST) >= 4.5, text  # WCAG 2.2, level AA
    app.screenshot(path=screenshots / f"{page.front}_{scheme}.png")


# JupyterLab's own bars leave no room on a telephone; the app is for that.
@pytest.mark.parametrize("opened", ["voila"], indirect=True)
def test_it_fits_a_narrow_screen(page, choose, photo, screenshots):
    page.set_viewport_size(NARROW)
    name = "a_very_long_name_" * 6 + ".jpg"
    choose({"photo.jpg": photo(), name: photo()[:500], "tall.jpg": photo(240, 320)})
    edges = page.locator(".cnnlab-app :not(.cnnlab-scroll *)").evaluate_all(
        "nodes => Math.max(...nodes.map(node => node.getBoundingClientRect().right))"
    )
    assert edges <= NARROW["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    page.screenshot(path=screenshots / "voila_narrow.png")

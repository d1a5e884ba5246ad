"""The pages of a run in Chromium: opened from disk, on a phone, on paper, with hostile names."""

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import nbformat
import numpy as np
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cnnlab import runs
from cnnlab.evaluation import scoring
from cnnlab.report import comparison_page, front_page
from cnnlab.runs import execute

pytestmark = pytest.mark.slow

PAGES = ("one/index.html", "one/html/01_explore_data.html", "one-vs-two.html")
POLICY = re.compile("<meta [^>]*Content-Security-Policy[^>]*>")
each_page = pytest.mark.parametrize("name", PAGES)


class Counting(BaseHTTPRequestHandler):
    """Somebody else's server, which no page should ever ask."""

    asked: list[str] = []  # noqa: RUF012

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def stranger():
    """The address of a server that notes what it is asked."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Counting)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory, stranger):
    """Two runs with sixty classes, whose names and outputs try everything; returns reports/."""
    home = tmp_path_factory.mktemp("report")
    evil = f"<img src={stranger}/name><script>window.hit = 1</script>"
    classes = [evil, "a&b", *(f"class {number:02d}" for number in range(58))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(home))
        patch.setattr(execute, "NOTEBOOKS", _notebooks(home / "checkout", stranger, evil))
        made = [_run(name, classes) for name in ("one", "two")]
        for run in made:
            front_page.build(run)
        comparison_page.write_page(comparison_page.compare(*(run.folder for run in made)))
    return home / "reports"


def _notebooks(folder, stranger, evil):
    folder.mkdir()
    html = evil + _hostile(stranger)
    wide = "<table class=dataframe><thead><tr><th></th>" + "<th>wide column</th>" * 20
    wide += "</tr></thead><tbody>" + ("<tr><th>r</th>" + "<td>1</td>" * 20 + "</tr>") * 3
    outputs = [
        new_output("display_data", {"text/html": html}),
        new_output("display_data", {"text/html": wide + "</tbody></table>"}),
        new_output("display_data", {"text/markdown": f"![m]({stranger}/markdown)"}),
    ]
    long = new_code_cell("x = '" + "y" * 300 + "'", execution_count=1, outputs=outputs)
    long.metadata["papermill"] = {"duration": 12.0}
    text = "\n\n".join(["A paragraph."] * 60)
    cells = [new_markdown_cell("# Title"), long, new_markdown_cell(f"{text}\n\n## Far below")]
    nbformat.write(new_notebook(cells=cells), folder / "01_explore_data.ipynb")
    return folder


def _hostile(stranger):
    html = f'<img src="{stranger}/tag"><iframe src="{stranger}/frame"></iframe>'
    html += f'<div style="background: url({stranger}/style)">x</div>'
    return html + f'<script>fetch("{stranger}/script"); window.hit = 1</script>'


def _run(name, classes):
    run = runs.open_run(name, profile="smoke")
    labels = np.repeat(np.arange(60), 3)
    odds = np.random.default_rng(0).random((180, 60)) + 3 * np.eye(60)[labels]
    scores = scoring.evaluate(labels, odds / odds.sum(1, keepdims=True), classes, samples=9, seed=0)
    scores = scores.to_json()
    scores["per_class"][7]["auc"] = None
    run.save_json("metrics/test.json", scores)
    gap = {"images": 9, "gap": 0.1, "gap_low": 0.05, "gap_high": 0.2, "beats_both": True}
    rows = [{"method": "A" * 30} | gap, {"method": "B"} | gap | {"gap": -0.2, "beats_both": False}]
    run.save_json(
        "metrics/explanations.json", {"faithfulness": dict.fromkeys(("x" * 20, "y", "z"), rows)}
    )
    for figure in ("cam_correct", "roc_test", "confusion_test", "extra"):
        run.save_figure(Figure(figsize=(9, 3 if "roc" in figure else 8)), figure)
    (run.path("notebooks", "01_explore_data.ipynb")).write_bytes(
        (execute.NOTEBOOKS / "01_explore_data.ipynb").read_bytes()
    )
    return run


@pytest.fixture
def opened(browser):
    """Open a file in a window of its own: path, options of the window → page and its requests."""

    @contextmanager
    def opening(path, **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        page, requests = context.new_page(), []
        page.on("request", lambda request: requests.append(request))
        page.goto(path.as_uri(), wait_until="load")
        yield page, requests
        context.close()

    return opening


@each_page
def test_no_request_leaves_the_page(reports, opened, name):
    Counting.asked.clear()
    with opened(reports / name) as (page, requests):
        page.wait_for_timeout(200)
        assert page.evaluate("window.hit") is None
        sent = [each.url for each in requests if each.failure is None]
        assert [url for url in sent if not url.startswith(("data:", "file:"))] == []
        files = [url for url in sent if url.startswith("file:")]
        assert files == [(reports / name).as_uri()]
    assert Counting.asked == []


def test_without_its_policy_nothing_that_a_cell_put_out_would_ask(reports, opened, tmp_path):
    """What cells put out is sanitized; the policy stands behind that."""
    text = (reports / PAGES[1]).read_text(encoding="utf-8")
    assert len(POLICY.findall(text)) == 1
    (tmp_path / "open.html").write_text(POLICY.sub("", text), encoding="utf-8")
    Counting.asked.clear()
    with opened(tmp_path / "open.html") as (page, requests):
        page.wait_for_timeout(200)
        assert page.evaluate("window.hit") is None
        assert [each.url for each in requests if not each.url.startswith(("data:", "file:"))] == []
    assert Counting.asked == []


@pytest.mark.parametrize("policy", [True, False])
def test_the_policy_stops_what_would_ask(reports, opened, stranger, tmp_path, policy):
    """So the tests above can fail."""
    text = (reports / PAGES[1]).read_text(encoding="utf-8")
    text = text if policy else POLICY.sub("", text)
    html = _hostile(stranger)
    (tmp_path / "open.html").write_text(text.replace("</main>", f"{html}</main>"), encoding="utf-8")
    Counting.asked.clear()
    with opened(tmp_path / "open.html") as (page, _):
        if policy:
            page.wait_for_timeout(200)
            assert page.evaluate("window.hit") is None
        else:
            page.wait_for_function("window.hit == 1")
            while len(set(Counting.asked)) < 4:
                page.wait_for_timeout(50)
    assert set(Counting.asked) == (set() if policy else {"/tag", "/frame", "/style", "/script"})


@each_page
def test_on_a_phone_the_page_does_not_scroll_sideways_but_its_tables_do(reports, opened, name):
    phone = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}
    with opened(reports / name, **phone) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        boxes = ".scroll, .jp-OutputArea-output"
        wider = "boxes => boxes.filter(b => b.scrollWidth > b.clientWidth).map(b => b.clientWidth)"
        scrolling = page.locator(boxes).evaluate_all(wider)
        assert scrolling
        assert max(scrolling) <= 360


def test_a_heading_sorts_its_table_by_keyboard(reports, opened):
    with opened(reports / PAGES[0]) as (page, _):
        table = page.locator("table.sortable").first
        head = table.locator("th", has_text="AUC")
        column = table.locator("tbody td:last-child")
        before = column.all_inner_texts()
        head.locator("button").focus()
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "ascending"
        rising = column.all_inner_texts()
        numbers = sorted(float(text) for text in before if text != "–")
        assert rising == [*(f"{value:.3f}" for value in numbers), "–"]
        page.keyboard.press("Enter")
        assert head.get_attribute("aria-sort") == "descending"
        assert column.all_inner_texts() == [*(f"{value:.3f}" for value in numbers[::-1]), "–"]
        table.locator("th", has_text="Class").locator("button").click()
        assert head.get_attribute("aria-sort") is None
        names = table.locator("tbody th").all_inner_texts()
        assert names.index("class 02") < names.index("class 10")


@each_page
def test_without_scripts_all_is_there(reports, opened, name):
    with opened(reports / name, java_script_enabled=False) as (page, _):
        assert page.locator("th button").count() == 0
        assert page.locator("tbody tr").count() >= 3


@each_page
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_follows_the_readers_colours_but_paper_is_white(reports, opened, name, scheme):
    brightness = (
        "() => { const c = getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g);"
        "return c[3] === '0' ? 255 : (+c[0] + +c[1] + +c[2]) / 3 }"
    )
    with opened(reports / name, color_scheme=scheme) as (page, _):
        assert (page.evaluate(brightness) < 60) == (scheme == "dark")
        page.emulate_media(media="print", color_scheme=scheme)
        assert page.evaluate(brightness) > 240
        for selector in ("footer", ".run-bar", ".run-toc"):
            for found in page.locator(selector).all():
                assert not found.is_visible()


@pytest.mark.parametrize("name", [PAGES[0], PAGES[2]])
def test_the_summary_prints_on_two_pages(reports, opened, name):
    with opened(reports / name) as (page, _):
        page.emulate_media(media="print")
        assert len(re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))) <= 2


def test_the_contents_lead_to_their_heading_on_a_phone(reports, opened):
    with opened(reports / PAGES[1], viewport={"width": 360, "height": 740}) as (page, _):
        heading = page.locator("h2", has_text="Far below")
        assert heading.bounding_box()["y"] > 740
        page.get_by_role("navigation", name="Contents").get_by_text("Far below").click()
        assert 0 <= heading.bounding_box()["y"] < 740


@each_page
def test_pictures_for_people(reports, opened, screenshots, name):
    stem = name.replace("/", "-").removesuffix(".html")
    for look, width in (("light", 1280), ("dark", 360)):
        options = {"color_scheme": look, "viewport": {"width": width, "height": 900}}
        with opened(reports / name, **options) as (page, _):
            path = screenshots / f"{stem}-{look}-{width}.png"
            page.screenshot(path=path, full_page=True)
            assert path.stat().st_size > 10_000

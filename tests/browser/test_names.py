"""Names that want to take over a page, in everything that shows names, in Chromium.

Nothing is trained: pages, cards, notebooks' outputs and the app's cards are made of records.
"""

import json
import re
from contextlib import contextmanager
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from hostile_names import NAMES
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from cnnlab import report, runs
from cnnlab.data import manifest, splits
from cnnlab.evaluation import records, scoring
from cnnlab.evaluation.conformal import SetRule
from cnnlab.evaluation.ood_detection import NoveltyRule
from cnnlab.report import comparison_page, front_page, layout, sanitizer
from cnnlab.runs import storage
from cnnlab.runs.folder import Run
from cnnlab.text.printable import printable
from cnnlab.widgets import cards, history
from cnnlab.widgets.pictures import Photo
from cnnlab.widgets.upload_result import UploadResult

pytestmark = pytest.mark.slow

CARD, FRAME, RAW, STREAM = "the card", "the table", "raw output", "printed"
PNG = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="  # noqa: E501
# What a name could become. The pages' own pictures and the app's download are data of theirs.
ACTS = """root => {
  const found = [...root.querySelectorAll(`
    meta[http-equiv=refresh i], base, form, iframe, frame, object, embed, svg:not([data-icon]),
    math, template, noscript, link[href], textarea, input:not(.cnnlab-opacity), script[src],
    mjx-container, .MathJax, img:not([src^="data:image/"]),
    [href]:is([href^="http" i], [href^="javascript" i], [href^="www" i], [href^="mailto" i],
      [href^="data" i]:not(.cnnlab-download))`)];
  const handled = [...root.querySelectorAll('*')].filter(
    each => each.getAttributeNames().some(name => name.startsWith('on')));
  return [...found, ...handled].map(each => each.outerHTML.slice(0, 200));
}"""
TEXT = "root => root.textContent"


def missing(text: str) -> list[str]:
    """Return the names that a text does not show; a page may show any space as a space."""
    plain = _plain(text)
    return [name for name in map(_plain, NAMES) if name not in plain]


def _plain(text: str) -> str:
    shown = printable(text) if text in NAMES else text
    return " ".join(shown.replace("\\xa0", " ").split())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two runs whose classes, files, data and records have the names; returns reports/."""
    folder = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CNNLAB_HOME", str(folder))
        made = [_run("one"), _run("two")]
        made[1].record("weights", {"data": "x", "licence": "x", "file": NAMES[2]} | _numbered())
        made[1].record("dataset", {"name": NAMES[0], "sha256": NAMES[1]} | _numbered())
        made[1].update(lambda state: state["settings"].update(source=" ".join(NAMES)))
        made[1] = Run(made[1].folder, storage.read_settings(made[1].folder))
        for run in made:
            front_page.build(run)
        comparison_page.write_page(comparison_page.compare(*(run.folder for run in made)))
    return folder / "reports"


def _numbered() -> dict[str, str]:
    extra = {"architecture": NAMES[5], "sha256": NAMES[3], "source": NAMES[4]}
    return {f"n{number}": name for number, name in enumerate(NAMES)} | extra


def _run(name):
    run = runs.open_run(name, profile="smoke")
    labels = np.repeat(np.arange(len(NAMES)), 2)
    odds = np.random.default_rng(0).random((len(labels), len(NAMES))) + np.eye(len(NAMES))[labels]
    odds /= odds.sum(1, keepdims=True)
    scores = scoring.evaluate(labels, odds, NAMES, samples=2, seed=0)
    run.save_json("metrics/test.json", scores)
    run.record("dataset", {"name": NAMES[0], "sha256": "0" * 64})
    outputs = _outputs(run, scores)
    run.update(lambda state: state["notebooks"].update(failing={"failed": " ".join(NAMES)}))
    cell = new_code_cell("pass", execution_count=1, outputs=outputs)
    cells = [new_markdown_cell("# Title"), cell, new_markdown_cell("## End")]
    nbformat.write(new_notebook(cells=cells), run.path("notebooks", "01_explore_data.ipynb"))
    return run


def _outputs(run, scores):
    files, table = _dataset()
    run.save_table("splits.csv", table)
    run.save_table("training/history.csv", pd.DataFrame({"epoch": [1], "validation_loss": [0.5]}))
    rules = records.Calibration(1.0, SetRule(0.9, 0.1, 40), NoveltyRule(0.95, 0.3, 40))
    validated = records.ValidationResult(scores, calibration=rules)
    data = report.dataset_card(run, files, _findings(), table)
    model = report.model_card(run, validation=validated)
    frame = report.Shown(pd.DataFrame({"path": NAMES, "label": NAMES[::-1]}, index=NAMES))
    pd.set_option("display.max_rows", 400)
    html = frame._repr_html_()
    pd.reset_option("display.max_rows")
    raw = "".join(f"<p>{name}</p>" for name in NAMES)
    return [
        _display({"text/markdown": data._repr_markdown_(), "text/plain": CARD}),
        _display({"text/markdown": model._repr_markdown_(), "text/plain": CARD}),
        _display({"text/html": html, "text/plain": FRAME}),
        _display({"text/html": raw, "text/plain": RAW}),
        _display({"text/markdown": "\n\n".join(NAMES), "text/plain": RAW}),
        _display({"image/svg+xml": "<svg><script>alert(99)</script></svg>", "text/plain": RAW}),
        _display({"application/javascript": "alert(98)", "text/plain": RAW}),
        new_output("stream", name="stdout", text="\n".join(map(printable, NAMES))),
    ]


def _display(data):
    return new_output("display_data", data)


def _dataset():
    rows = [
        {name: name_ if kind == "str" else 8 for name, kind in manifest._TYPES.items()}
        | {"path": f"{split}/{number}", "split": split, "status": "accepted", "group": name_}
        | {"sha256": f"{number}{split}", "format": "png", "mode": "rgb", "reason": ""}
        for number, name_ in enumerate(NAMES)
        for split in ("train", "test")
    ]
    files = pd.DataFrame(rows, columns=manifest.COLUMNS)
    table = files[["path", "label", "split", "group"]].assign(picture=files["path"], reason="")
    return files, table[splits.COLUMNS]


def _findings():
    kinds = ["outlier", "near_leak", "exact_duplicate", "unusual", "quarantined"]
    rows = [{"kind": kind, "path": name, "other": name, "detail": name}
            for kind, name in zip(kinds, NAMES, strict=False)]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """A page that shows the app's HTML as ipywidgets does: as the content of an element."""
    photo = Photo(PNG, 20, 10)
    pieces, results = [], []
    for name, label in zip(NAMES, NAMES[::-1], strict=True):
        answer = SimpleNamespace(
            top=((label, 0.75), (name, 0.25)),
            plausible=(label, name),
            none_of_these=True,
            cached=False,
            elapsed_ms=1.5,
        )
        pieces.append(cards.predicted(name, answer, photo, "occlusion", PNG))
        pieces.append(cards.predicted(name, answer, photo, name, f"data:{label}"))
        pieces.append(cards.refused(name, label))
        results += [UploadResult(name, answer), UploadResult(name, error=label)]
    pieces += [history.table(results), history.download(results)]
    path = tmp_path_factory.mktemp("app") / "app.html"
    text = json.dumps(pieces).replace("<", "\\u003c")
    path.write_text(
        "<!doctype html><meta charset=utf-8><body><script>"
        f"for (const piece of {text}) {{ const at = document.createElement('div');"
        "document.body.append(at); at.innerHTML = piece; }</script>",
        encoding="utf-8",
    )
    return path


@contextmanager
def watched(browser, address):
    """Open a page and fail if it asks, goes anywhere else, runs anything or lets itself be left."""
    page, asked, moved = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (moved.append(dialog.message), dialog.dismiss()))
    page.on("framenavigated", lambda frame: moved.append(frame.url))
    page.goto(address, wait_until="load")
    page.wait_for_timeout(300)
    yield page
    assert moved == [address]
    assert [url for url in asked if not url.startswith("data:image/")] == [address]
    page.close()


PAGES = {
    "front page": "one/index.html",
    "front page of records": "two/index.html",
    "notebook's page": "one/html/01_explore_data.html",
    "comparison": "one-vs-two.html",
}


@pytest.mark.parametrize("place", PAGES)
def test_a_page_shows_every_name_and_none_acts(home, browser, place):
    with watched(browser, (home / PAGES[place]).as_uri()) as page:
        body = page.locator("body")
        assert body.evaluate(ACTS) == []
        assert missing(body.evaluate(TEXT)) == []
        scripts = page.locator("script").all_text_contents()
        assert scripts == [layout.read(layout.SCRIPT)]
        assert page.locator("head meta[http-equiv]").count() == 1  # the policy
        assert page.locator("title").inner_text  # it ends where it should
        assert page.locator("main, .jp-Notebook").first.is_visible()


def test_each_kind_of_output_of_a_notebook_shows_every_name(home, browser):
    with watched(browser, (home / PAGES["notebook's page"]).as_uri()) as page:
        outputs = page.locator(".jp-OutputArea-output").evaluate_all(f"all => all.map({TEXT})")
        assert [missing(outputs[place]) for place in (0, 1, 2)] == [[]] * 3
        assert missing(outputs[-1]) == []
        assert page.locator("h1").count() == 1 + 2  # the notebook's own, and a card's each


def test_the_sanitizer_is_what_keeps_the_notebooks_page(home, browser, monkeypatch):
    """So the tests above can fail: without it names in raw outputs become elements."""
    monkeypatch.setattr(sanitizer, "html", lambda source: source)
    monkeypatch.setenv("CNNLAB_HOME", str(home.parent))
    run = runs.open_run("one")
    target = run.path("html", "open.html")
    from cnnlab.report import pages

    pages.write_page(run.path("notebooks", "01_explore_data.ipynb"), target, run_name="x")
    page = browser.new_page(java_script_enabled=False)
    page.goto(target.as_uri(), wait_until="commit")
    text = target.read_text(encoding="utf-8")
    assert "<iframe" in text
    assert re.search(r"<meta[^>]*refresh", text)
    page.close()


def test_the_app_shows_every_name_and_none_acts(app, browser):
    with watched(browser, app.as_uri()) as page:
        body = page.locator("body")
        found = body.evaluate(ACTS)
        assert found == []
        for kind in (".cnnlab-name", ".cnnlab-reason", ".cnnlab-plausible", "td", "figcaption"):
            texts = page.locator(kind).evaluate_all(f"all => all.map({TEXT})")
            assert missing(" ".join(texts)) == [], kind
        labels = page.locator(".cnnlab-card").evaluate_all(
            "all => all.map(each => each.getAttribute('aria-label'))"
        )
        assert missing(" ".join(labels)) == []


def test_jupyterlab_shows_every_name_and_none_acts(home, app, browser, serve, tmp_path):
    """Its outputs are trusted, since a kernel of the session made them: nothing is sanitized."""
    node = nbformat.read(home / "one" / "notebooks" / "01_explore_data.ipynb", as_version=4)
    shown = [dict(output.data) for output in node.cells[1].outputs[:3]]
    shown.append({"text/markdown": "$y$"})  # a formula of ours, so that there is one to wait for
    (tmp_path / "outputs.json").write_text(json.dumps(shown))
    (tmp_path / "cards.json").write_text(json.dumps([cards.refused(name, name) for name in NAMES]))
    source = """import json
from IPython.display import display
import ipywidgets
for data in json.load(open("outputs.json")):
    display(data, raw=True)
ipywidgets.VBox([ipywidgets.HTML(text) for text in json.load(open("cards.json"))])"""
    cells = [new_code_cell(source)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, tmp_path / "names.ipynb")
    arguments = ("--IdentityProvider.token=", "--ServerApp.allow_root=True")
    with serve("jupyterlab", *arguments, folder=tmp_path, ready="/api") as (_, address):
        page, asked, said = browser.new_page(), [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.set_default_timeout(120_000)
        page.goto(f"{address}/lab/tree/names.ipynb?reset")
        page.locator("#jp-main-statusbar").get_by_text(re.compile(r"\| Idle")).wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_text("Run All Cells", exact=True).click()
        page.locator(".cnnlab-card").nth(len(NAMES) - 1).wait_for(state="attached")
        page.locator(".jp-OutputArea-output mjx-container").wait_for()
        outputs = page.locator(".jp-OutputArea-output").all()
        assert len(outputs) == 5
        del outputs[3]
        assert [output.evaluate(ACTS) for output in outputs] == [[]] * 4
        assert [missing(output.evaluate(TEXT)) for output in outputs] == [[]] * 4
        assert said == []
        known = (address, address.replace("http", "ws"), "data:", "blob:")
        assert [url for url in asked if not url.startswith(known)] == []
        assert page.url.startswith(f"{address}/lab")
        page.close()

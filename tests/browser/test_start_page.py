"""The page on which ``make lab`` opens: it links every notebook, and a click opens it."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "notebooks" / "README.md"
MILLISECONDS = 600_000


def test_it_links_every_notebook_by_its_title_and_nothing_that_is_not_there():
    links = dict(re.findall(r"\[([^\]]+)\]\(([^)]+)\)", PAGE.read_text(encoding="utf-8")))
    assert sorted(links.values()) == [path.name for path in sorted(PAGE.parent.glob("0*.ipynb"))]
    for title, name in links.items():
        assert f" · {title}" in (PAGE.parent / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def lab(browser, serve):
    """Return the page of JupyterLab as ``make lab`` starts it, and what it wrote to the log."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", "")
    (arguments,) = re.findall(r"\$\(BIN\)/jupyter lab (.*)", text)
    more = ("--IdentityProvider.token=", "--ServerApp.allow_root=True")
    with serve("jupyterlab", *shlex.split(arguments), *more, folder=ROOT, ready="/api") as served:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(MILLISECONDS)
        page.goto(served[1])
        yield page
        page.close()


@pytest.mark.slow
def test_the_lab_opens_on_it_and_a_click_opens_a_notebook(lab, screenshots):
    shown = lab.locator(".jp-MarkdownViewer")
    shown.get_by_role("heading", name="The lab").wait_for()
    lab.screenshot(path=screenshots / "start-page.png")
    assert lab.locator(".jp-toast-message, .Toastify__toast").count() == 0
    shown.get_by_role("link", name="How good is it really?").click()
    notebook = lab.locator(".jp-NotebookPanel:visible")
    notebook.get_by_role("heading", name="4 · How good is it really?").wait_for()
    # A server that is told to end while its kernel starts waits for it too long.
    lab.locator('.jp-Notebook-ExecutionIndicator[data-status="idle"]').wait_for()
    lab.screenshot(path=screenshots / "start-page-notebook.png")

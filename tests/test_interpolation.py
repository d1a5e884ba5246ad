"""Names are data: no module puts text into HTML, Markdown or CSV by hand.

HTML and Markdown that are built by ``Html`` and ``Markdown`` escape whatever joins them; so it is
enough that only literals become one, and that no tag stands in a string that something is put into.
"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "cnnlab"
MODULES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("*.ipynb"))
TEMPLATES = sorted((PACKAGE / "report" / "templates").glob("*.jinja"))

_TAGS = (
    "a b base body br button code dd details div dl dt em figcaption figure form h1 h2 h3 head hr "
    "html i iframe img input label li link main math meta nav object ol p pre script section "
    "select span strong style summary svg table tbody td template th thead title tr u ul"
)
TAG = re.compile(rf"</?(?:{'|'.join(_TAGS.split())})(?:[ >/]|$)|<!--", re.IGNORECASE)
TYPES = {"Html", "Markdown", "Markup"}
# The type itself, and files of packages that become HTML as a whole.
MAKERS = {"text/markdown.py": 5, "widgets/app.py": 1, "report/pages.py": 1}
OTHERS = {"text/markdown.py": 1}  # the element around a dollar sign
TABLES = {
    "data/tables.py": "the one reader and writer",
    "data/sources/user_table.py": "what anyone wrote",
}
SAFE = {  # what a template puts into a page as it is, all of it ours
    "page.html.jinja": ["script"],
    "index.html.jinja": ["' class=\"set\"'"],
    "notebook.html.jinja": ["resources.dark_css", "resources.script"],
    "comparison.html.jinja": [],
}


def violations(source: str) -> Iterator[str]:
    """Yield what a module puts together by hand."""
    for node in ast.walk(ast.parse(source)):
        where = f"line {getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.JoinedStr) and TAG.search(_literal(node)):
            yield f"{where}: a tag in an f-string"
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            if any(isinstance(side, ast.Constant | ast.JoinedStr) and TAG.search(_literal(side))
                   for side in (node.left, node.right)):  # fmt: skip
                yield f"{where}: a tag in a string that something is added to"
        elif isinstance(node, ast.Call):
            yield from (f"{where}: {said}" for said in _called(node))
        elif isinstance(node, ast.Attribute) and node.attr == "style":
            yield f"{where}: a style of pandas, which escapes nothing"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names]
            if "csv" in names:
                yield f"{where}: csv"
            if "html" in names and not (isinstance(node, ast.ImportFrom) and node.module):
                yield f"{where}: html.escape instead of text.html"


def _literal(node: ast.expr) -> str:
    """Return the text of a string, with a sign where something is put into it."""
    if isinstance(node, ast.JoinedStr):
        parts = (_literal(part) if isinstance(part, ast.Constant) else "x" for part in node.values)
        return "".join(parts)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _called(node: ast.Call) -> Iterator[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    name = node.func.id if isinstance(node.func, ast.Name) else name
    if name in TYPES and node.args and not isinstance(node.args[0], ast.Constant):
        yield f"{name} of something that is no literal"
    owner = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    if name in ("format", "join", "replace") and TAG.search(_literal(owner)):
        yield f"a tag in a plain string that is given to {name}"
    if name == "replace" and any(TAG.search(_literal(each)) for each in node.args):
        yield "a tag that replaces something"
    if name in ("to_csv", "read_csv", "to_excel"):
        yield name
    if name in ("to_html", "to_markdown") or (name == "HTML" and not _is_safe(node)):
        yield f"{name} of something that is not Html"


def _is_safe(node: ast.Call) -> bool:
    """Tell whether a widget is given HTML of ours, or nothing."""
    safe = {"Html", "_page", "format", "_drawn"}
    return all(
        isinstance(each, ast.Call)
        and getattr(each.func, "attr", getattr(each.func, "id", "")) in safe
        for each in node.args
    )


def test_no_module_puts_anything_together_by_hand():
    for module, source in MODULES.items():
        found = list(violations(source))
        made = [said for said in found if "no literal" in said]
        tables = [said for said in found if said.endswith(("csv", "to_csv", "read_csv"))]
        others = [said for said in found if said not in made and said not in tables]
        assert len(others) == OTHERS.get(module, 0), (module, others)
        assert len(made) == MAKERS.get(module, 0), (module, made)
        assert bool(tables) == (module in TABLES), (module, tables)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_shows_text_through_the_report(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert [said for source in sources for said in violations(source)] == []
    for node in (node for source in sources for node in ast.walk(ast.parse(source))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("IPython"):
            assert {alias.name for alias in node.names} == {"display"}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_trusts_only_what_is_ours(path):
    found = re.findall(r"(?:\{\{|\{%).*?([^\s{]+(?: class[^|]*)?) ?\| ?safe", path.read_text())
    assert sorted(found) == sorted(SAFE[path.name])
    assert "autoescape" not in path.read_text()


@pytest.mark.parametrize(
    "source",
    [
        "f'<b>{name}</b>'",
        "f'{name}</td>'",
        "f'<a href={url}>'",
        "'<b>' + name",
        "name + '</b>'",
        "'<b>%s</b>' % name",
        "'<b>{}</b>'.format(name)",
        "'<br>'.join(names)",
        "text.replace('x', '<b>')",
        "Html(name)",
        "Markdown(f'# {name}')",
        "markdown.Markdown(name)",
        "Markup('<b>' + name)",
        "ipywidgets.HTML(name)",
        "table.to_html()",
        "table.style.format(precision=1)",
        "import html",
        "import csv",
        "table.to_csv(path)",
        "pd.read_csv(path)",
        "IPython.display.HTML(name)",
    ],
)
def test_it_sees_what_is_put_together_by_hand(source):
    assert list(violations(source))


@pytest.mark.parametrize(
    "source",
    [
        "Html('<b>{}</b>').format(name)",
        "Html('<br>').join(names)",
        "Markdown('# {}').format(name)",
        "f'expected reports/<run>/model, not {name}'",
        "f'{a} < {b}'",
        "ipywidgets.HTML(Html('<style>{}</style>').format(_page(name)))",
        "ipywidgets.HTML()",
        "from cnnlab.text.html import Html",
    ],
)
def test_it_lets_the_rest_pass(source):
    assert list(violations(source)) == []

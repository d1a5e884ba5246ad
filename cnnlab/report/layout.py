"""What all pages share: their look, sortable tables, and the promise that nothing leaves them."""

import base64
import math
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from cnnlab import files, hashing
from cnnlab.text.printable import printable

SCRIPT = "sort.js"


def write(template: str, target: Path, **facts: Any) -> None:
    """Render a template of this package to a page.

    Args:
        template: Its name, such as ``"index.html.jinja"``.
        target: The ``.html`` to write; its folder exists.
        facts: What the template shows; every value is escaped.
    """
    environment = Environment(
        loader=FunctionLoader(read),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clock": clock, "figure": figure, "signed": signed}
    environment.tests["known"] = known
    script, rules = read(SCRIPT), policy()
    page = environment.get_template(template).render(script=script, policy=rules, **facts)
    files.write(target, page)


def read(name: str) -> str:
    """Return the text of a file of ``report/templates``."""
    return (package_files("cnnlab.report") / "templates" / name).read_text(encoding="utf-8")


def policy() -> str:
    """Return the content security policy of every page.

    A page shows names of classes and files, and what notebooks print. Whatever stands there, the
    browser runs no script but ours and fetches nothing.
    """
    digest = base64.b64encode(bytes.fromhex(hashing.digest(read(SCRIPT).encode()))).decode("ascii")
    return (
        "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; font-src data:; "
        f"style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )


def visible(value: Any) -> Any:
    """Return what a page shows of a value: text with all its characters, but spaces are spaces."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "\u00a0".join(map(printable, value.split("\u00a0")))  # those are the page's own


def clock(seconds: float) -> str:
    """Return seconds as ``m:ss`` or ``h:mm:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def known(value: float) -> bool:
    """Tell whether a figure is defined: not nan."""
    return not math.isnan(value)


def figure(value: float) -> str:
    """Return a number with three decimals; a dash for nan."""
    return f"{value:.3f}" if known(value) else "–"


def signed(value: float) -> str:
    """Return a difference with its sign, so that columns of them can be read; a dash for nan."""
    return f"{value:+.3f}".replace("-", "−") if known(value) else "–"

"""Which figures of a run stand on its front page."""

import base64
import struct
from dataclasses import dataclass
from pathlib import Path

from cnnlab.runs import steps
from cnnlab.runs.folder import Run


@dataclass(frozen=True)
class Picture:
    """A figure as a page holds it.

    Attributes:
        data: Its PNG in Base64.
        wide: Whether it takes a row of its own.
        printed: The pages that keep it on paper, see ``steps.Figure``.
    """

    name: str
    caption: str
    data: str
    wide: bool
    printed: tuple[str, ...]


def figures(run: Run) -> tuple[list[Picture], list[str]]:
    """Return the key figures, embedded, and the names of the others."""
    found = {path.stem: path for path in sorted((run.folder / "figures").glob("*.png"))}
    key = {figure.name: figure for figure in steps.front_page()}
    shown = [_picture(figure, found[name]) for name, figure in key.items() if name in found]
    return shown, [name for name in found if name not in key]


def _picture(figure: steps.Figure, path: Path) -> Picture:
    png = path.read_bytes()
    width, height = struct.unpack(">II", png[16:24])  # the IHDR chunk always comes first
    wide = width >= 2 * height
    data = base64.b64encode(png).decode("ascii")
    return Picture(figure.name, figure.caption, data, wide, figure.printed)

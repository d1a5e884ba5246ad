"""Fonts for names in any script: the one that matplotlib ships, then those that are installed.

matplotlib 3.11 shapes text: Arabic letters are joined and run from right to left, marks stand where
they belong. A font of coloured emoji holds pictures and no outlines, which matplotlib cannot draw.
"""

from functools import cache
from pathlib import Path

from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.ft2font import FT2Font

BASE = "DejaVu Sans"  # ships with matplotlib, so every machine draws the same
TRIES = 4  # characters of a kind that are looked for in every font; then none has the others
# Parts of files' names: even sans-serif fonts that cover a script, before ornate or partial ones.
PREFERRED = (
    *("notosanscjk", "sourcehansans", "notosans", "wqy", "pingfang", "hiragino", "msyh", "meiryo"),
    *("malgun", "applesdgothic", "arialunicode", "segoeui", "notoemoji", "symbola"),
)
PLAIN_LAST = ("bold", "italic", "oblique", "slanted", "mono", "serif", "light", "thin", "black")
# Kind of characters → (from, to, what draws them on Debian and Ubuntu).
KINDS = {
    "Chinese, Japanese or Korean characters": ((0x2E80, 0x9FFF), (0xA960, 0xD7FF), (0xF900, 0xFAFF),
                                               (0xFF00, 0xFFEF), (0x20000, 0x3FFFF)),
    "emoji": ((0x2600, 0x27BF), (0x1F000, 0x1FAFF), (0xFE00, 0xFE0F)),
}  # fmt: skip
OTHERS = "letters of other scripts"
PACKAGES = {
    "Chinese, Japanese or Korean characters": "fonts-noto-cjk",
    "emoji": "fonts-symbola (coloured emoji cannot be drawn)",
    OTHERS: "fonts-noto-core",
}

_families: list[str] = []  # of the installed fonts that were needed so far, in this order
_fonts: list[FT2Font] = []
_in_vain: dict[str, int] = {}  # kind → characters that no font has


def families() -> list[str]:
    """Return the families to draw text with, the one that has most first."""
    return [BASE, *_families]


@cache
def has(sign: str) -> bool:
    """Return whether a printable character can be drawn; a font that has it is used from now on.

    Where none has it, this is said in a line, once for each kind of characters.
    """
    code = ord(sign)
    if any(font.get_char_index(code) for font in (_base(), *_fonts)):
        return True
    kind = _kind(code)
    if _in_vain.get(kind, 0) >= TRIES:
        return False
    for path in _installed():
        font = _opened(path)
        if font and font.get_char_index(code):
            if font.family_name not in fontManager.get_font_names():
                fontManager.addfont(path)
            _families.append(font.family_name)
            _fonts.append(font)
            return True
    if kind not in _in_vain:
        print(
            f"note: no installed font has some {kind}, such as U+{code:04X}: figures show their "
            f"codes instead. Install one, on Debian or Ubuntu {PACKAGES[kind]}, and restart the "
            "kernel.",
            flush=True,
        )
    _in_vain[kind] = _in_vain.get(kind, 0) + 1
    return False


def _kind(code: int) -> str:
    for kind, ranges in KINDS.items():
        if any(low <= code <= high for low, high in ranges):
            return kind
    return OTHERS


@cache
def _base() -> FT2Font:
    return get_font(findfont(FontProperties(family=[BASE])))


@cache
def _installed() -> list[str]:
    """Return the files of the installed fonts, those that are preferred first."""
    return sorted(findSystemFonts(), key=_rank)


def _rank(path: str) -> tuple[int, int, str]:
    name = Path(path).stem.lower().replace("-", "").replace("_", "").replace(" ", "")
    found = [place for place, part in enumerate(PREFERRED) if part in name]
    odd = sum(part in name for part in PLAIN_LAST)
    return (found[0] if found else len(PREFERRED)) + 20 * bool(odd), odd, path


def _opened(path: str) -> FT2Font | None:
    """Return a font that matplotlib can draw with; None of any other file."""
    try:
        font = FT2Font(path)
    except (OSError, RuntimeError, ValueError):
        return None
    return font if font.scalable else None

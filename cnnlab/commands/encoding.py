"""Terminals and pipes that cannot carry every character get another one, and never a traceback."""

import codecs
import os
import sys
from typing import TextIO

# What our own texts hold besides ASCII; of other people's names, any character is told by its code.
PLAIN = {
    "–": "-", "—": "-", "−": "-", "·": ".", "…": "...", "±": "+/-", "×": "x", "²": "^2",
    "→": "->", "≤": "<=", "≥": ">=", "≈": "~", "µ": "u", "°": " deg", "α": "alpha",
    "“": '"', "”": '"', "‘": "'", "’": "'", "\u00a0": " ", "\u202f": " ", "\u2009": " ",
    "█": "#", "▏": "#", "▎": "#", "▍": "#", "▌": "#", "▋": "#", "▊": "#", "▉": "#",
}  # fmt: skip
LEGIBLE = "cnnlab.legible"  # what becomes of a character that an encoding lacks
ASCII = "cnnlab-ascii"  # click writes UTF-8 where a stream says "ascii", whoever asked for it


def carry_any_text() -> None:
    """Have standard output and error replace what they cannot encode."""
    codecs.register_error(LEGIBLE, _legible)
    codecs.register(_ascii)
    for stream in (sys.stdout, sys.stderr):
        if not is_unicode(stream) and hasattr(stream, "reconfigure"):
            name = codecs.lookup(stream.encoding).name
            stream.reconfigure(encoding=ASCII if name == "ascii" else name, errors=LEGIBLE)


def read_names_as_utf8() -> None:
    """Begin this program anew where the locale reads the names of files as another encoding.

    The names of classes would be wrong, without a word. What the terminal is given stays in its
    own encoding.
    """
    if sys.getfilesystemencoding() == "utf-8" or os.environ.get("PYTHONUTF8") == "1":
        return
    environment = {**os.environ, "PYTHONUTF8": "1"}
    if sys.stdout is not None:  # as it is where standard output is closed
        environment.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
        sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def is_unicode(stream: TextIO) -> bool:
    """Whether a stream carries every character."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")


def _legible(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end]
    shown = (PLAIN.get(sign) or sign.encode("unicode_escape").decode() for sign in signs)
    return "".join(shown), error.end


def _ascii(name: str) -> codecs.CodecInfo | None:
    if name.replace("_", "-") != ASCII:
        return None
    found = codecs.lookup("ascii")
    return codecs.CodecInfo(
        found.encode,
        found.decode,
        incrementalencoder=found.incrementalencoder,
        incrementaldecoder=found.incrementaldecoder,
        streamreader=found.streamreader,
        streamwriter=found.streamwriter,
        name=ASCII,
    )

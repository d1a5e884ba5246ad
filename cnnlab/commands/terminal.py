"""What the commands share: plain tables, safe text, errors in one line."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from cnnlab.commands.encoding import is_unicode
from cnnlab.text.printable import printable as shown

if TYPE_CHECKING:  # a command that refuses at once loads no pandas
    import pandas as pd

BAD_INPUT = 2  # the exit status of an InputError; a failed notebook or file gives 1

JOBS_HELP = "Folds trained at a time; 0, the default: as many as cores and free memory allow."
JOBS = click.option("--jobs", default=0, type=click.IntRange(0), help=JOBS_HELP)


def print_frame(table: "pd.DataFrame") -> None:
    """Print a table without its index."""
    print_table([*table.columns], table.values.tolist())


def print_table(header: list[str], rows: list[list[Any]], most: int | None = None) -> None:
    """Print aligned columns, numbers to the right, and an empty line after them."""
    lines = [[printable(cell) for cell in row] for row in (header, *rows[:most])]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    right = [isinstance(cell, int) for cell in rows[0]]
    for line in lines:
        cells = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        )
        click.echo("  ".join(cells).rstrip())
    if len(rows) >= len(lines):
        click.echo(f"… and {len(rows) - len(lines) + 1} more (--json lists all)")
    click.echo()


def printable(cell: object) -> str:
    """Return text for a table; what does not show in a file name is escaped."""
    return shown(utf8(str(cell)))


def print_json(facts: Any, indent: int | None = None) -> None:
    """Print JSON in which every character shows, or is escaped as JSON escapes it."""
    escaped = not is_unicode(sys.stdout)
    text = json.dumps(facts, indent=indent, ensure_ascii=escaped, allow_nan=False)
    click.echo(
        "".join(
            sign if sign.isprintable() or sign == "\n" else json.dumps(sign)[1:-1] for sign in text
        )
    )


def utf8(text: str) -> str:
    """Return text that UTF-8 can carry: a file name's undecodable bytes become ``\\xNN``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def complain(message: str, kind: str = "error: ") -> None:
    """Say in one line on standard error what is wrong."""
    click.echo(f"cnnlab: {kind}{printable(' '.join(message.split()))}", err=True)


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise KeyboardInterrupt(number) for SIGTERM and a closed terminal, as Python does for Ctrl-C.

    So what was begun is ended in order: kernels are shut down, temporary files removed. A signal
    that is ignored, as SIGHUP under ``nohup``, stays so.
    """

    def stop(number: int, _: Any) -> None:
        raise KeyboardInterrupt(signal.Signals(number))

    ours = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {each: signal.getsignal(each) for each in ours}
    chosen = [each for each, handler in before.items() if handler == signal.SIG_DFL]
    if threading.current_thread() is not threading.main_thread():
        chosen = []  # no other may
    for each in chosen:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each in chosen:
            signal.signal(each, before[each])

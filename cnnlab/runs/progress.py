"""The progress of a notebook: a bar on a terminal, a few plain lines in a log.

``live_line`` is the other end: what a long cell says of itself in the notebook.
"""

import re
import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

from cnnlab.text.printable import printable

BAR = "{desc} |{bar:24}| cell {n_fmt}/{total_fmt}  {elapsed}  {postfix}"
SECONDS_PER_LINE = 60.0  # in a log: a sign of life a minute


class Progress:
    """A notebook's name, the cells done, the time gone and what the running cell says of itself.

    The time moves on while a long cell runs, because a thread redraws the bar every second.

    Example:
        >>> with Progress("03_training", cells=12) as progress:  # doctest: +SKIP
        ...     progress.advance()
    """

    def __init__(self, name: str, cells: int, stream: TextIO | None = None) -> None:
        self.name = name
        self.cells = cells
        self.done = 0
        self.said = ""
        self._stream = stream or sys.stderr
        self._on_terminal = self._stream.isatty()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep_showing, daemon=True)

    def __enter__(self) -> "Progress":
        self._started = time.monotonic()
        self._bar = tqdm(
            total=self.cells,
            desc=f"{self.name:24}",
            bar_format=BAR,
            file=self._stream,
            disable=not self._on_terminal,
            ncols=shutil.get_terminal_size().columns,  # 80 where a terminal says it has none
            nrows=24,
        )
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._bar.close()
        if not self._on_terminal:
            self._print_line()

    def advance(self) -> None:
        """Count one more cell as done."""
        self.done += 1
        self.said = ""
        self._bar.postfix = ""
        self._bar.update()

    def say(self, text: str) -> None:
        """Take over the last line of what the running cell printed."""
        lines = re.split(r"[\r\n]+", text.strip())
        if lines[-1]:
            self.said = printable(" ".join(lines[-1].split()))
            self._bar.postfix = self.said

    def _keep_showing(self) -> None:
        while not self._stop.wait(1.0 if self._on_terminal else SECONDS_PER_LINE):
            if self._on_terminal:
                self._bar.refresh()
            else:
                self._print_line()

    def _print_line(self) -> None:
        minutes, seconds = divmod(round(time.monotonic() - self._started), 60)
        line = f"{self.name:24}  cell {self.done}/{self.cells}  {minutes:02d}:{seconds:02d}"
        line = f"{line}  {self.said}".rstrip()
        print(line, file=self._stream, flush=True)


def live_line() -> Callable[[str], None]:
    """Return a function that shows a line in the running cell, each in the place of the last.

    The notebook keeps the last one only; ``cnnlab run`` shows each beside its bar.
    """
    from IPython.display import display

    handle = display({"text/plain": ""}, raw=True, display_id=True)

    def show(text: str) -> None:
        handle.update({"text/plain": text}, raw=True)

    return show

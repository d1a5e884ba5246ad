"""What a training says while it runs: a line an epoch, or one line for several trainings."""

import time
from collections.abc import Callable
from typing import Any

TOO_EARLY = 2  # epochs that say too little of how long the others take


def print_progress(row: dict[str, Any]) -> None:
    """Print one plain line for an epoch: the ``report`` of ``fit`` for notebooks and logs.

    Example:
        ``epoch 3/9  loss 0.812  accuracy 0.71  validation loss 0.900  accuracy 0.68  best  2.9 s``

    One more says where the last epoch leaves the network with its probe.
    """
    width = len(str(row["epochs"]))
    print(
        f"epoch {row['epoch']:>{width}}/{row['epochs']}"
        f"  loss {row['loss']:.3f}  accuracy {row['accuracy']:.2f}"
        f"  validation loss {row['validation_loss']:.3f}"
        f"  accuracy {row['validation_accuracy']:.2f}"
        f"  {'best' if row['best'] else '    '}  {row['seconds']:.1f} s",
        flush=True,
    )
    if row.get("kept_probe"):
        print("No epoch of the last stage has a lower validation loss than the probe: it is kept.")


class Watch:
    """How far several trainings are, such as the folds of a cross-validation, in one line.

    Call it with a training's number, from 1, and its row after each epoch.

    Args:
        parts: Trainings altogether.
        epochs: Epochs of each, at most.
        show: Is given the line, such as
            ``fold 2 of 5: epoch 3 of 10 · fold 3 of 5: epoch 1 of 10 · at most 2 min left``.
        name: What one of them is called.
        clock: Gives seconds; for tests.
    """

    def __init__(
        self,
        parts: int,
        epochs: int,
        show: Callable[[str], None],
        *,
        name: str = "fold",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parts, self._epochs, self._show = parts, epochs, show
        self._name, self._clock = name, clock
        self._first = 0.0  # when the first epoch ended: what went before would mislead
        self._run = 0  # epochs
        self._running: dict[int, int] = {}  # part → its epochs so far
        self._ended: set[int] = set()

    def __call__(self, part: int, row: dict[str, Any]) -> None:
        """Take one epoch of a part into account and show the line."""
        now = self._clock()
        self._first = self._first if self._run else now
        self._run += 1
        self._running[part] = row["epoch"]
        if row["last"]:
            self._ended.add(part)
            del self._running[part]
        shown = [
            f"{self._name} {part} of {self._parts}: epoch {epoch} of {self._epochs}"
            for part, epoch in sorted(self._running.items())
        ]
        shown = shown or [f"{len(self._ended)} of {self._parts} trained"]
        left = self._epochs * (self._parts - len(self._ended)) - sum(self._running.values())
        if left and self._run > TOO_EARLY:
            seconds = left * (now - self._first) / (self._run - 1)
            shown.append(f"at most {_duration(seconds)} left")
        self._show(" · ".join(shown))


def _duration(seconds: float) -> str:
    """Return a rounded time as one reads it: "40 s", "3 min", "2.5 h"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

"""When a training has diverged: its loss is no number, or far above that of guessing.

Networks of this package that learn well begin between once and three times the loss of guessing,
ln C + the L2 penalty of the first weights; at ten times a good rate the first epoch was at most
nine times as bad (``reference_cnn``, ``resnet`` and ``mobilenet_v3_small`` on generated images).
At a rate of 1 it was 220 to 30,000 times, at 10 up to 10⁷ times. ``FACTOR`` lies between the two.

Validation losses judge only at the end: behind batch normalisation, whose moving statistics lag,
they are high in the first epochs of good trainings, too.
"""

import math
from collections.abc import Sequence
from typing import Any

from cnnlab.config import InputError
from cnnlab.engine import keras

FACTOR = 100.0  # times the loss of guessing: no training that learnt anything came near
EVERY = 16  # steps between two looks: their mean, so that one hard batch is no explosion
USUAL = 1e-3  # Adam's own default rate, to go back to from one of another order of magnitude


class Diverged(InputError):  # noqa: N818 - a name that says what happened
    """The loss exploded or is no number: the message says when, and what to change."""


def most(model: keras.Model, class_weights: Sequence[float] | None = None) -> float:
    """Return the loss from which on a training counts as diverged, L2 penalty included.

    Args:
        model: A network with its first weights; gives softmax (B, C).
        class_weights: (C,); one that is rare may fill a batch with its large weight.
    """
    heaviest = max(1.0, *(class_weights or (1.0,)))
    guessing = math.log(max(2, model.output_shape[-1])) * heaviest
    return FACTOR * (guessing + float(sum(model.losses)))


class Guard(keras.callbacks.Callback):
    """Ends an epoch whose mean loss so far is no number or above ``limit``.

    Args:
        limit: From ``most``.
        epoch: From 1; for the message, like the others.
        steps: Of the epoch.
        rate: The highest learning rate of the stage.
    """

    def __init__(self, limit: float, *, epoch: int, steps: int, rate: float) -> None:
        super().__init__()
        self._limit, self._epoch, self._steps, self._rate = limit, epoch, steps, rate

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Look at the mean loss of the epoch so far, every ``EVERY`` steps and after the last."""
        step = batch + 1
        if logs and (step % EVERY == 0 or step == self._steps):
            loss = float(logs["loss"])
            if not loss <= self._limit:  # also where it is nan
                where = f"at epoch {self._epoch}, step {step} of {self._steps}"
                raise diverged(f"loss {loss:.3g} {where}", self._limit, self._rate)


def check(row: dict[str, Any], rate: float) -> None:
    """Raise Diverged if a loss of an epoch is no finite number.

    Args:
        row: Of the history.
        rate: The highest learning rate of its stage; 0 of a probe.
    """
    loss, judged = row["loss"], row["validation_loss"]
    if math.isfinite(loss + judged):
        return
    if not rate:
        raise Diverged(
            f"The probe gives loss {loss}, validation loss {judged}: look for damaged weights, "
            "images or labels."
        )
    found = f"loss {loss:.3g}, validation loss {judged:.3g} at epoch {row['epoch']}"
    raise diverged(found, math.inf, rate)


def check_best(loss: float, epoch: int, limit: float, rate: float) -> None:
    """Raise Diverged if the best epoch of a training is of no use: its network guesses better."""
    if not loss <= limit:
        raise diverged(f"validation loss {loss:.3g} at epoch {epoch}, the best", limit, rate)


def diverged(found: str, limit: float, rate: float) -> Diverged:
    """Return what is raised where a training by steps diverged."""
    lower = USUAL if rate >= 100 * USUAL else rate / 10
    expected = f"at most {limit:.3g}" if math.isfinite(limit) else "a number"
    return Diverged(
        f"Training diverged: {found}, learning_rate={rate:g}; expected {expected}. Nothing is "
        f"kept of it, and the same settings end here again. Lower the rate (try {lower:g}: "
        f"--set learning_rate={lower:g} in a new run; the range test of cnnlab doctor and of "
        "notebook 03 suggests one), or look for damaged images or labels."
    )

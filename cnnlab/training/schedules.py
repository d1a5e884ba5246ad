"""Learning-rate schedules by name: the rate of each step of a stage, a step a batch.

Every one of them can begin with a linear warm-up. Momentum and Adam's β₁ stay as they are while
the rate moves.

A new one is an entry here and its name among the choices of its setting.
"""

from collections.abc import Callable
from math import ceil
from typing import Any

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.engine import keras, new_traces_expected, tf
from cnnlab.training.recipe import Recipe, Stage

Rate = Any  # a number, or a keras.optimizers.schedules.LearningRateSchedule: step → rate
RISING = 0.3  # of the steps of one_cycle, where no warm-up is asked for
INITIAL, FINAL = 1 / 25, 1e-4  # where one_cycle begins and ends, in highest rates
COLUMNS = ("epoch", "step", "stage", "rate")
MILESTONES, DROP = (1 / 2, 3 / 4), 0.1  # of step: after which parts the rate falls, and to what


def constant(rate: float, steps: int, warmup: int) -> Rate:
    """Return a rate that stays, once it has risen."""
    # A cosine whose lowest value is its highest: Keras has no warm-up by itself.
    return _cosine(rate, steps, warmup, alpha=1.0) if warmup else rate


def cosine(rate: float, steps: int, warmup: int) -> Rate:
    """Return a rate that falls to 0 along half a cosine (Loshchilov and Hutter, 2017)."""
    return _cosine(rate, steps, warmup, alpha=0.0)


def one_cycle(rate: float, steps: int, warmup: int) -> Rate:
    """Return a rate that rises from ``INITIAL`` and falls along half a cosine to ``FINAL``.

    Smith lets momentum fall while the rate rises; here it stays, as Keras' optimizers hold it.

    Source:
        L. N. Smith, "A disciplined approach to neural network hyper-parameters: Part 1", 2018
        (arXiv 1803.09820), section 4; the cosine and the default numbers as
        ``torch.optim.lr_scheduler.OneCycleLR``, whose rise is a cosine as well.
    """
    return _cosine(rate, steps, warmup or int(RISING * steps), first=INITIAL, alpha=FINAL)


def step(rate: float, steps: int, warmup: int) -> Rate:
    """Return a rate that falls to a tenth at the half and at three quarters of the steps.

    The parts are of the steps after the warm-up.

    Source:
        He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2: on
        CIFAR-10 after 32,000 and 48,000 of 64,000 steps.
    """
    return Steps(rate, warmup, [warmup + ceil(part * (steps - warmup)) for part in MILESTONES])


@keras.saving.register_keras_serializable(package="cnnlab")
class Steps(keras.optimizers.schedules.LearningRateSchedule):
    """The rate of step t: rate · t/w below w, then rate · ``DROP``^(milestones at or below t).

    Args:
        rate: The highest.
        warmup: w, 0 for none.
        milestones: Steps, rising; from each on, the rate is ``DROP`` of what it was before.
    """

    def __init__(self, rate: float, warmup: int, milestones: list[int]) -> None:
        self._rate, self._warmup, self._milestones = rate, warmup, milestones

    def __call__(self, step: Any) -> Any:
        """Return the rate of a step, float32."""
        at = tf.cast(step, tf.float32)
        rising = tf.minimum(1.0, at / max(self._warmup, 1)) if self._warmup else 1.0
        passed = sum(tf.cast(at >= each, tf.float32) for each in self._milestones)
        return self._rate * rising * DROP**passed

    def get_config(self) -> dict[str, Any]:
        """Return the arguments it was made with."""
        return {"rate": self._rate, "warmup": self._warmup, "milestones": self._milestones}


def _cosine(rate: float, steps: int, warmup: int, *, alpha: float, first: float = 0.0) -> Rate:
    """Return the rate of step t, in highest rates: from ``first`` to 1 below w, then to alpha."""
    return keras.optimizers.schedules.CosineDecay(
        first * rate if warmup else rate,
        steps - warmup,
        alpha=alpha,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )


# (highest rate, steps of the stage, steps of the warm-up among them) → the rate by step.
SCHEDULES: dict[str, Callable[[float, int, int], Rate]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "step": step,
}


def rate(stage: Stage, steps: int) -> Rate:
    """Return the learning rate of a stage that has so many batches an epoch.

    Raises:
        InputError: It changes by step, and the number of batches is not known (negative); or the
            stage has fewer batches than make one step of the optimizer.
    """
    if steps < 1 and (stage.warmup_epochs or stage.schedule != "constant"):
        raise InputError(
            f"schedule={stage.schedule}, warmup_epochs={stage.warmup_epochs} and training batches "
            "that do not say how many they are: a rate that changes by step needs to know. "
            "Expected a dataset with a cardinality, see tf.data.experimental.assert_cardinality."
        )
    total, warmup = stage.epochs * steps, stage.warmup_epochs * steps
    if 0 < total < stage.accumulate:
        raise InputError(
            f"accumulate={stage.accumulate} and a stage of {total} batches: its weights would "
            f"never change. Expected accumulate of at most {total}, or more epochs."
        )
    return SCHEDULES[stage.schedule](stage.learning_rate, total, warmup)


def used(recipe: Recipe, epochs: int, steps: int) -> pd.DataFrame:
    """Return the rate of every batch of a training: what its optimizers were given.

    Args:
        recipe: Its stages.
        epochs: How many it had, the probe's among them.
        steps: Batches an epoch.

    Returns:
        Columns epoch (from 1), step (batches before it, over all stages), stage (from 1) and rate,
        of the head; a row a batch. A probe has none.
    """
    parts, begun = [], 0
    for number, stage in enumerate(recipe.stages, start=1):
        ran = [each for each in range(1, epochs + 1) if recipe.stage_of(each) == number]
        if not ran or stage.probes:
            continue
        by_step, own = rate(stage, steps), np.arange(len(ran) * steps)
        rates = _values(by_step, own) if callable(by_step) else np.full(len(own), by_step)
        columns = {"epoch": np.repeat(ran, steps), "step": begun + np.arange(len(own))}
        parts.append(pd.DataFrame(columns | {"stage": number, "rate": rates}))
        begun += len(own)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=COLUMNS)


def _values(schedule: Rate, steps: np.ndarray) -> np.ndarray:
    """Return a schedule's rates of these steps, float64; one graph, because steps are many."""
    each = tf.function(lambda numbers: tf.map_fn(schedule, numbers, fn_output_signature=tf.float32))
    with new_traces_expected():
        return each(tf.constant(steps)).numpy().astype(np.float64)

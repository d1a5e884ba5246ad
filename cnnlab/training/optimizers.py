"""Optimizers and learning-rate schedules by name: Keras' own, as a stage asks for them.

A new one is an entry here and its name among the choices of its setting.
"""

from collections.abc import Callable
from typing import Any

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.training.recipe import Stage

Rate = Any  # a number, or a keras.optimizers.schedules.LearningRateSchedule: step → rate
MOMENTUM = 0.9  # of SGD


def adam(rate: Rate, weight_decay: float) -> keras.optimizers.Optimizer:
    """Return Adam (Kingma and Ba, 2015); it decays no weights."""
    # Named, as are the others, because Keras would count the optimizers of a process.
    return keras.optimizers.Adam(rate, name="adam")


def adamw(rate: Rate, weight_decay: float) -> keras.optimizers.Optimizer:
    """Return Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""
    return keras.optimizers.AdamW(rate, weight_decay=weight_decay, name="adamw")


def sgd(rate: Rate, weight_decay: float) -> keras.optimizers.Optimizer:
    """Return gradient descent with momentum and decoupled weight decay."""
    return keras.optimizers.SGD(
        rate, momentum=MOMENTUM, weight_decay=weight_decay or None, name="sgd"
    )


def constant(rate: float, steps: int, warmup: int) -> Rate:
    """Return a rate that stays, once it has risen."""
    # A cosine whose lowest value is its highest: Keras has no warm-up by itself.
    return _cosine(rate, steps, warmup, alpha=1.0) if warmup else rate


def cosine(rate: float, steps: int, warmup: int) -> Rate:
    """Return a rate that falls to 0 along half a cosine (Loshchilov and Hutter, 2017)."""
    return _cosine(rate, steps, warmup, alpha=0.0)


def _cosine(rate: float, steps: int, warmup: int, *, alpha: float) -> Rate:
    """Return the rate of step t: rate · t/w below w, then between rate and alpha · rate."""
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        steps - warmup,
        alpha=alpha,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )


OPTIMIZERS: dict[str, Callable[[Rate, float], keras.optimizers.Optimizer]] = {
    "adam": adam,
    "adamw": adamw,
    "sgd": sgd,
}
# (highest rate, steps of the stage, steps of the warm-up among them) → the rate by step.
SCHEDULES: dict[str, Callable[[float, int, int], Rate]] = {"constant": constant, "cosine": cosine}


def rate(stage: Stage, steps: int) -> Rate:
    """Return the learning rate of a stage that has so many batches an epoch.

    Raises:
        InputError: It changes by step, and the number of batches is not known (negative).
    """
    if steps < 1 and (stage.warmup_epochs or stage.schedule != "constant"):
        raise InputError(
            f"schedule={stage.schedule}, warmup_epochs={stage.warmup_epochs} and training batches "
            "that do not say how many they are: a rate that changes by step needs to know. "
            "Expected a dataset with a cardinality, see tf.data.experimental.assert_cardinality."
        )
    total, warmup = stage.epochs * steps, stage.warmup_epochs * steps
    return SCHEDULES[stage.schedule](stage.learning_rate, total, warmup)


def optimizer(stage: Stage, rate: Rate, variables: list[Any]) -> keras.optimizers.Optimizer:
    """Return a new optimizer for a stage, its state built.

    Args:
        stage: Gives the optimizer's name and its weight decay.
        rate: Number or schedule.
        variables: What it is to train. Those of one dimension, biases and the scales of
            normalisation, are not decayed (He et al., "Bag of Tricks", CVPR 2019, section 3.1).
    """
    made = OPTIMIZERS[stage.optimizer](rate, stage.weight_decay)
    if made.weight_decay:
        made.exclude_from_weight_decay(var_list=[each for each in variables if each.ndim < 2])
    made.build(variables)
    return made

"""Optimizers and learning-rate schedules by name: Keras' own, as a stage asks for them.

A new one is an entry here and its name among the choices of its setting.
"""

from collections.abc import Callable, Sequence
from typing import Any

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.training.recipe import Stage

Rate = Any  # a number, or a keras.optimizers.schedules.LearningRateSchedule: step → rate
Kind = tuple[type[keras.optimizers.Optimizer], dict[str, Any]]  # a class of Keras, its arguments
MOMENTUM = 0.9  # of SGD


def adam(weight_decay: float) -> Kind:
    """Return Adam (Kingma and Ba, 2015); it decays no weights."""
    return keras.optimizers.Adam, {}


def adamw(weight_decay: float) -> Kind:
    """Return Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""
    return keras.optimizers.AdamW, {"weight_decay": weight_decay}


def sgd(weight_decay: float) -> Kind:
    """Return gradient descent with momentum and decoupled weight decay."""
    return keras.optimizers.SGD, {"momentum": MOMENTUM, "weight_decay": weight_decay or None}


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


# weight decay → what it is in Keras.
OPTIMIZERS: dict[str, Callable[[float], Kind]] = {"adam": adam, "adamw": adamw, "sgd": sgd}
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


def optimizer(
    stage: Stage, rate: Rate, variables: list[Any], factors: Sequence[float] = ()
) -> keras.optimizers.Optimizer:
    """Return a new optimizer for a stage, its state built.

    Args:
        stage: Gives the optimizer's name and its weight decay.
        rate: Number or schedule.
        variables: What it is to train. Those of one dimension, biases and the scales of
            normalisation, are not decayed (He et al., "Bag of Tricks", CVPR 2019, section 3.1).
        factors: Of the rate, one for each variable; 1 where none are given.
    """
    kind, arguments = OPTIMIZERS[stage.optimizer](stage.weight_decay)
    if any(factor != 1 for factor in factors):
        kind = _discriminative(kind, factors)
    # Named, because Keras would count the optimizers of a process.
    made = kind(rate, name=stage.optimizer, **arguments)
    if made.weight_decay:
        made.exclude_from_weight_decay(var_list=[each for each in variables if each.ndim < 2])
    made.build(variables)
    return made


def _discriminative(
    kind: type[keras.optimizers.Optimizer], factors: Sequence[float]
) -> type[keras.optimizers.Optimizer]:
    """Return a class that steps and decays each variable at a factor of the rate.

    Scaling gradients would not do: Adam's steps do not depend on their size.

    Source:
        Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", ACL 2018,
        section 3.2: discriminative fine-tuning.
    """

    class Discriminative(kind):
        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            rate = learning_rate * factors[self._get_variable_index(variable)]
            if self.weight_decay and self._use_weight_decay(variable):
                self.assign_sub(variable, variable * (rate * self.weight_decay))
            super().update_step(gradient, variable, rate)

        def _apply_weight_decay(self, variables: Any) -> None:
            """Do nothing: ``update_step`` decays, at the variable's own rate."""

    return Discriminative

"""Optimizers by name: Keras' own, as a stage asks for them.

A new one is an entry here and its name among the choices of its setting.
"""

from collections.abc import Callable, Sequence
from typing import Any

from cnnlab.engine import keras
from cnnlab.training.recipe import Stage
from cnnlab.training.schedules import Rate

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


def nesterov(weight_decay: float) -> Kind:
    """Return ``sgd`` whose gradient counts as if taken a step ahead (Sutskever et al., 2013)."""
    kind, arguments = sgd(weight_decay)
    return kind, arguments | {"nesterov": True}


# weight decay → what it is in Keras.
OPTIMIZERS: dict[str, Callable[[float], Kind]] = {
    "adam": adam,
    "adamw": adamw,
    "sgd": sgd,
    "nesterov": nesterov,
}


def optimizer(
    stage: Stage, rate: Rate, variables: list[Any], factors: Sequence[float] = ()
) -> keras.optimizers.Optimizer:
    """Return a new optimizer for a stage, its state built, accumulators included.

    Args:
        stage: Gives the optimizer's name, weight decay, clipping and accumulation. What is clipped
            is the mean gradient of the batches that make a step.
        rate: Number or schedule.
        variables: What it is to train. Those of one dimension, biases and the scales of
            normalisation, are not decayed (He et al., "Bag of Tricks", CVPR 2019, section 3.1).
        factors: Of the rate, one for each variable; 1 where none are given.
    """
    kind, arguments = OPTIMIZERS[stage.optimizer](stage.weight_decay)
    if any(factor != 1 for factor in factors):
        kind = _discriminative(kind, factors)
    # Named, because Keras would count the optimizers of a process.
    made = kind(
        rate,
        name=stage.optimizer,
        global_clipnorm=stage.clip_norm or None,
        gradient_accumulation_steps=stage.accumulate if stage.accumulate > 1 else None,
        **arguments,
    )
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

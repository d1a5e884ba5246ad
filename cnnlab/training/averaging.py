"""An exponential moving average of the weights: what is judged and shipped, where it is on.

Keras has one in its optimizers, which averages what gradients train and leaves the statistics of
batch normalisation to the last step, and puts the averages into the network at the end of every
``fit``, which here is every epoch. This one averages every weight, statistics included, beside the
network, and its state is as plain as a list of arrays.
"""

from typing import Any

import numpy as np

from cnnlab.engine import keras, tf


class MovingAverage(keras.callbacks.Callback):
    """After each step, for every weight: average ← d · average + (1 − d) · weight.

    d is min(decay, (1 + t) / (10 + t)) at step t = 0, 1, …, so that the first weights, which are
    random, are soon forgotten.

    Args:
        weights: Of the network that is trained, in the order of ``get_weights``.
        decay: 0…1; the average is over about 1 / (1 − decay) steps.

    Source:
        B. T. Polyak and A. B. Juditsky, SIAM J. Control Optim. 30 (1992), 838–855; the early
        steps as ``tf.train.ExponentialMovingAverage`` with ``num_updates``.
    """

    def __init__(self, weights: list[Any], decay: float) -> None:
        super().__init__()
        self._weights = [each.value for each in weights]
        self._averages = [tf.Variable(each) for each in self._weights]
        self._steps = tf.Variable(0, dtype=tf.int64)
        self._decay = decay
        self._step = tf.function(self._update)  # one call a step, whatever the number of weights

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Take the weights after a step into account; a batch whose gradients wait is none."""
        optimizer = self.model.optimizer  # counts its steps, and looking costs a GPU its lead
        waits = optimizer.gradient_accumulation_steps and optimizer.iterations <= self._steps
        if not waits:
            self._step()

    def values(self) -> list[np.ndarray]:
        """Return the averages, in the order of the weights."""
        return [each.numpy() for each in self._averages]

    def state(self) -> list[np.ndarray]:
        """Return what ``restore`` takes: the averages, and the number of steps."""
        return [*self.values(), self._steps.numpy()]

    def restore(self, state: list[np.ndarray]) -> None:
        """Stand where ``state`` was taken."""
        for variable, value in zip([*self._averages, self._steps], state, strict=True):
            variable.assign(value)

    def _update(self) -> None:
        steps = tf.cast(self._steps, tf.float32)
        share = 1 - tf.minimum(tf.constant(self._decay), (1 + steps) / (10 + steps))
        for average, weight in zip(self._averages, self._weights, strict=True):
            if average.dtype.is_floating:
                average.assign_add(tf.cast(share, average.dtype) * (weight - average))
            else:
                average.assign(weight)
        self._steps.assign_add(1)

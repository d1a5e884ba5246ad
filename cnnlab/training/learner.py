"""The copy of a network that a stage trains: of the stage's size and precision, partly frozen.

The network itself is never frozen, resized or cast: after each epoch it gets the copy's weights and
is judged with them.
"""

import math
from collections.abc import Sequence

import numpy as np

from cnnlab import models
from cnnlab.config import InputError, child_seed
from cnnlab.config.stages import PROBE
from cnnlab.engine import keras, make_deterministic, new_traces_expected, tf
from cnnlab.models import structure
from cnnlab.training.averaging import MovingAverage
from cnnlab.training.checkpoint import Progress
from cnnlab.training.divergence import Guard
from cnnlab.training.losses import LOSSES
from cnnlab.training.optimizers import optimizer
from cnnlab.training.recipe import Recipe, Stage
from cnnlab.training.schedules import rate


class Learner:
    """A copy of a network, compiled for one stage of a recipe.

    Args:
        model: Gives architecture and first weights; it is left as it is.
        stage: What is trained, and how.
        recipe: Gives precision and averaging.
        steps: Batches an epoch.
        class_weights: (C,), see ``losses``.
    """

    def __init__(
        self,
        model: keras.Model,
        stage: Stage,
        recipe: Recipe,
        *,
        steps: int,
        class_weights: Sequence[float] | None = None,
    ) -> None:
        make_deterministic()
        check_stage(model, stage)
        self.network = copied(model, image_size=stage.image_size, precision=recipe.precision)
        # The stages are the model's: of a smaller copy, the graph may show fewer.
        ends = models.stages(model)
        for layer in frozen(self.network, stage.trainable, ends):
            layer.trainable = False
        if stage.fixed_statistics:
            for layer in _normalisations(self.network):
                layer.trainable = False  # which means inference mode as well
        self._stage, self._rate = stage, rate(stage, steps)
        variables = self.network.trainable_variables
        factors = rate_factors(self.network, stage.depth_factor, ends)
        self.network.compile(
            optimizer=optimizer(stage, self._rate, variables, factors),
            loss=LOSSES[stage.loss](class_weights, stage.label_smoothing),
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        )
        decay = recipe.ema_decay
        self._average = MovingAverage(self.network.weights, decay) if decay else None

    def run(
        self, batches: tf.data.Dataset, *, seed: int, epoch: int, limit: float = math.inf
    ) -> dict[str, float]:
        """Train one epoch; return its loss and accuracy. Raises Diverged above ``limit``."""
        reseed(self.network, seed, epoch)
        guard = Guard(
            limit, epoch=epoch, steps=int(batches.cardinality()), rate=self._stage.learning_rate
        )
        # One call an epoch, because each epoch has a dataset of its own. The compiled step is kept
        # between calls; the order of the batches is the dataset's (shuffle=False).
        with new_traces_expected():  # every stage of every training has a network of its own
            logs = self.network.fit(
                batches, epochs=1, verbose=0, shuffle=False,
                callbacks=[guard, *([self._average] if self._average else [])],
            ).history  # fmt: skip
        return {name: float(logs[name][0]) for name in ("loss", "accuracy")}

    @property
    def rate(self) -> float:
        """The learning rate of the next batch."""
        moving = callable(self._rate)
        return float(self.network.optimizer.learning_rate if moving else self._rate)

    @property
    def judged(self) -> list[np.ndarray]:
        """The weights that validation judges: the averages, where the recipe averages."""
        return self._average.values() if self._average else self.network.get_weights()

    def state(self) -> dict[str, list[np.ndarray]]:
        """Return everything that ``restore`` needs, as fields of a ``Progress``."""
        return {
            "weights": self.network.get_weights(),
            "optimizer": [np.asarray(each) for each in self.network.optimizer.variables],
            "average": self._average.state() if self._average else [],
        }

    def restore(self, progress: Progress) -> None:
        """Stand where ``progress`` was saved, in the same stage of the same recipe."""
        self.network.set_weights(progress.weights)
        variables = self.network.optimizer.variables
        for variable, value in zip(variables, progress.optimizer, strict=True):
            variable.assign(value)
        if self._average:
            self._average.restore(progress.average)


def copied(
    model: keras.Model, *, image_size: int | None = None, precision: str = "float32"
) -> keras.Model:
    """Return an uncompiled copy with the same weights.

    Args:
        model: Takes images float32 (B, S, S, 3).
        image_size: S of the copy; None is the model's own.
        precision: ``bfloat16`` for a copy that computes in it; it stores and answers float32.
    """
    last = model.outputs[0]._keras_history.operation  # answers in float32, whatever the rest does

    def layer_like(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if precision == "bfloat16" and layer is not last and layer.dtype_policy.name == "float32":
            config["dtype"] = "mixed_bfloat16"
        return layer.__class__.from_config(config)

    inputs = None
    if image_size not in (None, model.input_shape[1]):
        inputs = keras.Input((image_size, image_size, 3), name=model.inputs[0].name)
    copy = keras.models.clone_model(
        model, input_tensors=inputs, clone_function=layer_like, recursive=True
    )
    copy.set_weights(model.get_weights())
    return copy


def check_stage(model: keras.Model, stage: Stage) -> None:
    """Raise InputError unless a model can be trained by a stage: at its size, in its parts."""
    if stage.probes:
        if not models.pools_globally(model):
            raise InputError(
                f"The network {model.name} has no features to probe: it does not pool globally. "
                "Expected a network that does, or stages without probe."
            )
        between = [layer.name for layer in models.head_layers(model)[:-1]]
        if between not in ([], ["hidden"]):
            raise InputError(
                f"A probe fits one dense layer, or hidden_units before it, and {model.name} has "
                f"{between[0]!r} between: expected network_options=pool=global,dense_units=0 of "
                "reference_cnn, another network, or stages without probe."
            )
        return
    frozen(model, stage.trainable)
    size = model.input_shape[1]
    if stage.image_size not in (None, size) and not models.pools_globally(model):
        raise InputError(
            f"The network {model.name} cannot be trained at {stage.image_size} pixels and used at "
            f"{size}: the shapes of its weights depend on the size. Expected stages of one size, "
            "or a network that pools globally, such as resnet, or reference_cnn with "
            "network_options=pool=global."
        )


def frozen(
    model: keras.Model, trainable: str, ends: tuple[str, ...] | None = None
) -> list[keras.layers.Layer]:
    """Return the layers that do not learn where ``trainable`` does, see ``recipe.Stage``.

    Args:
        model: A built network.
        trainable: What learns.
        ends: Paths of the layers that end its stages; by default those that ``models`` finds.
    """
    if trainable == "all":
        return []
    if trainable == PROBE:  # none is trained by steps
        return [layer for layer, _ in _depths(model, ())]
    ends = models.stages(model) if ends is None else ends
    last = 0 if trainable == "head" else int(trainable.removeprefix("last"))
    if last >= len(ends):
        raise InputError(
            f"Cannot train {trainable} of {model.name}, which has {len(ends)} "
            f"stage{'s' if len(ends) != 1 else ''}: that would freeze none. In stages, expected "
            f"one of {', '.join(['all', 'head', *(f'last{n}' for n in range(1, len(ends)))])}."
        )
    return [layer for layer, depth in _depths(model, ends) if depth > last]


def rate_factors(model: keras.Model, depth_factor: float, ends: tuple[str, ...]) -> list[float]:
    """Return the factor of the learning rate of each trainable variable, see ``recipe.Stage``."""
    depths = {
        id(variable): depth
        for layer, depth in reversed(_depths(model, ends))  # of a shared layer, the first use
        for variable in layer.trainable_variables
    }
    return [depth_factor ** depths.get(id(each), 0) for each in model.trainable_variables]


def _depths(model: keras.Model, ends: tuple[str, ...]) -> list[tuple[keras.layers.Layer, int]]:
    """Return the layers in order of execution: 0 with the head, 1 with the last stage, 2, …"""
    found, left = [], list(ends)
    for step in structure.steps(model):
        if isinstance(step.operation, keras.layers.Layer):
            found.append((step.operation, len(left)))
        if step.path in left[:1]:
            left.pop(0)
    return found


def _normalisations(model: keras.Model) -> list[keras.layers.Layer]:
    """Return the layers that normalise by statistics of the batch when they are trained."""
    kinds = keras.layers.BatchNormalization
    return [step.operation for step in structure.steps(model) if isinstance(step.operation, kinds)]


def reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set every random generator inside the model to its state at the start of an epoch."""
    states = [each for each in model.variables if each.name == "seed_generator_state"]
    for position, state in enumerate(states):
        # The position keeps two dropout layers of the same width from using the same mask.
        start = child_seed(seed, f"dropout/{epoch}/{position}")
        state.assign(np.array([start, 0]).astype(state.dtype))

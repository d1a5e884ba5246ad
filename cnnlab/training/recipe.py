"""A recipe: the stages of a training one after another, and what holds for all of them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from cnnlab.config import InputError, Settings
from cnnlab.config import stages as texts
from cnnlab.config.stages import PROBE
from cnnlab.config.training import TrainingSettings

NAMES = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD", "nesterov": "SGD with Nesterov momentum"}
GENTLE = 3e-4  # highest rate of Adam at which given weights are usually refined, not replaced


@dataclass(frozen=True)
class Stage:
    """A part of a training with an optimizer of its own.

    Attributes:
        epochs: How many; in the last stage at most.
        trainable: ``all`` layers learn, the ``head`` behind the network's last stage, or it and
            the network's last stages (``last2``). The others are frozen: batch normalisation
            among them uses its moving statistics and leaves them as they are. ``probe``: the
            head is fitted to the features that the frozen network gives, not by steps; that
            counts as one epoch, and the fields below mean nothing.
        optimizer: A name in ``optimizers.OPTIMIZERS``.
        learning_rate: The highest of the stage, of the head.
        depth_factor: Each stage of the network learns at this factor of the rate of the next, the
            last at this factor of the head's (discriminative fine-tuning: Howard and Ruder, ACL
            2018, section 3.2); 1 is one rate for all.
        fixed_statistics: Every batch normalisation of the network stays as it is, whatever learns:
            in inference mode, with its moving statistics, scale and shift. For weights that others
            trained: the statistics of small batches of other images would undo them.
        weight_decay: Decoupled, of kernels only; 0 is none.
        schedule: A name in ``schedules.SCHEDULES``: the rate by step, over the whole stage.
        warmup_epochs: In them the rate rises, step by step, from 0 or where ``one_cycle`` begins.
        image_size: Pixels a side of the training images; None is the network's own size. The
            validation images always have that.
        loss: A name in ``losses.LOSSES``, of the training; validation is judged by cross-entropy.
        label_smoothing: Share of each training target that is spread over all classes, 0…1.
        mixing: A name in ``augment.mixing.MIXERS``, or ``none``: how pairs of training images are
            mixed.
        mixing_strength: α of the Beta distribution that the proportions are drawn from.
        clip_norm: A gradient whose norm over all variables is larger is scaled down to it
            (Pascanu et al., ICML 2013); 0 is off.
        accumulate: Batches whose mean gradient makes a step of the optimizer. Schedules, the
            guard against divergence and batch normalisation go by batches, so the statistics are
            those of each batch alone. Gradients are carried over from an epoch to the next; what
            is left when the stage ends, fewer than ``accumulate`` batches, is dropped.
    """

    epochs: int
    trainable: str = "all"
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_epochs: int = 0
    image_size: int | None = None
    loss: str = "crossentropy"
    label_smoothing: float = 0.0
    mixing: str = "none"
    mixing_strength: float = 0.2
    depth_factor: float = 1.0
    fixed_statistics: bool = False
    clip_norm: float = 0.0
    accumulate: int = 1

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"epochs={self.epochs} is out of range: expected 1 or more.")
        if self.probes and self.epochs != 1:
            raise InputError(f"epochs={self.epochs} of a probe: expected 1, it is fitted once.")
        if not 0 < self.learning_rate < math.inf:
            raise InputError(
                f"learning_rate={self.learning_rate} is out of range: expected above 0."
            )
        if not 0 < self.depth_factor <= 1:
            raise InputError(
                f"depth_factor={self.depth_factor} is out of range: expected above 0, to 1."
            )
        if not 0 <= self.clip_norm < math.inf:
            raise InputError(f"clip_norm={self.clip_norm} is out of range: expected 0 or more.")
        if self.accumulate < 1:
            raise InputError(f"accumulate={self.accumulate} is out of range: expected 1 or more.")
        if not 0 <= self.warmup_epochs < self.epochs:
            raise InputError(
                f"warmup_epochs={self.warmup_epochs} is out of range: expected fewer than the "
                f"{self.epochs} epochs of the stage."
            )

    @property
    def probes(self) -> bool:
        """Whether the head is fitted to features, not trained by steps."""
        return self.trainable == PROBE


@dataclass(frozen=True)
class Recipe:
    """Stages and what holds for all of them.

    A stage hands the next one the weights that its last epoch was judged with. Only the last
    stage stops early, and the best epoch is one of its: losses of stages with different frozen
    layers or sizes say nothing about each other's. A probe is the exception: if no epoch of the
    last stage has a lower validation loss than the probe in front of it, the probe is the best.

    Attributes:
        stages: At least one. Only the first can be a probe.
        patience: Epochs of the last stage without a lower validation loss before it stops.
        ema_decay: Of the moving average of the weights, see ``averaging``; 0 is off.
        precision: ``float32``, or ``bfloat16`` for the training's arithmetic.

    Example:
        >>> recipe = Recipe((Stage(3, "head"), Stage(12, learning_rate=1e-4)), patience=5)
        >>> recipe.epochs, [recipe.stage_of(epoch) for epoch in (1, 3, 4, 15)]
        (15, [1, 1, 2, 2])
    """

    stages: tuple[Stage, ...]
    patience: int = 10
    ema_decay: float = 0.0
    precision: str = "float32"

    def __post_init__(self) -> None:
        if not self.stages:
            raise InputError("A recipe has no stage: expected at least one.")
        if any(stage.probes for stage in self.stages[1:]):
            raise InputError("A recipe probes in a later stage: expected it in the first.")
        if self.patience < 1:
            raise InputError(
                f"patience={self.patience} is out of range: expected 1 or more epochs."
            )
        if not 0 <= self.ema_decay < 1:
            raise InputError(f"ema_decay={self.ema_decay} is out of range: expected 0 to below 1.")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"Unknown precision {self.precision!r}: expected float32 or bfloat16.")

    @property
    def epochs(self) -> int:
        """The most epochs of all stages together."""
        return sum(stage.epochs for stage in self.stages)

    @property
    def probes(self) -> bool:
        """Whether it begins with a probe."""
        return self.stages[0].probes

    @property
    def only_probes(self) -> bool:
        """Whether a probe is all there is."""
        return self.stages[-1].probes

    def stage_of(self, epoch: int) -> int:
        """Return the number, from 1, of the stage that an epoch belongs to, both from 1.

        Epochs beyond the last belong to the last stage.
        """
        number = 1
        for stage in self.stages[:-1]:
            epoch -= stage.epochs
            number += epoch > 0
        return number

    def best_epoch(self, rows: Iterable[Mapping[str, Any]]) -> int:
        """Return the epoch whose weights a training by this recipe keeps.

        Args:
            rows: Of its history, in order: ``epoch`` and ``validation_loss``.

        Returns:
            The first with the lowest loss among those of the last stage and the probe, if any; 0
            where there is none of them.
        """
        best, lowest = 0, math.inf
        for row in rows:
            number = self.stage_of(row["epoch"])
            counts = number == len(self.stages) or self.stages[number - 1].probes
            if counts and row["validation_loss"] < lowest:
                best, lowest = row["epoch"], row["validation_loss"]
        return int(best)

    def keeps_probe(self, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Return whether no epoch after the probe is better than it; a probe alone is not kept."""
        return self.probes and not self.only_probes and self.best_epoch(rows) == 1


def described(given: TrainingSettings) -> str:
    """Return what the settings say of a training, in one line for the model card.

    Example:
        >>> described(TrainingSettings(schedule="cosine"))
        'Adam 0.001, batch 32, at most 50 epochs, patience 10, schedule cosine'
        >>> described(TrainingSettings(stages="probe"))
        'The head was fitted once to features of the frozen network'
    """
    plan = texts.parse(given.stages)
    probed = "The head was fitted once to features of the frozen network"
    if plan[-1].trainable == PROBE:
        views = f", of each image and {given.feature_views} views" if given.feature_views else ""
        weighted = ", classes weighted" if given.class_weight == "balanced" else ""
        return probed + views + weighted
    said = ("optimizer", "learning_rate", "batch_size", "epochs", "patience")
    further = [
        f"{each.name.replace('_', ' ')} {getattr(given, each.name)}"
        for each in fields(given)
        if each.name not in said and getattr(given, each.name) != each.default
    ]
    name = NAMES[given.optimizer]
    name = f"{probed}, then {name}" if plan[0].trainable == PROBE else name
    parts = (
        f"{name} {given.learning_rate:g}",
        f"batch {given.batch_size}",
        f"at most {given.epochs} epochs",
        f"patience {given.patience}",
    )
    return ", ".join((*parts, *further))


def cautions(recipe: Recipe) -> list[str]:
    """Return what is likely to spoil weights that others trained, a sentence or two each.

    Source:
        Kumar et al., "Fine-Tuning can Distort Pretrained Features and Underperform
        Out-of-Distribution", ICLR 2022: the head first, then the network.
    """
    found = []
    given = [stage for stage in recipe.stages if stage.fixed_statistics]
    moving = [stage for stage in given if stage.trainable not in (PROBE, "head")]
    steep = [
        f"{stage.learning_rate * stage.depth_factor:g}"
        for stage in moving
        if stage.optimizer.startswith("adam") and stage.learning_rate * stage.depth_factor > GENTLE
    ]
    if steep:
        found.append(
            f"pretrained layers learn at {steep[0]}, a rate for a new head; above {GENTLE:g} they "
            "usually lose what they know. Lower learning_rate, or its factor in stages, such as "
            "all:x0.1."
        )
    if moving and moving[0] is recipe.stages[0]:
        found.append(
            "pretrained layers learn behind a head that is still random. stages=probe,all:x0.1 "
            "fits the head first."
        )
    return found


def from_settings(settings: Settings, *, epochs: int | None = None) -> Recipe:
    """Return the recipe that the settings describe.

    Args:
        settings: Section ``training``; and ``weights``, which decides ``fixed_statistics``.
        epochs: Of all stages together; the settings' by default.

    Raises:
        InputError: The stages before the last leave nothing of ``epochs``.
    """
    given = settings.training
    total = given.epochs if epochs is None else epochs
    given.check_epochs("epochs", total)
    plan = texts.parse(given.stages)
    left = total - sum(text.epochs for text in plan)
    stages = tuple(
        Stage(
            epochs=text.epochs or left,
            trainable=text.trainable,
            optimizer=given.optimizer,
            learning_rate=given.learning_rate * text.factor,
            weight_decay=given.weight_decay,
            schedule=given.schedule,
            warmup_epochs=given.warmup_epochs,
            image_size=text.image_size or None,
            loss=given.loss,
            label_smoothing=given.label_smoothing,
            mixing=given.mixing,
            mixing_strength=given.mixing_strength,
            depth_factor=given.depth_factor,
            fixed_statistics=settings.model.weights != "random",
            clip_norm=given.clip_norm,
            accumulate=given.accumulate,
        )
        if text.trainable != PROBE
        else Stage(1, PROBE)
        for text in plan
    )
    return Recipe(stages, given.patience, given.ema_decay, given.precision)

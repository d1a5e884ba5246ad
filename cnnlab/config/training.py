"""How the network is trained."""

from dataclasses import dataclass

from cnnlab.config import stages
from cnnlab.config.errors import InputError
from cnnlab.config.section import Section, setting

STRENGTH = 0.2  # of mixing; alone, another one would do nothing


@dataclass(frozen=True)
class TrainingSettings(Section):
    """Section ``training``."""

    batch_size: int = setting(32, "images a step", low=1, high=4096)
    epochs: int = setting(50, "passes over the training images, at most", low=1, high=10_000)
    patience: int = setting(
        10, "epochs without a lower validation loss before training stops", low=1, high=10_000
    )
    learning_rate: float = setting(1e-3, "the optimizer's step size", low=1e-8, high=10)
    class_weight: str = setting(
        "none",
        "balanced: each class weighs the same in the training loss",
        choices=("none", "balanced"),
    )
    feature_views: int = setting(
        0,
        "augmented views of each training image that a probe learns from besides the image itself",
        low=0,
        high=100,
    )
    stages: str = setting(
        "all",
        "what learns, epochs, factor of learning_rate, size, such as head:3,all:x0.1, "
        "all:5:32px,all or probe,all:x0.1; probe fits the head to features of the frozen network",
    )
    optimizer: str = setting(
        "adam",
        "sgd has momentum 0.9, nesterov the same with Nesterov's",
        choices=("adam", "adamw", "sgd", "nesterov"),
    )
    depth_factor: float = setting(
        1.0,
        "each stage of the network learns at this factor of the next one's rate, the head at "
        "learning_rate; 1: one rate for all",
        low=0.01,
        high=1,
    )
    weight_decay: float = setting(
        0.0,
        "of all but adam: kernels shrink by it times the rate at each step; biases and the "
        "parameters of normalisation do not",
        low=0,
        high=10,
    )
    schedule: str = setting(
        "constant",
        "the learning rate over a stage: cosine falls to 0, one_cycle rises from 1/25 and falls to "
        "1/10,000, step falls to a tenth at its half and at three quarters",
        choices=("constant", "cosine", "one_cycle", "step"),
    )
    warmup_epochs: int = setting(
        0,
        "epochs in which the learning rate rises, in each stage; 0 with one_cycle: three tenths of "
        "its steps",
        low=0,
        high=1000,
    )
    clip_norm: float = setting(
        0.0, "the largest norm of a gradient over all weights; 0: off", low=0, high=1000
    )
    accumulate: int = setting(
        1,
        "batches whose mean gradient makes a step; batch normalisation sees each batch alone",
        low=1,
        high=1024,
    )
    loss: str = setting(
        "crossentropy",
        "of the training; validation is always judged by cross-entropy",
        choices=("crossentropy", "focal"),
    )
    label_smoothing: float = setting(
        0.0, "share of each training target spread over all classes", low=0, high=0.9
    )
    mixing: str = setting(
        "none",
        "each training image is mixed with another of its batch, targets in proportion",
        choices=("none", "mixup", "cutmix"),
    )
    mixing_strength: float = setting(
        STRENGTH,
        "α of the Beta distribution that the proportions are drawn from",
        low=0.01,
        high=10,
    )
    ema_decay: float = setting(
        0.0,
        "0: off; 0.99: weights are averaged over about 100 steps, judged and shipped so",
        low=0,
        high=0.99999,
    )
    precision: str = setting(
        "float32",
        "bfloat16 computes the training in half the bits; the shipped network is float32",
        choices=("float32", "bfloat16"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_epochs("epochs", self.epochs)
        if self.weight_decay and self.optimizer == "adam":
            raise InputError(
                f"weight_decay={self.weight_decay} and optimizer=adam: Adam decays no weights. "
                "Expected optimizer=adamw, sgd or nesterov with it."
            )
        if self.optimizer == "adamw" and not self.weight_decay:
            raise InputError(
                "optimizer=adamw and weight_decay=0.0: that is Adam. Expected a weight_decay above "
                "0, such as 0.01."
            )
        if self.mixing == "none" and self.mixing_strength != STRENGTH:
            raise InputError(
                f"mixing_strength={self.mixing_strength} and mixing=none: nothing is mixed. "
                "Expected mixing=mixup or cutmix with it."
            )
        if self.feature_views and stages.parse(self.stages)[0].trainable != stages.PROBE:
            raise InputError(
                f"feature_views={self.feature_views} and stages={self.stages!r}: only a probe "
                "learns from views. Expected stages that begin with probe."
            )

    def check_size(self, image_size: int) -> None:
        """Raise InputError unless no stage is larger than the prepared pixels."""
        largest = max(stage.image_size for stage in stages.parse(self.stages))
        if largest > image_size:
            raise InputError(
                f"stages={self.stages!r} trains at {largest} pixels and image_size={image_size}: "
                "expected sizes of at most image_size."
            )

    def check_epochs(self, name: str, epochs: int) -> None:
        """Raise InputError unless so many epochs leave some to the last stage and its warm-up.

        A probe counts as one and warms nothing up; where there is nothing else, all will do.
        """
        plan = stages.parse(self.stages)
        if plan[-1].trainable == stages.PROBE:
            return
        earlier = [stage.epochs for stage in plan[:-1]]
        if epochs <= sum(earlier):
            raise InputError(
                f"{name}={epochs} and stages={self.stages!r}: nothing is left for the last stage. "
                f"Expected {name} of at least {sum(earlier) + 1}."
            )
        trained = [stage.epochs for stage in plan[:-1] if stage.trainable != stages.PROBE]
        if (shortest := min(*trained, epochs - sum(earlier), 10**9)) <= self.warmup_epochs:
            raise InputError(
                f"warmup_epochs={self.warmup_epochs} is too many: the shortest stage has "
                f"{shortest} epoch{'s' if shortest != 1 else ''} ({name}={epochs}, "
                f"stages={self.stages!r}). Expected fewer than that."
            )

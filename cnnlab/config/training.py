"""How the network is trained."""

from dataclasses import dataclass

from cnnlab.config.section import Section, setting


@dataclass(frozen=True)
class TrainingSettings(Section):
    """Section ``training``."""

    batch_size: int = setting(32, "images a step", low=1, high=4096)
    epochs: int = setting(50, "passes over the training images, at most", low=1, high=10_000)
    patience: int = setting(
        10, "epochs without a lower validation loss before training stops", low=1, high=10_000
    )
    learning_rate: float = setting(1e-3, "step size of Adam", low=1e-8, high=10)
    class_weight: str = setting(
        "none",
        "balanced: each class weighs the same in the training loss",
        choices=("none", "balanced"),
    )

"""Which network."""

from dataclasses import dataclass

from cnnlab.config.section import Section, setting


@dataclass(frozen=True)
class ModelSettings(Section):
    """Section ``model``."""

    architecture: str = setting(
        "reference_cnn", "a network of the registry", choices=("reference_cnn",)
    )
    l2: float = setting(1e-4, "factor of the L2 penalty on the weights", low=0, high=1)
    dropout: float = setting(0.5, "share of the dense layer's units left out", low=0, high=0.95)

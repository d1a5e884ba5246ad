"""Which network."""

from dataclasses import dataclass

from cnnlab.config.section import Section, setting

# The registry of networks: each is the name of a module in ``cnnlab.models``, which says the rest
# in its ``ARCHITECTURE``. The names stand here, because settings are read without Keras.
ARCHITECTURES = ("reference_cnn", "resnet", "mobilenet_v3_small")


@dataclass(frozen=True)
class ModelSettings(Section):
    """Section ``model``."""

    architecture: str = setting("reference_cnn", "a network of the registry", choices=ARCHITECTURES)
    network_options: str = setting(
        "",
        "what that network lets one choose, name=value,name=value; listed by "
        "cnnlab settings --networks",
    )
    l2: float = setting(1e-4, "factor of the L2 penalty on the weights", low=0, high=1)
    dropout: float = setting(0.5, "share of the last features left out", low=0, high=0.95)

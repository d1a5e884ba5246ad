"""Which network."""

from dataclasses import dataclass

from cnnlab.config.section import Section, setting

# The registry of networks. The names stand here, because settings are read without Keras. Each of
# the first is the name of a module in ``cnnlab.models``, which says the rest in its
# ``ARCHITECTURE``; the others are rows of the table in ``cnnlab.models.applications``.
MODULES = ("reference_cnn", "resnet", "mobilenet_v3_small", "efficientnet_lite0")
APPLICATIONS = (
    "mobilenet",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_v2_b0",
    "efficientnet_v2_b1",
    "efficientnet_v2_b2",
    "efficientnet_v2_b3",
    "efficientnet_v2_s",
    "efficientnet_v2_m",
    "efficientnet_v2_l",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet50_v2",
    "resnet101_v2",
    "resnet152_v2",
    "convnext_tiny",
    "convnext_small",
    "convnext_base",
    "densenet121",
    "densenet169",
    "densenet201",
    "nasnet_mobile",
    "xception",
    "inception_v3",
    "inception_resnet_v2",
    "vgg16",
    "vgg19",
)
ARCHITECTURES = (*MODULES, *APPLICATIONS)

# What the setting ``weights`` can be besides the path of a file.
RANDOM, PRETRAINED = WEIGHTS = ("random", "pretrained")


@dataclass(frozen=True)
class ModelSettings(Section):
    """Section ``model``."""

    architecture: str = setting(
        "reference_cnn",
        "a network; cnnlab settings --networks lists them",
        choices=ARCHITECTURES,
        listed_by="cnnlab settings --networks",
    )
    network_options: str = setting(
        "",
        "what that network lets one choose, name=value,name=value; listed by "
        "cnnlab settings --networks",
    )
    weights: str = setting(
        RANDOM,
        "where training begins: random, pretrained (the network's own), or a weights file",
    )
    l2: float = setting(1e-4, "factor of the L2 penalty on the weights", low=0, high=1)
    dropout: float = setting(0.5, "share of the last features left out", low=0, high=0.95)
    hidden_units: int = setting(
        0,
        "of a hidden layer before the softmax, in networks that pool globally; 0: none",
        low=0,
        high=8192,
    )

"""The networks: one file per family, found by its name in the registry.

Every network takes float32 (B, S, S, 3) RGB in 0…255, normalises it itself, and gives softmax
probabilities float32 (B, C). So no caller ever scales pixels. Its ``name`` is that of its family.
"""

from cnnlab.config import InputError
from cnnlab.config.model import ARCHITECTURES
from cnnlab.engine import keras
from cnnlab.models import structure
from cnnlab.models.architecture import Architecture, ParameterCount, architecture
from cnnlab.models.description import described
from cnnlab.models.options import parsed_options
from cnnlab.models.structure import pools_globally

__all__ = [
    "ARCHITECTURES",
    "Architecture",
    "ParameterCount",
    "architecture",
    "build",
    "check_options",
    "describe",
    "pools_globally",
    "stages",
]


def build(
    name: str,
    *,
    image_size: int,
    num_classes: int,
    seed: int,
    l2: float,
    dropout: float,
    options: str = "",
) -> keras.Model:
    """Return a new, uncompiled network.

    Args:
        name: A name of the registry.
        image_size: Pixels a side, at least 16.
        num_classes: Width C of the softmax, at least 2.
        seed: Decides the initial weights and the dropout masks.
        l2: Factor of the L2 penalty on the convolution kernels.
        dropout: Share of the units dropped before the softmax.
        options: What the family lets one choose, as in the setting ``network_options``.

    Raises:
        InputError: The name is not registered, an option is unknown or out of range, or there are
            fewer than two classes.
    """
    family = architecture(name)
    if num_classes < 2:
        raise InputError(f"A classifier needs at least two classes; got {num_classes}.")
    return family.build(
        parsed_options(family, options),
        image_size=image_size,
        num_classes=num_classes,
        seed=seed,
        l2=l2,
        dropout=dropout,
    )


def check_options(name: str, options: str) -> None:
    """Raise what ``build`` would raise of a family's name and options; build nothing."""
    parsed_options(architecture(name), options)


def stages(model: keras.Model) -> tuple[str, ...]:
    """Return the names of the layers whose output ends each stage, first to last; at most six.

    A network of the registry (by its ``name``) has those that its family states. Of any other
    they are found in its graph, see ``structure.stages``; one without a graph has none.

    Args:
        model: A built network, also one that was loaded. It is not changed.

    Returns:
        Layer names, or paths ``backbone/name`` where a layer is inside a nested model.
    """
    if model.name in ARCHITECTURES:
        own = {layer.name for layer in model.layers}
        stated = tuple(name for name in architecture(model.name).stages if name in own)
        if stated:
            return stated
    return structure.stages(model)


def describe(model: keras.Model) -> str:
    """Return two sentences about a network, made from its graph: for notebooks and cards.

    What a family is and where it comes from, without a network, is ``architecture(name).summary``.

    Returns:
        Convolutions and stages, what stands behind them, and the number of parameters; of a model
        without a graph, the latter.

    Example:
        "reference_cnn has 4 convolutions in 4 stages that end with 32, 64, 128 and 256 channels,
        at 64 × 64 down to 8 × 8 pixels; then flattening, a hidden layer of 512 units, dropout and
        a softmax over 5 classes. It has 2,490,565 parameters, 84% of them behind the feature maps,
        a part that grows with the image."
    """
    return described(model, stages(model))

"""The networks: one file per family, found by its name in the registry.

Every network takes float32 (B, S, S, 3) RGB in 0…255, normalises it itself, and gives softmax
probabilities float32 (B, C). So no caller ever scales pixels. Its ``name`` is that of its family.
"""

from cnnlab.config import InputError
from cnnlab.config.model import ARCHITECTURES, RANDOM
from cnnlab.engine import keras
from cnnlab.models import structure
from cnnlab.models import weights as first_weights
from cnnlab.models.architecture import Architecture, ParameterCount, architecture
from cnnlab.models.body import answers_digest, body, head_layers, weights_digest
from cnnlab.models.description import described
from cnnlab.models.head import with_hidden_layer
from cnnlab.models.options import parsed_options
from cnnlab.models.structure import pools_globally
from cnnlab.models.weights import WeightsOrigin, provenance

__all__ = [
    "ARCHITECTURES",
    "RANDOM",
    "Architecture",
    "ParameterCount",
    "WeightsOrigin",
    "answers_digest",
    "architecture",
    "body",
    "build",
    "check_options",
    "check_weights",
    "describe",
    "head_layers",
    "pools_globally",
    "provenance",
    "stages",
    "weights_digest",
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
    weights: str = RANDOM,
    hidden_units: int = 0,
) -> keras.Model:
    """Return a new, uncompiled network.

    Args:
        name: A name of the registry.
        image_size: Pixels a side, at least 16.
        num_classes: Width C of the softmax, at least 2.
        seed: Decides the random weights and the dropout masks.
        l2: Factor of the L2 penalty on the convolution kernels; on the head's, where these are not
            random.
        dropout: Share of the units dropped before the softmax.
        options: What the family lets one choose, as in the setting ``network_options``.
        weights: What every layer before the head begins with: ``random``, ``pretrained`` (the
            family's own), or the path of a file. The head is always random.
        hidden_units: Of a hidden layer before the softmax, in networks that pool globally; 0: none.

    Raises:
        InputError: The name is not registered, an option is unknown or out of range, there are
            fewer than two classes, a hidden layer is asked of a network that does not pool, or the
            weights cannot be had, are damaged, are of another network or ask for larger images.
    """
    family = architecture(name)
    if num_classes < 2:
        raise InputError(f"A classifier needs at least two classes; got {num_classes}.")
    path = first_weights.find(family, options, weights, image_size=image_size)
    network = family.build(
        parsed_options(family, options),
        image_size=image_size,
        num_classes=num_classes,
        seed=seed,
        l2=0.0 if path else l2,
        dropout=dropout,
    )
    if path:
        first_weights.load(network, family, path)
    if hidden_units:
        network = with_hidden_layer(network, hidden_units, seed=seed)
    if path:
        first_weights.penalise_head(network, l2)
    return network


def check_options(name: str, options: str) -> None:
    """Raise what ``build`` would raise of a family's name and options; build nothing."""
    parsed_options(architecture(name), options)


def check_weights(name: str, options: str, weights: str, image_size: int) -> None:
    """Raise what ``build`` would raise of weights before it reads a user's file; build nothing."""
    first_weights.find(architecture(name), options, weights, image_size=image_size)


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

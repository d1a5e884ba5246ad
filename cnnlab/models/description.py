"""A network in two sentences, made from its graph."""

from typing import Any

from cnnlab.engine import keras
from cnnlab.models import structure
from cnnlab.models.structure import Step

_TAIL = {
    "Flatten": "flattening",
    "Reshape": "flattening",
    "GlobalAveragePooling2D": "global average pooling",
    "GlobalMaxPooling2D": "global maximum pooling",
}


def described(model: keras.Model, stages: tuple[str, ...]) -> str:
    """Return what a network is made of, in two sentences; see ``cnnlab.models.describe``."""
    steps = structure.steps(model)
    maps = [position for position, step in enumerate(steps) if len(step.output) == 4]
    count = f"{model.count_params():,} parameters"
    if not maps or not stages:
        return f"{model.name} has {count}."
    before, tail = steps[: maps[-1] + 1], steps[maps[-1] + 1 :]
    return (
        f"{model.name} has {_body(before, stages)}; then {_listed(_tail(tail))}. "
        f"It has {count}, {_where(model, tail)}."
    )


def _body(steps: list[Step], stages: tuple[str, ...]) -> str:
    """Return what makes the feature maps: convolutions, what is special in them, the stages."""
    layers = {id(step.operation): step.operation for step in steps}.values()
    convolutions = [layer for layer in layers if isinstance(layer, structure.CONVOLUTIONS)]
    depthwise = [one for one in convolutions if isinstance(one, keras.layers.DepthwiseConv2D)]
    sums = [step for step in steps if isinstance(step.operation, keras.layers.Add)]
    gates = [step for step in steps if _is_gate(step)]
    special = [
        f"{len(found)} {one if len(found) == 1 else many}"
        for found, one, many in (
            (depthwise, "of them depthwise", "of them depthwise"),
            (sums, "residual sum", "residual sums"),
            (gates, "squeeze-excite gate", "squeeze-excite gates"),
        )
        if found
    ]
    inside = f" ({', '.join(special)})" if special else ""
    shapes = [step.output for name in stages for step in steps if step.path == name]
    channels = _listed([str(shape[3]) for shape in shapes])
    first, last = (f"{shape[1]} × {shape[2]}" for shape in (shapes[0], shapes[-1]))
    span = f"{first} pixels" if first == last else f"{first} down to {last} pixels"
    kind = "convolution" if len(convolutions) == 1 else "convolutions"
    stage = "stage that ends" if len(shapes) == 1 else "stages that end"
    return (
        f"{len(convolutions)} {kind}{inside} in {len(shapes)} {stage} with {channels} channels, "
        f"at {span}"
    )


def _tail(steps: list[Step]) -> list[str]:
    """Return what stands behind the feature maps, a phrase a layer."""
    dense = [step for step in steps if isinstance(step.operation, keras.layers.Dense)]
    phrases = []
    for step in steps:
        layer, kind = step.operation, type(step.operation).__name__
        if kind in _TAIL:
            phrases.append(_TAIL[kind])
        elif isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            phrases.append("dropout")
        elif isinstance(layer, keras.layers.Dense) and step is not dense[-1]:
            phrases.append(f"a hidden layer of {layer.units} units")
        elif isinstance(layer, keras.layers.Dense):
            softmax = layer.activation is keras.activations.softmax
            phrases.append(
                f"a {'softmax' if softmax else 'dense layer'} over {layer.units} classes"
            )
    return phrases or ["its output"]


def _where(model: keras.Model, tail: list[Step]) -> str:
    """Return what the number of parameters depends on."""
    if structure.pools_globally(model):
        return "as many at every image size"
    layers = {id(step.operation): step.operation for step in tail}.values()
    behind: Any = sum(layer.count_params() for layer in layers if isinstance(layer, keras.Layer))
    share = f"{behind / max(model.count_params(), 1):.0%}"
    return f"{share} of them behind the feature maps, a part that grows with the image"


def _is_gate(step: Step) -> bool:
    """Return whether a layer multiplies maps by one factor a channel, made of the maps."""
    places = {shape[1:3] for shape in step.inputs if len(shape) == 4}
    return (
        isinstance(step.operation, keras.layers.Multiply) and (1, 1) in places and len(places) > 1
    )


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)

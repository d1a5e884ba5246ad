"""Which pixels a layer's places see, computed from the layers before it.

This is the theoretical receptive field: convolutions and pooling widen it. What a gate adds is left
out. A gate, as in squeeze-and-excitation (Hu et al., CVPR 2018), multiplies a channel by one number
that depends on the whole image: it changes how strongly a channel answers, the same at every place.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import execution, layers
from cnnlab.explain.execution import Call

MOVERS = (keras.layers.Conv2DTranspose, keras.layers.Permute)  # whatever their strides say
GLOBAL_POOLING = (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)


@dataclass(frozen=True)
class Axis:
    """What places see along one axis, in pixels.

    Place i sees ``size`` pixels from ``start + i · step`` on; part of them may lie outside.
    """

    size: int = 1
    step: int = 1
    start: int = 0


@dataclass(frozen=True)
class ReceptiveField:
    """What a layer's places see of the image; ``gated``: gates on the way see all of it."""

    height: Axis = Axis()
    width: Axis = Axis()
    gated: bool = False

    @property
    def axes(self) -> tuple[Axis, Axis]:
        """Return height and width."""
        return self.height, self.width


# What a tensor sees: places of it a part each, all of it the whole image, or why that is unknown.
WHOLE = None
Sight = ReceptiveField | str | None


def receptive_field(model: keras.Model, layer: str, size: int | tuple[int, int]) -> ReceptiveField:
    """Return what a layer sees of an image.

    Args:
        model: A model of convolutions, pooling, gates and layers that keep places where they are.
        layer: Path of a layer with maps.
        size: Height and width of the image in pixels; one number if it is square.

    Raises:
        InputError: The model takes no such image, or the layer does not see it in a regular way.
    """
    inputs = getattr(model, "inputs", None)
    channels = (inputs[0].shape[-1] if inputs else None) or 3
    black = np.zeros((1, *np.broadcast_to(size, 2), channels), np.uint8)
    image = tf.constant(layers.image_batch(model, black))
    wanted = layers.find(model, layer)
    known: dict[int, Sight] = {id(image): ReceptiveField()}
    found: list[Sight] = [WHOLE]
    calls: list[Call] = []  # kept, so that no other tensor gets the id of one

    def seen(call: Call) -> None:
        if id(call.output) not in known:
            inputs = _inside(call, calls, known) if layers.hides(call.operation) else call.inputs
            known[id(call.output)] = _behind(
                Call(call.operation, inputs, call.output),
                [known.get(id(tensor), "") for tensor in inputs],
            )
        calls.append(call)
        if call.operation is wanted:
            found.append(known[id(call.output)])

    execution.run(model, image, seen)
    sight = found[-1]
    if not isinstance(sight, ReceptiveField):
        raise InputError(
            f"Layer {layer!r} has no regular receptive field{sight or ''}: expected one with maps "
            "(h, w, K) behind convolutions, pooling and layers that move nothing."
        )
    return sight


def _inside(call: Call, calls: list[Call], known: dict[int, Sight]) -> tuple[tf.Tensor, ...]:
    """Return what a layer made of layers can make its maps of: its input and all inside it."""
    inner = {id(leaf) for leaf in layers.leaves(call.operation)}
    own = [earlier.output for earlier in calls if id(earlier.operation) in inner]
    sizes = call.output.shape[1:-1]
    return tuple(
        tensor
        for tensor in (*call.inputs, *own)
        if tensor.shape[1:-1] == sizes or known.get(id(tensor), "") is WHOLE
    )


def _behind(call: Call, before: list[Sight]) -> Sight:
    """Return what is seen behind an operation, given what each of its inputs sees."""
    reasons = [sight for sight in before if isinstance(sight, str)]
    if reasons or not before:
        return max(reasons, default="")
    pairs = zip(call.inputs, before, strict=True)
    local = [(tensor, sight) for tensor, sight in pairs if isinstance(sight, ReceptiveField)]
    if not local or _summarises(call):
        return WHOLE
    height, width = (
        _after(call, [(int(tensor.shape[1 + i]), sight.axes[i]) for tensor, sight in local], i)
        for i in (0, 1)
    )
    if height is None or width is None:
        return f", because layer {call.operation.name!r} moves places"
    gated = len(local) < len(before) or any(sight.gated for _, sight in local)
    return ReceptiveField(height, width, gated)


def _summarises(call: Call) -> bool:
    """Return whether the operation makes numbers of whole maps."""
    if isinstance(call.operation, GLOBAL_POOLING) or len(call.output.shape) != 4:
        return True
    if hasattr(call.operation, "strides"):
        return False
    return tuple(call.output.shape[1:3]) == (1, 1) != tuple(call.inputs[0].shape[1:3])


def _after(call: Call, before: list[tuple[int, Axis]], axis: int) -> Axis | None:
    """Return the field behind an operation on inputs of these lengths and fields: their union.

    None if it moves places: if place i of it does not lie over place i · stride of its inputs.
    """
    fields = [field for _, field in before]
    start, steps = min(field.start for field in fields), {field.step for field in fields}
    size = max(field.start + field.size for field in fields) - start
    operation, length, lengths = call.operation, before[0][0], {length for length, _ in before}
    kernel = _pair(operation, "kernel_size", "pool_size")[axis]
    stride = _pair(operation, "strides", "pool_size")[axis]
    reach = (kernel - 1) * _pair(operation, "dilation_rate")[axis] + 1
    padded = 0
    if getattr(operation, "padding", "valid") == "same":
        padded = max((-(-length // stride) - 1) * stride + reach - length, 0) // 2
    if isinstance(operation, keras.layers.ZeroPadding2D):
        padded = operation.padding[axis][0]
    elif kernel == 1 == stride:
        lengths.add(int(call.output.shape[axis + 1]))
    if len(steps) > 1 or len(lengths) > 1 or isinstance(operation, MOVERS):
        return None
    step = steps.pop()
    return Axis(size + (reach - 1) * step, step * stride, start - padded * step)


def _pair(operation: Any, *names: str) -> tuple[int, int]:
    values = (getattr(operation, name, None) for name in names)
    value = next((value for value in values if value is not None), 1)
    return (value, value) if isinstance(value, int) else tuple(value)

"""What a network's graph says about it: its layers with their shapes, its stages, its pooling."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cnnlab.engine import keras

MOST_STAGES = 6
SIDE = 224  # pixels assumed where a network leaves its image size open

CONVOLUTIONS = (
    keras.layers.Conv2D,
    keras.layers.Conv2DTranspose,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
)
# What only moves, thins or repeats the values of the layer before it ends no stage.
_COPYING = (
    keras.layers.MaxPooling2D,
    keras.layers.AveragePooling2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.UpSampling2D,
    keras.layers.Identity,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.GaussianNoise,
    keras.layers.GaussianDropout,
)

Shape = tuple[int | None, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """One layer (or Keras operation) of a graph at work.

    Attributes:
        path: The layer's name, or ``backbone/name`` inside a nested model.
        operation: The layer.
        inputs: Shapes of its tensor arguments, batch first.
        output: Shape of its output; () where it gives several tensors.
    """

    path: str
    operation: Any
    inputs: tuple[Shape, ...]
    output: Shape


def steps(model: keras.Model, *, scale: int = 1) -> list[Step]:
    """Return every layer and operation of a Sequential or Functional model in order of execution.

    Nested models are opened. Nothing is computed and the model is not changed: only shapes pass
    through it.

    Args:
        model: A built model with one input. An image size that it leaves open counts as ``SIDE``.
        scale: How many times the image size.

    Returns:
        The steps; none of a model that has no graph (a subclassed one).
    """
    if not has_graph(model) or not model.built or len(model.inputs) != 1:
        return []
    batch, *size, colours = model.inputs[0].shape
    image = keras.KerasTensor(
        (batch, *(scale * (side or SIDE) for side in size), colours), model.inputs[0].dtype
    )
    found: list[Step] = []

    def visit(path: str, operation: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> Any:
        output = operation.compute_output_spec(*inputs, **options)
        given = [tuple(each.shape) for each in _tensors((inputs, options))]
        made = [tuple(each.shape) for each in _tensors(output)]
        shape = made[0] if len(made) == 1 else ()
        found.append(Step(path, operation, tuple(given), shape))
        return output

    walk(model, (image,), visit)
    return found


def stages(model: keras.Model) -> tuple[str, ...]:
    """Return the paths of the layers that end the stages of any model, first to last.

    A stage is what works at one resolution: it ends with its last layer of feature maps, which is
    neither pooling nor padding nor dropout, stands behind the first convolution, and is at least
    two pixels a side. Of more than ``MOST_STAGES`` so many are taken, evenly, among them the first
    and the last.

    Returns:
        At most ``MOST_STAGES`` paths; none of a model without a graph or without convolutions.
    """
    last: dict[tuple[int, ...], tuple[int, str]] = {}
    convolved = False
    for position, step in enumerate(steps(model)):
        convolved = convolved or isinstance(step.operation, CONVOLUTIONS)
        size = tuple(side or 0 for side in step.output[1:3])
        makes_maps = isinstance(step.operation, keras.Layer) and not isinstance(
            step.operation, _COPYING
        )
        if convolved and makes_maps and len(step.output) == 4 and min(size) >= 2:
            last[size] = (position, step.path)
    return thinned(tuple(path for _, path in sorted(last.values())))


def thinned(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return at most ``MOST_STAGES`` of the names, evenly, with the first and the last."""
    if len(names) <= MOST_STAGES:
        return names
    step = (len(names) - 1) / (MOST_STAGES - 1)
    return tuple(names[round(step * index)] for index in range(MOST_STAGES))


def pools_globally(model: keras.Model) -> bool:
    """Return whether a network has the same weights at every image size.

    Such a network averages (or takes the maximum) over all places; one that flattens its maps has
    a weight for each place. What is compared are the shapes behind the maps, of images as large
    and twice as large. A network without a graph is taken for one that has not.
    """
    try:
        larger = steps(model, scale=2)
    except Exception:  # each layer that knows one size only has its own way to say so
        return False
    behind = [
        (one.output, other.output)
        for one, other in zip(steps(model), larger, strict=True)
        if len(one.output) < 4
    ]
    return bool(behind) and all(one == other for one, other in behind)


def has_graph(model: Any) -> bool:
    """Return whether this is a model that does nothing but run its graph."""
    graph = isinstance(model, keras.Sequential | keras.Function)
    return graph and type(model).call.__module__.startswith("keras.")


def walk(
    operation: Any,
    inputs: tuple[Any, ...],
    visit: Callable[[str, Any, tuple[Any, ...], dict[str, Any]], Any],
    *,
    options: dict[str, Any] | None = None,
    path: str = "",
) -> Any:
    """Return what an operation gives for its inputs; models that have a graph are opened.

    Args:
        operation: A model, a layer or a Keras operation.
        inputs: Its positional arguments, tensors or symbolic ones.
        visit: Called with each operation that is not opened, in order of execution: its path, the
            operation, its positional and its other arguments. What it returns is the output.
        options: The other arguments.
        path: Of the operation; "" for the whole model.
    """
    if not has_graph(operation):
        return visit(path, operation, inputs, options or {})
    within = f"{path}/" if path else ""
    if isinstance(operation, keras.Sequential):
        output = inputs[0]
        for layer in operation.layers:
            output = walk(layer, (output,), visit, path=within + layer.name)
        return output

    def opened(inner: Any) -> Callable[..., Any]:
        def call(*given: Any, **options: Any) -> Any:
            return walk(inner, given, visit, options=options, path=within + inner.name)

        return call

    # Keras' own walk over the graph is not public, but no public function lets one look between
    # the layers of a nested model. What Keras itself clones models with can be relied on.
    output = operation._run_through_graph(inputs[0], operation_fn=opened)
    return output[0] if isinstance(output, list | tuple) and len(output) == 1 else output


def _tensors(values: Any) -> list[Any]:
    return [value for value in keras.tree.flatten(values) if isinstance(value, keras.KerasTensor)]

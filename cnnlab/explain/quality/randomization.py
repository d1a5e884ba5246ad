"""The sanity check of heatmaps: with its weights randomized, does a network get the same map?

A map that stays as it was does not show what the network learned: it shows the picture.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from cnnlab.config import InputError, child_seed
from cnnlab.engine import keras
from cnnlab.explain import layers, targets
from cnnlab.explain.quality import faithfulness
from cnnlab.explain.targets import Target
from cnnlab.statistics import bootstrap

ALIKE = 0.5  # a mean correlation surely above it, with all weights randomized, is too much


def cascade(model: keras.Model, *, seed: int) -> Generator[str, None, None]:
    """Randomize the weights layer by layer, from the last to the first, and yield each path.

    Each array of weights is shuffled: mean and spread stay, so that nothing saturates, and what
    was learned is gone. The changes add up. The weights come back when the iteration ends, is
    left or fails; until then the model is not itself. Weights that a layer or a model made of
    layers holds itself follow those of what is in it, under its own path or name.

    Args:
        model: Any Keras model.
        seed: Decides the shuffling.

    Source:
        Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, section 3.1: cascading
        randomization. There the weights are drawn anew.
    """
    known = _weights(model)
    before = [(weight, weight.numpy()) for weights in known.values() for weight in weights]
    try:
        for path, weights in known.items():
            generator = np.random.default_rng(child_seed(seed, path))
            for weight in weights:
                values = weight.numpy()
                weight.assign(generator.permutation(values.ravel()).reshape(values.shape))
            yield path
    finally:
        for weight, values in before:
            weight.assign(values)


@contextmanager
def randomized(model: keras.Model, *, seed: int) -> Iterator[None]:
    """Randomize all weights of a model, as ``cascade`` does, until the block ends."""
    with closing(cascade(model, seed=seed)) as steps:
        for _ in _weights(model):
            next(steps)
        yield


def _weights(model: keras.Model) -> dict[str, list[keras.Variable]]:
    """Return all weights by path, from the last layer to the first, each where it is met first.

    What a layer or a model that is made of layers holds itself comes after what is in it.
    """
    found: dict[str, list[keras.Variable]] = {}
    met: set[int] = set()
    for path, layer in [
        *reversed(layers.paths(model, composite=True).items()),
        (model.name, model),
    ]:
        if own := [weight for weight in layer.weights if id(weight) not in met]:
            found.setdefault(path, []).extend(own)
            met |= {id(weight) for weight in own}
    return found


def landmarks(model: keras.Model) -> list[str]:
    """Return where to stop on the way down: the last layer, the last convolution and the first.

    Only layers with weights count; a model without convolutions has its first layer instead.
    """
    weighted = list(_weights(model))
    convolutions = [path for path in weighted if path in layers.convolutions(model)] or weighted
    return list(dict.fromkeys([weighted[0], convolutions[0], convolutions[-1]]))


def similarities(
    model: keras.Model,
    images: np.ndarray,
    methods: Mapping[str, Callable[..., np.ndarray]],
    *,
    seed: int,
    target: Target = None,
    down_to: Sequence[str] | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Return how much each method's maps stay as they were while the weights are randomized.

    Args:
        model: As for ``cam.grad_cam``; its weights are changed meanwhile and restored.
        images: As for ``cam.grad_cam``.
        methods: Name → method, called with the model, the images and ``target=``.
        seed: Decides the shuffling.
        target: As for ``cam.grad_cam``; by default what the whole model predicts.
        down_to: The layers at which maps are drawn, once the weights are randomized down to there;
            by default every one that has weights.

    Returns:
        Method → layer → float64 (N,), Spearman's rank correlation with the map before, from the
        top down; nan where one of the maps is flat. Near 1: the map ignores the weights.

    Raises:
        InputError: There is no such layer, or it has no weights.
    """
    classes, function = targets.settle(model, target, layers.image_batch(model, images))
    watched = function or classes
    known = _weights(model)
    if wrong := [path for path in down_to or () if path not in known]:
        raise InputError(f"No weights in {', '.join(wrong)}: expected some of {', '.join(known)}.")
    before = {name: method(model, images, target=watched) for name, method in methods.items()}
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in methods}
    with closing(cascade(model, seed=seed)) as steps:
        for path in steps:
            for name, method in methods.items() if down_to is None or path in down_to else ():
                after = method(model, images, target=watched)
                found[name][path] = rank_correlations(before[name], after)
    return found


def summary(found: Mapping[str, Mapping[str, np.ndarray]], *, seed: int) -> pd.DataFrame:
    """Return what ``similarities`` found as a table.

    Args:
        found: As from ``similarities``.
        seed: Decides the resamples of the images.

    Returns:
        A row per method and layer: method, down_to, images (whose maps are not flat), mean, low,
        high (95 %), and ignores_weights: whether ``low`` is above ``ALIKE``, None before the last
        layer and for fewer than ``faithfulness.ENOUGH`` images.
    """
    rows = []
    for method, reached in found.items():
        for path, values in reached.items():
            known = values[np.isfinite(values)]
            mean, low, high = bootstrap.percentile_intervals(known[None], seed=seed)[0]
            judged = path == list(reached)[-1] and len(known) >= faithfulness.ENOUGH
            row = {"method": method, "down_to": path, "images": len(known), "mean": mean}
            row |= {"low": low, "high": high}
            rows.append(row | {"ignores_weights": bool(low > ALIKE) if judged else None})
    return pd.DataFrame(rows).astype({"ignores_weights": object})


def rank_correlations(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each pair of maps: float (N, H, W) twice → float64 (N,).

    nan where one of the two is flat.
    """
    ranks = [rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (some, others)]
    one, other = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    spread = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.divide(
        (one * other).sum(axis=1), spread, out=np.full(len(one), np.nan), where=spread > 0
    )

"""The sanity check of heatmaps: with its weights scrambled, does a network still get the same map?

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

ALIKE = 0.5  # a mean correlation surely above it, with all weights scrambled, is too much


def cascade(model: keras.Model, *, seed: int) -> Generator[str, None, None]:
    """Scramble the weights layer by layer, from the last to the first, and yield each path.

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
def scrambled(model: keras.Model, *, seed: int) -> Iterator[None]:
    """Scramble all weights of a model, as ``cascade`` does, until the block ends."""
    with closing(cascade(model, seed=seed)) as stages:
        for _ in _weights(model):
            next(stages)
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


def similarities(
    model: keras.Model,
    images: np.ndarray,
    methods: Mapping[str, Callable[..., np.ndarray]],
    *,
    seed: int,
    target: Target = None,
    stages: Sequence[str] | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Return how much each method's maps stay as they were while the weights are scrambled.

    Args:
        model: As for ``cam.grad_cam``; its weights are changed meanwhile and restored.
        images: As for ``cam.grad_cam``.
        methods: Name → method, called with the model, the images and ``target=``.
        seed: Decides the shuffling.
        target: As for ``cam.grad_cam``; by default what the whole model predicts.
        stages: The layers down to which the weights are scrambled when maps are drawn; by
            default every one that has weights.

    Returns:
        Method → layer → float64 (N,), Spearman's rank correlation with the map before, from the
        top down; nan where one of the maps is flat. Near 1: the map ignores the weights.

    Raises:
        InputError: There is no such layer, or it has no weights.
    """
    classes, function = targets.settle(model, target, layers.image_batch(model, images))
    watched = function or classes
    known = _weights(model)
    if wrong := [stage for stage in stages or () if stage not in known]:
        raise InputError(f"No weights in {', '.join(wrong)}: expected some of {', '.join(known)}.")
    before = {name: method(model, images, target=watched) for name, method in methods.items()}
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in methods}
    with closing(cascade(model, seed=seed)) as steps:
        for path in steps:
            for name, method in methods.items() if stages is None or path in stages else ():
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
    for method, stages in found.items():
        for stage, values in stages.items():
            known = values[np.isfinite(values)]
            mean, low, high = faithfulness.limits(known[None], seed=seed)[0]
            judged = stage == list(stages)[-1] and len(known) >= faithfulness.ENOUGH
            row = {"method": method, "down_to": stage, "images": len(known), "mean": mean}
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

"""The stage ``probe``: a head fitted on the features of a network that is frozen.

The features of all images but the test set are computed once and kept, see ``cnnlab.features``.
Folds, subsets and seeds take their rows of them; where a recipe is a probe alone, nothing else of
the network is needed for any image but those of the test set.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cnnlab import models
from cnnlab.config import Settings, child_seed, home
from cnnlab.config.stages import PROBE
from cnnlab.data.batches import Dataset, evaluation_batches
from cnnlab.engine import keras, tf
from cnnlab.features import Head, check_classes, linear, open_features
from cnnlab.models.head import hidden, softmax
from cnnlab.training.balance import balanced_weights
from cnnlab.training.environment import origin
from cnnlab.training.fit import fit, predict
from cnnlab.training.recipe import Recipe, Stage

# Of a head with a hidden layer, which is trained by steps.
EPOCHS, BATCH_SIZE, RATE = 200, 64, 1e-3
LEAST_SPREAD = 1e-6  # standard deviation of a feature that counts as constant


def alone(settings: Settings) -> bool:
    """Return whether a probe is the whole recipe."""
    return settings.training.stages == PROBE


@dataclass(frozen=True, eq=False)
class Features:
    """The features of all images that are not of the test set.

    Attributes:
        views: float32 (n, K) each: of the images as they are, then of their augmented views.
        position: int64 (N,), of each row of the dataset among the n; -1 for test images.
    """

    views: tuple[np.ndarray, ...]
    position: np.ndarray

    def of(self, rows: np.ndarray) -> np.ndarray:
        """Return the features of images as they are, float32 (m, K)."""
        return self.views[0][self.position[rows]]

    def to_learn(self, rows: np.ndarray) -> np.ndarray:
        """Return those of the images and then of each augmented view: float32 (V·m, K)."""
        return np.concatenate([view[self.position[rows]] for view in self.views])


def features(
    model: keras.Model, dataset: Dataset, settings: Settings, *, progress: bool = False
) -> Features:
    """Return the features that a network gives of the images, computed or from the cache.

    Args:
        model: A network that pools globally.
        dataset: Prepared pixels; the test set may be sealed, it is not looked at.
        settings: ``feature_views``; augmentation and seed, which vary them.
        progress: Show a bar on standard output while computing.

    Raises:
        InputError: The network does not pool globally.
    """
    rows = np.flatnonzero(dataset.table["split"].to_numpy() != "test")
    position = np.full(len(dataset.table), -1)
    position[rows] = np.arange(len(rows))
    # Equal bits are promised for equal versions, devices and cores. The code may change: a network
    # is told by its layers and weights, the augmentation of a view only by its code.
    whole = origin()
    where = {name: value for name, value in whole.items() if name != "code"}
    body = models.body(model)
    views = tuple(
        open_features(
            body, dataset, rows, cache=home() / "data" / "features", view=view,
            augmentation=settings.augmentation, seed=settings.seed,
            origin=whole if view else where, progress=progress,
        )
        for view in range(1 + settings.training.feature_views)
    )  # fmt: skip
    return Features(views, position)


def fitter(
    dataset: Dataset,
    train: np.ndarray,
    validation: np.ndarray,
    settings: Settings,
    *,
    seed: int,
    progress: bool = False,
) -> Callable[[keras.Model], dict[str, float]]:
    """Return the ``probe`` of ``fit``: it gives a model its head and tells how good it is.

    Args:
        dataset: Prepared pixels and labels.
        train: int64 (N,), the images to learn from.
        validation: int64 (M,), the images that judge.
        settings: See ``fitted_head``.
        seed: See ``fitted_head``.
        progress: As for ``features``.
    """

    def probe(model: keras.Model) -> dict[str, float]:
        found = features(model, dataset, settings, progress=progress)
        head = fitted_head(found, dataset, train, validation, settings, seed=seed)
        for layer, weights in zip(models.head_layers(model), head.layers, strict=True):
            layer.set_weights(weights)
        counted = class_weights(dataset, train, settings)
        judged = _scores(head, found, dataset, validation)
        return _scores(head, found, dataset, train, counted) | {
            f"validation_{name}": value for name, value in judged.items()
        }

    return probe


def fitted_head(
    found: Features,
    dataset: Dataset,
    train: np.ndarray,
    validation: np.ndarray,
    settings: Settings,
    *,
    seed: int,
) -> Head:
    """Return the head that the settings ask for, fitted on features.

    Args:
        found: The features.
        dataset: Labels and units.
        train: int64 (N,), the images to learn from, with their augmented views.
        validation: int64 (M,), the images that stop the training of a hidden layer; a linear head
            does not look at them.
        settings: ``hidden_units`` and ``class_weight``; with a hidden layer also ``dropout`` and
            ``patience``.
        seed: Decides the parts of the cross-validation, or first weights, order and dropout.
    """
    train, times = np.sort(train), len(found.views)  # in whatever order: the same bits
    learned, labels = found.to_learn(train), np.tile(dataset.labels[train], times)
    weights = class_weights(dataset, train, settings)
    if settings.model.hidden_units:
        judging = (found.of(validation), dataset.labels[validation])
        return _with_hidden_layer((learned, labels), judging, weights, dataset, settings, seed)
    return linear(
        learned,
        labels,
        np.tile(dataset.units[train], times),
        len(dataset.class_names),
        seed=child_seed(seed, "strength"),
        class_weights=weights,
        plain=np.arange(len(labels)) < len(train),
    )


def class_weights(dataset: Dataset, train: np.ndarray, settings: Settings) -> np.ndarray | None:
    """Return the weights of the classes that the settings ask for, (C,); None: all count once."""
    if settings.training.class_weight != "balanced":
        return None
    return balanced_weights(dataset.labels[train], len(dataset.class_names))


def _scores(
    head: Head,
    found: Features,
    dataset: Dataset,
    rows: np.ndarray,
    weights: np.ndarray | None = None,
) -> dict[str, float]:
    """Return cross-entropy, weighted by class where there are weights, and accuracy."""
    labels, given = dataset.labels[rows], head.answers(found.of(rows))
    losses = -np.log(np.maximum(given[np.arange(len(rows)), labels], 1e-7))  # as Keras clips
    counted = losses if weights is None else losses * weights[labels]
    return {"loss": float(counted.mean()), "accuracy": float((given.argmax(1) == labels).mean())}


def answers(
    model: keras.Model, dataset: Dataset, rows: np.ndarray, settings: Settings
) -> np.ndarray:
    """Return what a network answers about some images: float32 (n, C).

    Where the recipe is a probe alone, the features come from the cache, but for test images: these
    always pass through the network itself.

    Args:
        model: Trained by the settings' recipe.
        dataset: Prepared pixels.
        rows: int64 (n,); those of a sealed test set are refused.
        settings: Recipe and batch size.
    """
    dataset.check(rows)
    tested = (dataset.table["split"].to_numpy()[rows] == "test").any()
    if tested or not len(rows) or not alone(settings):
        size = settings.training.batch_size
        return predict(model, evaluation_batches(dataset, rows, batch_size=size))
    layers = models.head_layers(model)
    head = Head(tuple((each.get_weights()[0], each.get_weights()[1]) for each in layers))
    return head.answers(features(model, dataset, settings.replace(feature_views=0)).of(rows))


def _with_hidden_layer(
    learned: tuple[np.ndarray, np.ndarray],
    judging: tuple[np.ndarray, np.ndarray],
    weights: np.ndarray | None,
    dataset: Dataset,
    settings: Settings,
    seed: int,
) -> Head:
    """Return a head with one hidden layer, trained on standardised features."""
    classes = len(dataset.class_names)
    check_classes(learned[1], classes)
    mean = learned[0].mean(axis=0, dtype=np.float64)
    spread = learned[0].std(axis=0, dtype=np.float64)
    spread = np.where(spread < LEAST_SPREAD, 1.0, spread)
    one_hot = np.eye(classes, dtype=np.float32)

    def tensors(given: tuple[np.ndarray, np.ndarray]) -> tuple[tf.Tensor, tf.Tensor]:
        rows = ((given[0] - mean) / spread).astype(np.float32)
        return tf.constant(rows), tf.constant(one_hot[given[1]])

    def batches(given: tuple[tf.Tensor, tf.Tensor], order: np.ndarray) -> tf.data.Dataset:
        chosen = tf.data.Dataset.from_tensor_slices(order).batch(BATCH_SIZE)
        return chosen.map(lambda rows: (tf.gather(given[0], rows), tf.gather(given[1], rows)))

    training, validation = tensors(learned), tensors(judging)

    def epoch_batches(epoch: int) -> tf.data.Dataset:
        generator = np.random.default_rng(child_seed(seed, f"order/{epoch}"))
        return batches(training, generator.permutation(len(learned[1])))

    root = child_seed(seed, "init")
    inputs = keras.Input((learned[0].shape[1],), name="features")
    x = keras.layers.Dropout(settings.model.dropout, seed=child_seed(root, "dropout"))(inputs)
    outputs = softmax(hidden(x, settings.model.hidden_units, root), classes, root)
    network = keras.Model(inputs, outputs)
    recipe = Recipe((Stage(EPOCHS, learning_rate=RATE),), settings.training.patience)
    fit(
        network, epoch_batches, batches(validation, np.arange(len(judging[1]))), recipe,
        seed=seed, class_weights=weights,
    )  # fmt: skip
    kernel, bias, *last = network.get_weights()
    folded = kernel / spread[:, None]
    first = (folded.astype(np.float32), (bias - mean @ folded).astype(np.float32))
    return Head((first, (last[0], last[1])))

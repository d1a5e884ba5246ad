"""Images as the network's last layer sees them: vectors, a map of them, and who is near whom."""

import numpy as np
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from cnnlab.config import InputError
from cnnlab.engine import keras, tf
from cnnlab.explain import execution, layers, maps, targets
from cnnlab.explain.execution import Call
from cnnlab.explain.traced import trace

COMPONENTS = 30  # principal ones that t-SNE starts from


def embed(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Return what enters the layer that gives the answer.

    Args:
        model: A model that ends in a dense layer, or in a convolution of a single place, with
            softmax or sigmoid in it, behind it or left out.
        images: uint8 or float32 (N, H, W, 3), RGB, 0…255.

    Returns:
        float32 (N, F).

    Raises:
        InputError: The images do not fit, or the model ends otherwise.
    """
    images = layers.image_batch(model, images)
    signature = targets.signature(images)[:1]
    run = trace(model, None, ("embed", images.shape[1:]), _embedded, signature)
    if not len(images):  # the engine's kernels want something to work on
        return run(np.zeros((1, *images.shape[1:]), np.float32)).numpy()[:0]
    return np.concatenate([run(images[rows]) for rows in maps.batches(len(images))])


def _embedded(model: keras.Model, function: None, images: tf.Tensor) -> tf.Tensor:
    """Return the vectors (b, F): ops, to be traced."""
    calls: list[Call] = []
    output = execution.run(model, images, calls.append)
    final = targets.deciding_call(output, calls) if tf.is_tensor(output) else None
    while final and isinstance(final.operation, keras.layers.Flatten | keras.layers.Reshape):
        final = targets.last_call(final.inputs[0], calls)
    if final is None or not _decides(final):
        ending = "no single layer"
        if final is not None:
            ending = f"{final.operation.name!r} ({type(final.operation).__name__})"
        raise InputError(
            f"Model {model.name!r} ends in {ending}: expected a dense layer or a convolution of a "
            "single place, perhaps with softmax or sigmoid behind it. features.activations gives "
            "what any other layer holds."
        )
    vectors = final.inputs[0]
    return tf.cast(tf.reshape(vectors, (tf.shape(vectors)[0], -1)), tf.float32)


def _decides(call: Call) -> bool:
    """Return whether each output is one weighted sum of all that enters."""
    if isinstance(call.operation, keras.layers.Dense):
        return True
    single = tuple(call.inputs[0].shape[1:3]) == (1, 1)
    return isinstance(call.operation, keras.layers.Conv2D) and single


def project(vectors: np.ndarray, *, seed: int, perplexity: float = 30.0) -> np.ndarray:
    """Return a flat map of vectors by t-SNE, begun from their principal components.

    Neighbours stay neighbours; distances between groups and their sizes mean nothing.

    Args:
        vectors: float (N, F), N at least 4.
        seed: Decides what is left to chance: the same map each time on one machine.
        perplexity: About how many neighbours count; fewer where there are few vectors.

    Returns:
        float64 (N, 2).

    Raises:
        InputError: There are too few vectors.

    Source:
        Van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008.
    """
    count = len(vectors)
    if count < 4:
        raise InputError(f"{count} vectors: expected at least 4 for a map.")
    components = min(COMPONENTS, count - 1, vectors.shape[1])
    with threadpool_limits(1):
        centred = np.asarray(vectors, np.float64) - np.mean(vectors, axis=0, dtype=np.float64)
        left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
        reduced = (left * sizes)[:, :components]
        reduced /= max(reduced.std(axis=0).max(), 1e-12)
        near = min(perplexity, (count - 1) / 3)
        start = np.zeros((count, 2))
        start[:, : min(2, components)] = 1e-4 * reduced[:, :2]
        found = TSNE(perplexity=near, init=start, random_state=seed).fit_transform(reduced)
    return found.astype(np.float64)


def neighbours(vectors: np.ndarray, queries: np.ndarray, count: int) -> np.ndarray:
    """Return the nearest others by the angle between vectors, nearest first.

    Args:
        vectors: float (N, F).
        queries: int (Q,), rows of ``vectors``; none is its own neighbour.
        count: How many, below N.

    Returns:
        int64 (Q, count), rows of ``vectors``.

    Raises:
        InputError: There are not so many others.
    """
    if not 0 < count < len(vectors):
        raise InputError(
            f"{count} neighbours among {len(vectors)} vectors: expected 1 to {len(vectors) - 1}."
        )
    vectors = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    units = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    likeness = units[queries] @ units.T
    likeness[np.arange(len(likeness)), queries] = -np.inf
    return np.argsort(-likeness, axis=1, kind="stable")[:, :count]

"""ROAD: pixels are removed by a guess from their neighbours, which leaves no outline behind.

A pixel replaced by grey or blur tells the network that something was there, and of what shape.
"""

from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain import maps, targets
from cnnlab.explain.quality import deletion
from cnnlab.explain.targets import Target

FRACTIONS = (0.1, 0.3, 0.5)
NOISE = 2.55  # standard deviation, on the scale 0…255: a hundredth of the range
_BESIDE, _ACROSS = 1 / 6, 1 / 12  # weights of the four direct and the four diagonal neighbours


def margins(
    model: keras.Model,
    images: np.ndarray,
    heatmaps: np.ndarray,
    *,
    target: Target = None,
    fractions: tuple[float, ...] = FRACTIONS,
    seed: int = 0,
) -> np.ndarray:
    """Return how much more the most relevant pixels matter than the least relevant ones.

    The answer without the least relevant pixels minus the answer without the most relevant ones,
    averaged over the fractions of pixels removed. Arguments and errors are those of
    ``deletion.curves``; each fraction lies between 0 and 1. The seed decides the noise as well.

    Returns:
        float64 (N,), in −1…1 where the answer is a probability; about 0 for a map that is chance.
        An image's number is the same alone and in company.

    Source:
        Rong et al., "A Consistent and Efficient Evaluation Strategy for Attribution Methods",
        ICML 2022: most and least relevant first, with noisy linear imputation. There the accuracy
        is reported for each order; the difference of the two is ours, and it is of probabilities,
        so that every image has its own number.
    """
    if not fractions or not all(0 < fraction < 1 for fraction in fractions):
        raise InputError(f"Fractions {fractions}: expected some between 0 and 1.")
    images, order = deletion.checked(model, images, heatmaps, seed)
    classes, function = targets.settle(model, target, images)
    size, found = order[:1].size, np.zeros(len(images))
    for rows in maps.batches(len(images)):
        watched = function or classes[rows]
        for fraction in fractions:
            count = max(1, round(fraction * size))
            most = imputed(images[rows], order[rows] < count, seed=seed)
            least = imputed(images[rows], order[rows] >= size - count, seed=seed)
            gap = deletion.answers(model, least, watched) - deletion.answers(model, most, watched)
            found[rows] += gap / len(fractions)
    return found


def imputed(
    images: np.ndarray, removed: np.ndarray, *, seed: int, noise: float = NOISE
) -> np.ndarray:
    """Return images whose removed pixels are guessed from the others.

    Every removed pixel is the weighted mean of its eight neighbours, themselves removed or not:
    x(i, j) = 1/6 of each pixel beside it + 1/12 of each one across. That is one sparse linear
    system an image, the same for all colours. At the border the weights that remain are
    scaled to sum to one. Noise hides that the guess is smooth.

    Args:
        images: (N, H, W, C), 0…255.
        removed: bool (N, H, W); in each image at least one pixel stays.
        seed: Decides the noise, for each image by itself.
        noise: Standard deviation of the noise, 0…255.

    Returns:
        float32 (N, H, W, C), 0…255; pixels not removed are as they were.

    Raises:
        InputError: Nothing of an image would stay, or there is not a bool for every pixel.

    Source:
        Rong et al. 2022 (see ``margins``): noisy linear imputation, its weights and its system.
    """
    # In C order, so that an image's pixels are a view of it and not a copy.
    result, removed = np.array(images, np.float32, order="C"), np.asarray(removed)
    if removed.dtype != bool or result.ndim != 4 or removed.shape != result.shape[:3]:
        raise InputError(
            f"Pixels removed are {removed.dtype} {removed.shape} for images {result.shape}: "
            "expected bool (N, H, W) for (N, H, W, C)."
        )
    if np.all(removed, axis=(1, 2)).any():
        raise InputError("All pixels of an image are removed: expected at least one that stays.")
    weights = _neighbours(*removed.shape[1:])
    for image, plane in zip(result, removed, strict=True):
        if not plane.any():
            continue
        generator = deletion.generator(seed, "noise", image)  # before the image is changed
        gone, pixels = plane.ravel(), image.reshape(plane.size, -1)
        to_gone = weights[gone]
        sums = sparse.diags_array(np.asarray(to_gone.sum(axis=1)).ravel())
        system = (sums - to_gone[:, gone]).tocsc()
        given = to_gone[:, ~gone] @ pixels[~gone].astype(np.float64)
        # Symmetric and diagonally dominant: no pivoting, and an ordering made for that.
        solver = splu(system, "MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True})
        guess = solver.solve(given) + generator.normal(0, noise, given.shape)
        pixels[gone] = np.clip(guess, 0, 255)
    return result


@lru_cache(maxsize=4)
def _neighbours(height: int, width: int) -> sparse.csr_array:
    """Return the weights between pixels, row by row: sparse (H·W, H·W)."""

    def shifts(length: int) -> tuple[sparse.csr_array, sparse.csr_array]:
        one = np.ones(length - 1)
        beside = sparse.diags_array([one, one], offsets=[-1, 1], shape=(length, length))
        return beside.tocsr(), sparse.eye_array(length).tocsr()

    (up, same_row), (left, same_column) = shifts(height), shifts(width)
    beside = sparse.kron(up, same_column) + sparse.kron(same_row, left)
    return (_BESIDE * beside + _ACROSS * sparse.kron(up, left)).tocsr()

"""Two pictures laid on each other: the shift, scale and turn that make one fit the other.

Source: Lucas and Kanade, "An Iterative Image Registration Technique with an Application to Stereo
Vision", 1981; here with a similarity, a gain and an offset.
"""

import numpy as np

SIDE = 32  # pixels a side of blurred pictures, which are aligned
STEPS = 4  # of Gauss and Newton; from a pixel away, three are enough
LIMITS = np.array([2.0, 2.0, 0.08, 0.06])  # pixels right and down, scale, radians
STEP_LIMITS = np.array([1.5, 1.5, 0.05, 0.05])
STILL = np.array([0.03, 0.03, 0.002, 0.002])  # a step that moves nothing
MIN_GAIN = 0.3
WORTH = 0.3  # of the squared difference that the first step must promise to take away

_Y, _X = (each.astype(np.float32) - (SIDE - 1) / 2 for each in np.mgrid[:SIDE, :SIDE])


def blurred(pictures: np.ndarray) -> np.ndarray:
    """Return pictures at half their size, blurred by (1, 2, 1) / 4: float32 (N, SIDE, SIDE, 3).

    Args:
        pictures: float32 (N, 2 SIDE, 2 SIDE, 3).
    """
    rows = pictures[:, ::2] + pictures[:, 1::2]
    half = rows[:, :, ::2] + rows[:, :, 1::2]
    for axis in (1, 2):
        padding = [(0, 0)] * 4
        padding[axis] = (1, 1)
        padded = np.moveaxis(np.pad(half, padding, "edge"), axis, 0)
        half = np.moveaxis(padded[:-2] + 2 * padded[1:-1] + padded[2:], 0, axis)
    return np.ascontiguousarray(half) / np.float32(64)


def align(pictures: np.ndarray, moved: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move each of ``moved`` so that it fits its picture.

    Args:
        pictures: float32 (N, SIDE, SIDE, 3).
        moved: The same shape.

    Returns:
        ``moved`` as it fits, the same shape; float32 (N, SIDE, SIDE), 1 where it has pixels and
        0 where these would lie beyond its edge; bool (N,), False where nothing within ``LIMITS``
        fits.
    """
    grey, other = (each[..., 0] + each[..., 1] + each[..., 2] for each in (pictures, moved))
    places = np.zeros((len(pictures), 4))
    going = np.arange(len(pictures))
    found = np.ones(len(pictures), bool)
    for number in range(STEPS):
        step, gain, promised = _step(grey[going], other[going], places[going])
        if number == 0:  # what differs for another reason stays where it is
            worth = promised >= WORTH
            going, step, gain = going[worth], step[worth], gain[worth]
        step = np.clip(step, -STEP_LIMITS, STEP_LIMITS)
        places[going] += step
        found[going] = (gain >= MIN_GAIN) & (np.abs(places[going]) <= LIMITS).all(axis=1)
        going = going[found[going] & (np.abs(step) > STILL).any(axis=1)]
        if not len(going):
            break
    result, inside = moved.copy(), np.ones(grey.shape, np.float32)
    turned = found & (np.abs(places) > STILL).any(axis=1)
    if turned.any():
        result[turned], inside[turned] = _warp(moved[turned], places[turned])
    return result, inside, found


def _step(
    grey: np.ndarray, other: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a step of Gauss and Newton towards the fit, (N, 4), the gain, (N,), and a share, (N,).

    The share is what the step takes away of the squared difference that light alone leaves.
    """
    if places.any():
        warped, inside = _warp(other[..., None], places)
        warped = warped[..., 0]
    else:
        warped, inside = other, np.ones(grey.shape, np.float32)
    warped = warped - warped.mean(axis=(1, 2), keepdims=True)
    down, right = np.gradient(warped, axis=(1, 2))
    columns = np.stack(
        [warped, np.ones_like(warped), right, down, right * _X + down * _Y, down * _X - right * _Y],
        axis=1,
    ) * inside[:, None]  # fmt: skip
    columns = columns.reshape(len(grey), 6, -1)
    target = (grey - grey.mean(axis=(1, 2), keepdims=True)) * inside
    target = target.reshape(len(grey), -1, 1)
    normal = (columns @ columns.transpose(0, 2, 1)).astype(np.float64)
    normal += (1e-6 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-9) * np.eye(6)
    wanted = (columns @ target).astype(np.float64)
    fit = np.linalg.solve(normal, wanted)[:, :, 0]
    light = np.linalg.solve(normal[:, :2, :2], wanted[:, :2])[:, :, 0]
    total = np.square(target).sum(axis=(1, 2))
    after = total - (fit * wanted[:, :, 0]).sum(axis=1)
    before = total - (light * wanted[:, :2, 0]).sum(axis=1)
    gain = fit[:, 0]
    step = fit[:, 2:] / np.where(gain >= MIN_GAIN, gain, 1)[:, None]
    return step, gain, 1 - after / np.maximum(before, 1e-9)


def _warp(pictures: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures, float32 (N, SIDE, SIDE, C), moved (bilinear), and where they have pixels."""
    right, down, scale, turn = places.astype(np.float32).T[:, :, None, None]
    x = (SIDE - 1) / 2 + _X + right + scale * _X - turn * _Y
    y = (SIDE - 1) / 2 + _Y + down + scale * _Y + turn * _X
    inside = ((x >= 0) & (x <= SIDE - 1) & (y >= 0) & (y <= SIDE - 1)).astype(np.float32)
    x, y = x.clip(0, SIDE - 1), y.clip(0, SIDE - 1)
    left, top = (np.minimum(each.astype(np.int64), SIDE - 2) for each in (x, y))
    u, v = (x - left)[..., None], (y - top)[..., None]
    flat = pictures.reshape(-1, pictures.shape[3])
    start = np.arange(len(pictures))[:, None, None] * SIDE * SIDE + top * SIDE + left
    upper = flat[start] * (1 - u) + flat[start + 1] * u
    lower = flat[start + SIDE] * (1 - u) + flat[start + SIDE + 1] * u
    return upper * (1 - v) + lower * v, inside

"""Pictures of shapes that are no class: what does a network say to what it never saw?

They are for measuring only and part of no dataset. Ground, clutter, colours, camera and file
format are those of the generated dataset; nothing but the outline of the target is new.
"""

import numpy as np

from cnnlab.config import child_seed
from cnnlab.data.synthetic import faults, scenes
from cnnlab.data.synthetic.scenes import Outline, Outlines


def _arrow(variation: float) -> Outline:
    shaft, neck = 0.2 + 0.08 * variation, 0.1
    right = np.array([(0.0, -1.0), (0.72, neck), (shaft, neck), (shaft, 1.0)])
    return np.concatenate([right, right[:0:-1] * [-1, 1]])


def _crescent(variation: float) -> Outline:
    angles = np.linspace(np.pi / 2, 3 * np.pi / 2, 48)
    outer = np.stack([np.cos(angles), np.sin(angles)], 1)
    inner = outer[-2:0:-1] * [0.2 + 0.2 * variation, 1]
    return np.array([0.6, 0]) + np.concatenate([outer, inner])


def _heart(variation: float) -> Outline:
    t = np.linspace(0, 2 * np.pi, 72, endpoint=False)
    lobes = (4 + 2 * variation) * np.cos(2 * t) + 2 * np.cos(3 * t) + np.cos(4 * t)
    return np.stack([16 * np.sin(t) ** 3, lobes - 13 * np.cos(t) - 2.5], 1) / 16


OUTLINES: Outlines = {"arrow": _arrow, "crescent": _crescent, "heart": _heart}


def pictures(count: int, *, seed: int) -> list[tuple[str, bytes]]:
    """Return what each picture shows, a name in ``OUTLINES``, and the bytes of its JPEG file.

    The same arguments give the same bytes. Each picture depends on (seed, its place) only, so more
    of them begin with the fewer.

    Args:
        count: How many; the outlines take turns.
        seed: Root seed.

    Example:
        >>> [name for name, _ in pictures(4, seed=0)]
        ['arrow', 'crescent', 'heart', 'arrow']
    """
    names = [list(OUTLINES)[index % len(OUTLINES)] for index in range(count)]
    return [(name, _file(name, index, seed)) for index, name in enumerate(names)]


def _file(name: str, index: int, seed: int) -> bytes:
    """Return the JPEG file of one picture, of a quality as in the dataset."""
    rng = np.random.default_rng(child_seed(seed, f"unseen/{index}"))
    picture = scenes.draw(name, rng, OUTLINES).picture
    return faults.encoded(picture, ".jpg", int(rng.integers(75, 96)))[0]

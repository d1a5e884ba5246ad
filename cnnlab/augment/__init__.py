"""Random transforms of training images: a list of ops, each with one draw and one action.

An op is one object in one module (``affine``, ``colour``, ``erasing``) and one entry of
``registry.OPS``. From there it can be named in the settings, has its own stream of random numbers,
is checked against its range, drawn in notebook 02 and described on the model card.

A draw depends on (seed, epoch, image index, op) and on nothing else: not on the order of the
images, the batch they travel in, the thread that runs, or which other ops are named.
"""

from cnnlab.augment.draws import Draw, draw, sweep
from cnnlab.augment.op import Affine, Op, Pixel
from cnnlab.augment.registry import OPS, described, strengths
from cnnlab.augment.render import affine_map, apply, resample, transform

__all__ = [
    "OPS",
    "Affine",
    "Draw",
    "Op",
    "Pixel",
    "affine_map",
    "apply",
    "described",
    "draw",
    "resample",
    "strengths",
    "sweep",
    "transform",
]

"""Every method by its name, ``METHODS[name](model, images, target=…)``, and which fit a network."""

from collections.abc import Callable

import numpy as np

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.methods import cam, integrated_gradients, occlusion, pooled, score_cam

Method = Callable[..., np.ndarray]

METHODS: dict[str, Method] = {
    "CAM": pooled.class_activation,  # only for networks that pool and have one dense layer
    "Grad-CAM": cam.grad_cam,
    "Grad-CAM++": cam.grad_cam_plus_plus,
    "HiResCAM": cam.hires_cam,
    "LayerCAM": cam.layer_cam,
    "Score-CAM": score_cam.score_cam,
    "Eigen-CAM": cam.eigen_cam,
    "occlusion": occlusion.occlusion,
    "integrated gradients": integrated_gradients.integrated_gradients,
}
# The last two explain pixels and take no layer; Eigen-CAM looks at no class.


def fitting(model: keras.Model) -> tuple[dict[str, Method], dict[str, str]]:
    """Return the methods that fit a network, and for each of the others a sentence why not.

    CAM is the only one that asks for a kind of network. It is tried on a black image.

    Args:
        model: As for ``cam.grad_cam``; its image size may be open.
    """
    images = np.zeros((1, *(side or 32 for side in model.input_shape[1:])), np.uint8)
    try:
        METHODS["CAM"](model, images)
    except InputError as error:
        fits = {name: method for name, method in METHODS.items() if name != "CAM"}
        return fits, {"CAM": str(error)}
    return dict(METHODS), {}

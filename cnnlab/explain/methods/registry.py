"""Every method by its name: ``METHODS[name](model, images, target=…)`` gives heatmaps."""

from collections.abc import Callable

import numpy as np

from cnnlab.explain.methods import cam, integrated_gradients, occlusion, pooled, score_cam

METHODS: dict[str, Callable[..., np.ndarray]] = {
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
# The references explain pixels and take no layer; Eigen-CAM looks at no class.

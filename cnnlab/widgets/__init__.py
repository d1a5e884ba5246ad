"""The prediction app: choose or drop pictures, see classes, evidence and earlier results."""

from cnnlab.widgets.app import PredictionApp
from cnnlab.widgets.heatmaps import explainers

__all__ = ["PredictionApp", "explainers"]

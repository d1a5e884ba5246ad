"""The prediction app: choose or drop pictures, see answers, evidence and what was asked before."""

from cnnlab.widgets.app import PredictionApp
from cnnlab.widgets.heatmaps import explainers

__all__ = ["PredictionApp", "explainers"]

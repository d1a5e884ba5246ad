"""The experiment: from a dataset and settings to a tested classifier, once or over several seeds.

``fit_classifier`` trains, calibrates and fits both rules; ``evaluate`` measures on the opened test
set; ``fit_seeds`` trains again with other seeds. Notebooks show the parts of what these return.
"""

from cnnlab.experiment.classifier import Classifier, load
from cnnlab.experiment.pipeline import Test, Validation, evaluate, fit_classifier
from cnnlab.experiment.predictions import Predictions, predict
from cnnlab.experiment.seeds import SeedFailed, fit_seeds

__all__ = [
    "Classifier",
    "Predictions",
    "SeedFailed",
    "Test",
    "Validation",
    "evaluate",
    "fit_classifier",
    "fit_seeds",
    "load",
    "predict",
]

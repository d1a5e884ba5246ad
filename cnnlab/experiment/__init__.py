"""The experiment: from a dataset and settings to a tested classifier, once or over several seeds.

``fit_classifier`` trains, calibrates and fits both rules; ``evaluate`` measures on the opened test
set; ``fit_seeds`` trains again with other seeds. Notebooks show the parts of what these return.
"""

from cnnlab.experiment import feasible
from cnnlab.experiment.classifier import Classifier, Validation, load
from cnnlab.experiment.pipeline import Test, calibrate, evaluate, fit_classifier, validate
from cnnlab.experiment.predictions import Predictions, predict
from cnnlab.experiment.seeds import fit_seeds

__all__ = [
    "Classifier",
    "Predictions",
    "Test",
    "Validation",
    "calibrate",
    "evaluate",
    "feasible",
    "fit_classifier",
    "fit_seeds",
    "load",
    "predict",
    "validate",
]

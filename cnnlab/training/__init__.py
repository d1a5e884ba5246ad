"""Training: one function fits a network; the protocol calls it, once or fold by fold.

``from cnnlab.training import fit`` gives the function; its module is ``cnnlab.training.fit``.
"""

from cnnlab.training.fit import Diverged, EarlyStopping, Fit, fit, predict, print_progress
from cnnlab.training.folds import fold_runner
from cnnlab.training.protocol import new_model, train

__all__ = [
    "Diverged",
    "EarlyStopping",
    "Fit",
    "fit",
    "fold_runner",
    "new_model",
    "predict",
    "print_progress",
    "train",
]

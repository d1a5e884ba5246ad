"""Training: one function fits a network, one file keeps its best weights.

``from cnnlab.training import fit`` gives the function; its module is ``cnnlab.training.fit``.
"""

from cnnlab.training.fit import Diverged, EarlyStopping, Fit, fit, predict, print_progress

__all__ = ["Diverged", "EarlyStopping", "Fit", "fit", "predict", "print_progress"]

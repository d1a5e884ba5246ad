"""Training: one function fits a network by a recipe; it is called once, or fold by fold.

``from cnnlab.training import fit`` gives the function; its module is ``cnnlab.training.fit``.
"""

from cnnlab.models import weights_digest
from cnnlab.training import checkpoint, schedules
from cnnlab.training.balance import balanced_weights, imbalance
from cnnlab.training.divergence import Diverged
from cnnlab.training.executor import TrainingFailed
from cnnlab.training.fit import Fit, fit, predict
from cnnlab.training.folds import fold_runner
from cnnlab.training.linear_baseline import linear_runner
from cnnlab.training.lr_range_test import find_rate
from cnnlab.training.probe import answers
from cnnlab.training.progress import Watch, print_progress
from cnnlab.training.recipe import Recipe, Stage, described
from cnnlab.training.stopping import EarlyStopping
from cnnlab.training.subsets import subset_runner
from cnnlab.training.trainer import epoch_batches, new_model, range_test, train

__all__ = [
    "Diverged",
    "EarlyStopping",
    "Fit",
    "Recipe",
    "Stage",
    "TrainingFailed",
    "Watch",
    "answers",
    "balanced_weights",
    "checkpoint",
    "described",
    "epoch_batches",
    "find_rate",
    "fit",
    "fold_runner",
    "imbalance",
    "linear_runner",
    "new_model",
    "predict",
    "print_progress",
    "range_test",
    "schedules",
    "subset_runner",
    "train",
    "weights_digest",
]

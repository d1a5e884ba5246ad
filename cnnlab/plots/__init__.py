"""Every figure of the laboratory: arrays and tables in, a matplotlib ``Figure`` out.

``style`` is the shared look; ``data``, ``images``, ``training``, ``evaluation``, ``errors``,
``uncertainty``, ``explain``, ``faithfulness``, ``features`` and ``serving`` hold the pictures of
one subject each. Nothing here computes a result or imports another room.
"""

from cnnlab.plots.curves import precision_recall_curves, reliability_diagram, roc_curves
from cnnlab.plots.data import class_balance, class_means, draw_histograms, size_scatter
from cnnlab.plots.errors import confused_pairs, slice_scores
from cnnlab.plots.evaluation import (
    calibration_by_class,
    confusion_matrix,
    per_class_scores,
    probability_bars,
)
from cnnlab.plots.explain import activation_grid, cam_grid, filter_grid, heatmap_overlay
from cnnlab.plots.faithfulness import baseline_gaps, vanishing_curves
from cnnlab.plots.features import depth_profile, embedding_map, patch_mosaics, picture_rows
from cnnlab.plots.images import augmentation_grid, fits, image_grid, image_pairs
from cnnlab.plots.serving import load_curves
from cnnlab.plots.training import (
    fold_scores,
    learning_curve,
    learning_rates,
    paired_folds,
    rate_test,
    strengths,
    training_history,
)
from cnnlab.plots.uncertainty import novelty_scores, set_sizes

__all__ = [
    "activation_grid",
    "augmentation_grid",
    "baseline_gaps",
    "calibration_by_class",
    "cam_grid",
    "class_balance",
    "class_means",
    "confused_pairs",
    "confusion_matrix",
    "depth_profile",
    "draw_histograms",
    "embedding_map",
    "filter_grid",
    "fits",
    "fold_scores",
    "heatmap_overlay",
    "image_grid",
    "image_pairs",
    "learning_curve",
    "learning_rates",
    "load_curves",
    "novelty_scores",
    "paired_folds",
    "patch_mosaics",
    "per_class_scores",
    "picture_rows",
    "precision_recall_curves",
    "probability_bars",
    "rate_test",
    "reliability_diagram",
    "roc_curves",
    "set_sizes",
    "size_scatter",
    "slice_scores",
    "strengths",
    "training_history",
    "vanishing_curves",
]

"""Features of a frozen network: computed once for each image, and heads that are fitted on them."""

from cnnlab.features.heads import Head, check_classes, linear
from cnnlab.features.store import open_features

__all__ = ["Head", "check_classes", "linear", "open_features"]

"""Where data and reports live."""

import os
from pathlib import Path


def home() -> Path:
    """Return the folder that holds ``data/`` and ``reports/``: ``$CNNLAB_HOME`` or the checkout."""
    chosen = os.environ.get("CNNLAB_HOME")
    return Path(chosen).resolve() if chosen else Path(__file__).resolve().parents[2]

"""Where data and reports live."""

import os
from pathlib import Path

from cnnlab.config.errors import InputError


def home() -> Path:
    """Return the folder that holds ``data/`` and ``reports/``: ``$CNNLAB_HOME`` or the checkout.

    Raises:
        InputError: ``CNNLAB_HOME`` names no folder, nor a new one in a folder that exists.
    """
    chosen = os.environ.get("CNNLAB_HOME")
    if not chosen:
        return Path(__file__).resolve().parents[2]
    folder = Path(os.path.realpath(os.path.expanduser(chosen)))
    if not chosen.strip() or not (os.path.isdir(folder) or _may_be_made(folder)):
        raise InputError(
            f"CNNLAB_HOME={chosen[:200]!r} is no folder: expected one that exists, or a new name "
            "in one that does; without CNNLAB_HOME, data and reports stand in the checkout."
        )
    return folder


def _may_be_made(folder: Path) -> bool:
    return (
        os.path.isdir(folder.parent)
        and len(os.fsencode(folder.name)) < 256
        and not (os.path.lexists(folder))
    )

"""Runs: the folder that a run fills, and the notebooks that fill it.

What is named here is imported when it is asked for: a command that refuses a wrong name at once
needs ``cnnlab.runs.names`` and none of the packages behind the others.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cnnlab.runs import exposure, forecasts, results
    from cnnlab.runs.folder import Run
    from cnnlab.runs.opening import open_run
    from cnnlab.runs.progress import live_line
    from cnnlab.runs.sealing import seal_manifest, seal_split

__all__ = [
    "Run",
    "exposure",
    "forecasts",
    "live_line",
    "open_run",
    "results",
    "seal_manifest",
    "seal_split",
]

_MODULES = {
    "Run": "folder",
    "live_line": "progress",
    "open_run": "opening",
    "seal_manifest": "sealing",
    "seal_split": "sealing",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_MODULES.get(name, name)}")
    return getattr(module, name) if name in _MODULES else module

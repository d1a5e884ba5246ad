"""Settings in sections, the profiles, child seeds, and the error that users see.

A run is fully described by its ``Settings``; they are written to ``run.json`` and read back
unchanged. A profile is a starting point; ``key=value`` overrides are applied on top.
"""

from cnnlab.config.errors import InputError
from cnnlab.config.home import home as home
from cnnlab.config.profiles import PROFILES, changes, make_settings
from cnnlab.config.seeds import child_seed, parsed_seeds
from cnnlab.config.settings import (
    Settings,
    from_dict,
    may_change,
    parsed,
    renamed,
    to_dict,
    upgraded,
    value_of,
)

__all__ = [
    "PROFILES",
    "InputError",
    "Settings",
    "changes",
    "child_seed",
    "from_dict",
    "home",
    "make_settings",
    "may_change",
    "parsed",
    "parsed_seeds",
    "renamed",
    "to_dict",
    "upgraded",
    "value_of",
]

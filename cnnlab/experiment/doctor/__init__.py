"""Looked at before training: is the network new and sane, are the pixels, will it fit the machine?

``diagnose`` costs little and runs at the head of notebook 03; ``memorises`` and a longer range test
are for the command. Nothing here changes what is trained afterwards: networks are copied, and every
random number has a seed of its own.
"""

from cnnlab.experiment.doctor.check import Check
from cnnlab.experiment.doctor.costs import (
    Actual,
    Forecast,
    checks,
    compared,
    forecast,
    trial_steps,
)
from cnnlab.experiment.doctor.diagnosis import Diagnosis, diagnose, table
from cnnlab.experiment.doctor.memory_test import memorises

__all__ = [
    "Actual",
    "Check",
    "Diagnosis",
    "Forecast",
    "checks",
    "compared",
    "diagnose",
    "forecast",
    "memorises",
    "table",
    "trial_steps",
]

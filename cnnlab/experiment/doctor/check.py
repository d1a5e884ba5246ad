"""One thing the doctor looked at."""

from dataclasses import dataclass

from cnnlab.records import Record


@dataclass(frozen=True)
class Check(Record):
    """What was looked at, what came and what was expected, in words.

    Attributes:
        name: What was looked at.
        found: What came.
        expected: What a sound training has.
        warning: What is odd, and its cure; "" where nothing is.
    """

    name: str
    found: str
    expected: str
    warning: str = ""

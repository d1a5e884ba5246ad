"""Groups that the names of files suggest: a number for the group, and a counter in it.

``patient07_003.png`` or ``IMG_2031-burst2.jpg``: what stands before the counter is shared by the
frames of a patient or a burst. Most names with two numbers are no such thing (a date and a time, a
class and an id), so a pattern needs all of the evidence that ``_evident`` asks for. Which pattern:
``PATTERNS``, the coarsest first, because a patient's several videos belong together as well.

A number alone names the same group in every class: patient 07 may stand in two of them.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise
from math import gcd
from typing import NamedTuple

import numpy as np

GROUPS = 3  # of two or more images, at least
MATCHED = 0.5  # of the names with two numbers that must stand in such groups
DENSE = 3.0  # counters may leave out two of three values, in half of the groups
FEW_LETTERS = 0.1  # kinds of names (numbers aside) per name; random names are all of their own kind
SMALL = 1000  # counters below may be any choice of frames
NAMED_GROUPS = 5  # of names without a number ("anna_1"), which must be more
NAMED_SIZE = 12  # and smaller: "sparrow_001" of a hundred pictures is a kind, not a person
SESSION = 20  # images; larger groups that are called as years are years

_END = r"(\d{1,6})[^\d/.]*(?:\.\w+)?$"
_WORD = r"[^\W\d_]+\d+"
# The first bracket is the group, the second the counter; those of two numbers first.
PATTERNS = (
    rf"(?:^|/)({_WORD})[^\d/](?:[^/]*[^\d/])?{_END}",  # patient07_003, p07s2_003, video3_frame12
    r"(?:^|/)(?P<counter>\d{1,6})[\W_]+(?P<group>[^\W\d_][^/]*?\d+)[^\d/.]*(?:\.\w+)?$",  # 003_p07
    rf"(?:^|/)([^/]*\d)[^\d/]+{_END}",  # IMG_2031-burst2, 07_003
    rf"(?:^|/)([^/\d]*[^\W\d_])[\W_]*{_END}",  # anna_1
)
_NAMED = PATTERNS[-1]
_RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{16}", re.IGNORECASE)  # UUIDs and hashes
_DATE_LAST = re.compile(r"(?:19|20)\d\d[\W_]?(?:0\d|1[0-2])[\W_]?[0-3]\d[^\d/.]*(?:\.\w+)?$")
_YEAR = re.compile(r"(?<!\d)(?:19[5-9]|20[0-4])\d$")


class Numbered(NamedTuple):
    """What a name says: its group, and which of the group it is."""

    group: str
    counter: int


def found(labels: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Return path → group of the images whose names suggest one, and a pattern that captures it.

    Args:
        labels: Path → class of N images.

    Returns:
        Two empties where the names say nothing. The pattern is for the setting ``group_by``: it
        holds no space and captures in each path of the first exactly its group.
    """
    paths = [path for path in labels if not _RANDOM.search(path) and not _DATE_LAST.search(path)]
    for pattern in PATTERNS:
        numbered = _numbered(pattern, paths)
        if _evident(numbered, labels, named=pattern == _NAMED):
            groups = {path: each.group for path, each in numbered.items()}
            return groups, _shortest(groups, list(labels), pattern)
    return {}, ""


def _numbered(pattern: str, paths: list[str]) -> dict[str, Numbered]:
    """Return path → what its name says, of the paths in which a pattern is found."""
    compiled = re.compile(pattern)
    group = compiled.groupindex.get("group", 1)
    counter = compiled.groupindex.get("counter", 2)
    matches = ((path, compiled.search(path)) for path in paths)
    return {path: Numbered(m[group].strip(), int(m[counter])) for path, m in matches if m}


def _evident(numbered: Mapping[str, Numbered], labels: Mapping[str, str], *, named: bool) -> bool:
    """Tell whether names are those of groups.

    Several groups of two or more images, most of the names in them, several in one class (what is
    the same in a whole class says no more than the class), few kinds of names, and counters that
    count: dense, or small and the same in all groups.
    """
    members = defaultdict(list)
    for path, each in numbered.items():
        members[each.group].append(path)
    groups = {group: paths for group, paths in members.items() if len(paths) > 1}
    images = sum(map(len, groups.values()))
    if len(groups) < (NAMED_GROUPS if named else GROUPS) or images < MATCHED * len(numbered):
        return False
    classes = defaultdict(set)
    for group, paths in groups.items():
        for path in paths:
            classes[labels[path]].add(group)
    size = float(np.median([len(paths) for paths in groups.values()]))
    if max(map(len, classes.values())) < (NAMED_GROUPS if named else 2):
        return False
    if named and size > NAMED_SIZE:
        return False
    if size > SESSION and all(_YEAR.search(group) for group in groups):
        return False
    kinds = {re.sub(r"\d+", "0", path.rsplit("/", 1)[-1]) for path in numbered}
    if not named and len(kinds) > max(GROUPS, FEW_LETTERS * len(numbered)):
        return False
    return _count([sorted({numbered[path].counter for path in p}) for p in groups.values()])


def _count(counters: list[list[int]]) -> bool:
    """Tell whether the sorted, distinct numbers of each group are those of a counter."""
    several = [numbers for numbers in counters if len(numbers) > 1]
    if len(several) < len(counters) / 2:
        return False
    step = gcd(*(b - a for numbers in several for a, b in pairwise(numbers)))
    gaps = [((numbers[-1] - numbers[0]) / step + 1) / len(numbers) for numbers in several]
    if np.median(gaps) <= DENSE:
        return True
    lengths, largest = map(len, several), max(numbers[-1] for numbers in several)
    return largest < SMALL and float(np.median(list(lengths))) >= GROUPS


def _shortest(groups: Mapping[str, str], paths: list[str], pattern: str) -> str:
    """Return the plainest pattern that captures the same, such as ``(patient\\d+)``.

    In the paths without a group it may find something in the file's name alone.
    """
    prefixes = {re.sub(r"\d+$", "", group) for group in groups.values()}
    prefix = prefixes.pop()
    if prefixes or not prefix or " " in prefix:
        return pattern
    short = rf"({re.escape(prefix)}\d+)"
    for path in paths:
        match = re.search(short, path)
        if path in groups and (match is None or match[1] != groups[path]):
            return pattern
        if path not in groups and match and match.start() < path.rfind("/"):
            return pattern
    return short

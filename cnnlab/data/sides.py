"""Which units are drawn for one side of a split, the test or the validation.

A hash of (seed, unit) is the unit's own number, uniform in 0…1. Neither names of files nor threads
play a part.
"""

from collections import Counter
from collections.abc import Mapping

import pandas as pd

from cnnlab import hashing
from cnnlab.config import InputError
from cnnlab.text.first_of import first_of

NAMED = 3  # groups in a message
ROUNDING = 1e-12  # a deviation lessened by no more is not lessened

# unit → label → number of images
Members = dict[str, dict[str, int]]


def draw(
    rows: pd.DataFrame,
    fraction: float,
    *,
    seed: int,
    left: int,
    rule: str = "hash",
    settled: Mapping[str, bool] | None = None,
) -> set[str]:
    """Return the units that are drawn; of every class at least one is, and ``left`` are not.

    ``hash``: a unit is drawn if its number is below the fraction. Adding or removing images moves
    no other, but a share is binomial and not exact: of n units of a class f ± √(f(1 − f)/n), with
    f = 0.2 that is 20 ± 4% of 100 and 20 ± 1.3% of 1000.

    ``rank``: the units come in the order of their numbers, and each is drawn that lessens the sum
    over classes of the squared deviation of the share from the fraction. Of units of one image
    these are the first of each class, and its share is exact up to rounding. An added image moves
    others: 0.6 on average and at most two of classes of 40 to 400 images, with groups of ten also a
    group or two (``benchmarks/splits.py``).

    Where a class would stay empty on one side, its unit whose number is nearest to the bound
    changes sides, and does so no more once the class has grown and one stands there by its own
    number. With both fractions at 0.2 that concerns one class of 20 images in 24, and one of 50 in
    5,600. A unit of several classes changes sides only if more classes gain a place than lose one.

    Args:
        rows: ``label`` and ``unit`` of the images to draw from.
        fraction: The share asked for, 0…1.
        seed: Of this side's numbers.
        left: Units of each class that must stay, at least.
        rule: ``hash`` or ``rank``.
        settled: Units that stand on this side (True) or another already, and stay there.

    Raises:
        InputError: A class has too few units, or those it has belong to other classes, too, which
            need them on the other side, or are settled elsewhere.
    """
    members: Members = {}
    for (unit, label), count in rows.groupby(["unit", "label"]).size().items():
        members.setdefault(unit, {})[label] = count
    total = Counter(label for labels in members.values() for label in labels)
    for label in sorted(total):
        if total[label] <= left:
            raise _too_small(label, members)
    settled = settled or {}
    inside = {unit for unit in settled if settled[unit]}
    numbers = {unit: own_number(seed, unit) for unit in members if unit not in settled}
    if rule == "rank":
        drawn = _ranked(members, numbers, fraction, inside)
    else:
        drawn = {unit for unit in numbers if numbers[unit] < fraction} | inside
    return _filled(drawn, members, numbers, total, left)


def own_number(seed: int, unit: str) -> float:
    """Return a unit's own number, uniform in 0…1."""
    return int(hashing.digest(f"{seed}/{unit}".encode())[:16], 16) / 2**64


def _ranked(
    members: Members, numbers: dict[str, float], fraction: float, settled: set[str]
) -> set[str]:
    """Return the units that bring the shares nearer to the fraction, by the order of numbers."""
    images: Counter = Counter()
    for labels in members.values():
        images.update(labels)
    drawn, inside = set(settled), Counter(dict.fromkeys(images, 0))
    for unit in settled:
        inside.update(members[unit])

    def off(label: str, count: int) -> float:
        return (count / images[label] - fraction) ** 2

    for unit in sorted(numbers, key=lambda each: (numbers[each], each)):
        nearer = sum(
            off(label, inside[label]) - off(label, inside[label] + count)
            for label, count in members[unit].items()
        )
        if nearer > ROUNDING:
            drawn.add(unit)
            inside.update(members[unit])
    return drawn


def _filled(
    drawn: set[str], members: Members, numbers: dict[str, float], total: Counter, left: int
) -> set[str]:
    """Return ``drawn``, changed where a class has no unit in it or fewer than ``left`` outside."""
    drawn, inside = set(drawn), Counter(dict.fromkeys(total, 0))
    inside.update(label for unit in drawn for label in members[unit])

    def lacking(label: str, more: int = 0) -> int:
        count = inside[label] + more
        return max(0, 1 - count) + max(0, count - (total[label] - left))

    while short := [label for label in sorted(total) if lacking(label)]:
        for label in short:
            step = 1 if inside[label] == 0 else -1  # a unit comes in, or goes out
            nearest = sorted(
                (step * numbers[unit], unit)
                for unit, labels in members.items()
                if unit in numbers and label in labels and (unit in drawn) == (step < 0)
            )
            better = (
                unit
                for _, unit in nearest
                if sum(lacking(each, step) - lacking(each) for each in members[unit]) < 0
            )
            if unit := next(better, ""):
                drawn ^= {unit}
                inside.update(dict.fromkeys(members[unit], step))
                break
        else:
            raise (_tied if len(numbers) == len(members) else _settled)(short[0], members)
    return drawn


def _too_small(label: str, members: Members) -> InputError:
    own = [unit for unit in members if label in members[unit]]
    images = sum(members[unit][label] for unit in own)
    needs = "Each of train, validation and test needs at least one of its own"
    if not any(map(_group, members)):
        return InputError(
            f"Class {label!r} is too small to split: {images} distinct training image(s). "
            f"{needs}: add images of it."
        )
    return InputError(
        f"Class {label!r} is too small to split: its {images} distinct training image(s) stand in "
        f"{_listed(own)}, and a group is never divided. {needs}: add images of it from other "
        "groups, or correct the groups."
    )


def _tied(label: str, members: Members) -> InputError:
    own = [unit for unit in members if label in members[unit]]
    return InputError(
        f"Class {label!r} cannot stand on every side: it is in {_listed(own)}, which other classes "
        "need on the other side, and a group is never divided. Add images of it from other groups, "
        "or give the split yourself."
    )


def _settled(label: str, _: Members) -> InputError:
    return InputError(
        f"Class {label!r} has no image on one side any more, and those that stood on the others in "
        "the earlier run stay there: add new images of it, or start a run without --from."
    )


def _listed(units: list[str]) -> str:
    """Return "2 groups (patient 1, patient 2)"; an image without a group counts as one."""
    names = [_group(unit) or f"image {unit}" for unit in sorted(units)]
    plural = "s" if len(names) > 1 else ""
    return f"{len(names)} group{plural} ({first_of(names, NAMED)})"


def _group(unit: str) -> str:
    """Return the group that a unit is named by, "" if none."""
    return unit.removeprefix("group/") if unit.startswith("group/") else ""

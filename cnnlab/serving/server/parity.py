"""Whether another program predicts as this one does: label for label, digit for digit."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from cnnlab.images import ImageRejected
from cnnlab.serving.predictor import Predictor

TOLERANCE = 1e-5  # sums that are added up in another order


def compare(
    predictor: Predictor, ask: Callable[[bytes], dict[str, Any]], files: Mapping[str, bytes]
) -> pd.DataFrame:
    """Ask two programs about the same files.

    Args:
        predictor: Ours.
        ask: The other: bytes of an image → the fields of ``Prediction.to_json``, or
            ``{"error": {"code": …}}``.
        files: Name → content.

    Returns:
        One row a file: file, here and there (the label, or the code of the refusal), difference
        (largest of the listed probabilities, NaN where either refuses), same (labels or codes are
        equal, no probability differs by more than ``TOLERANCE``, and all rules say the same, but
        for a probability that lies no farther than that from a rule's threshold: thresholds are
        probabilities of validation images, and of those the last digit decides).
    """
    return pd.DataFrame([{"file": name} | _row(predictor, ask, files[name]) for name in files])


def _row(
    predictor: Predictor, ask: Callable[[bytes], dict[str, Any]], content: bytes
) -> dict[str, Any]:
    """Return one row of ``compare``."""
    there = ask(content)
    other = there["error"]["code"] if "error" in there else there["label"]
    try:
        here = predictor.predict(content).to_json()
    except ImageRejected as refusal:
        same = other == refusal.code and "error" in there
        return {"here": refusal.code, "there": other, "difference": float("nan"), "same": same}
    row = {"here": here["label"], "there": other, "difference": float("nan"), "same": False}
    if "error" in there:
        return row
    ours, theirs = (
        {each["label"]: each["probability"] for each in answer["top"]} for answer in (here, there)
    )
    # A class that only one of them lists is one that the other finds less probable than the rest.
    gap = max(abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) for name in ours | theirs)
    equal = all(here[field] == there[field] for field in ("label", "sha256", "model_id"))
    ruled = _plausible(predictor, ours, here, there) and _novel(predictor, here, there)
    return row | {"difference": gap, "same": equal and ruled and gap <= TOLERANCE}


def _plausible(
    predictor: Predictor,
    ours: Mapping[str, float],
    here: Mapping[str, Any],
    there: Mapping[str, Any],
) -> bool:
    """Whether the prediction sets are equal, but for classes at the threshold."""
    if here["plausible"] == there["plausible"]:
        return True
    rule = predictor.artifact.conformal
    disputed = {*here["plausible"]} ^ {*there["plausible"]}
    if rule is None or not disputed:  # another order is another answer
        return False
    gaps = [abs(ours.get(name, float("inf")) - rule.threshold) for name in disputed]
    return max(gaps) <= TOLERANCE


def _novel(predictor: Predictor, here: Mapping[str, Any], there: Mapping[str, Any]) -> bool:
    """Whether both say *none of these* or neither, but for an image at the threshold."""
    if here["none_of_these"] == there["none_of_these"]:
        return True
    rule = predictor.artifact.novelty
    if rule is None or None in (here["none_of_these"], there["none_of_these"]):
        return False
    return bool(abs(here["probability"] - rule.threshold) <= TOLERANCE)

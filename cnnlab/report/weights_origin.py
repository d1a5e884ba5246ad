"""The weights that a run's network began with, where others trained them, in sentences."""

from typing import Any

from cnnlab.runs.folder import Run
from cnnlab.text import markdown
from cnnlab.text.markdown import Markdown

UNKNOWN = "unknown"


def found(run: Run) -> dict[str, Any] | None:
    """Return what ``run.json`` says of them; None for random weights and in older runs."""
    return run.state().get("weights")


def sentence(run: Run) -> str:
    """Return what a network's weights were before this training; "" for random ones."""
    origin = found(run)
    if not origin:
        return ""
    return (
        f"All layers before its head begin with weights that others trained, on {_data(origin)}: "
        f"file {origin['file']}, SHA-256 {origin['sha256'][:16]}…, {_licence(origin)}."
    )


def section(run: Run, learned: str) -> Markdown:
    """Return what a model card says of the weights that a network began with.

    Args:
        run: One whose network began with weights of others.
        learned: Which layers learned here, in a sentence.
    """
    origin = found(run) or {}
    unknown = origin["data"] == UNKNOWN
    return Markdown(
        "- Network: {network}, file {file}, SHA-256 {sha256}.\n"
        "- Trained by others on: {data}.\n"
        "- Source: {source}.\n"
        "- {licence}. It is that of the weights; the images that they were trained on have terms "
        "of their own.\n"
        "- Here: {learned} What did not learn here is as it was published.\n"
        "- Pictures of this dataset may be among those that the weights were trained on. Then "
        "every figure of this card flatters, and nothing here can show it. What those pictures "
        "lack or show one-sidedly, the features may, too."
    ).format(
        network=markdown.code(origin["architecture"]),
        file=markdown.code(origin["file"]),
        sha256=markdown.code(origin["sha256"]),
        data=_data(origin),
        source="not known; the file was named by hand" if unknown else origin["source"],
        licence=_licence(origin, begin=True),
        learned=learned,
    )


def _data(origin: dict[str, Any]) -> str:
    return "data that nobody named" if origin["data"] == UNKNOWN else str(origin["data"])


def _licence(origin: dict[str, Any], *, begin: bool = False) -> str:
    unknown = origin["licence"] == UNKNOWN
    said = "licence not known: ask before you pass them on" if unknown else origin["licence"]
    said = said if unknown else f"licence {said}"
    return said[0].upper() + said[1:] if begin else said

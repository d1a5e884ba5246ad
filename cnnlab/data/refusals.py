"""Refusals in words: which files of a manifest cannot be used, why, and what helps."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from cnnlab.config import InputError
from cnnlab.data.audit import blank
from cnnlab.images import foreign
from cnnlab.text.first_of import first_of

HEIC = "HEIC"
SHOWN = 5  # classes in a message
_WORDS = {
    HEIC: "HEIC, as iPhones write it",
    "blank": "blank",
    "broken_link": "broken links",
    "corrupt": "damaged",
    "empty": "empty",
    "not_an_image": "no image",
    "side_too_small": "too small",
    "too_many_bytes": "too large",
    "too_many_pixels": "too large",
    "unknown_format": "no image of a known format",
}
_AGAIN = "copy or download damaged and empty files again, from where they came"
_CURES = {HEIC: foreign.HEIC_CURE.format("HEIC"), "corrupt": _AGAIN, "empty": _AGAIN}
_LOOK = " Run cnnlab audit, which lists every file with its reason."


def kinds(rows: pd.DataFrame) -> pd.Series:
    """Return the reason of each row of a manifest, text; of HEIC that nothing here reads ``HEIC``.

    Args:
        rows: Files that were not accepted.
    """
    unread = rows["format"].isin(foreign.HEIF) & (rows["reason"] == "unsupported")
    return rows["reason"].mask(unread, HEIC)


def cures(kinds: Iterable[str]) -> str:
    """Return sentences on what helps files of these kinds."""
    told = dict.fromkeys(_CURES[kind] for kind in kinds if kind in _CURES)
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in told)


def left_out(manifest: pd.DataFrame) -> list[str]:
    """Return a sentence, without its full stop, on HEIC files where other images were accepted."""
    count = int((kinds(manifest) == HEIC).sum())
    if not count or not (manifest["status"] == "accepted").any():
        return []
    files = "1 file is" if count == 1 else f"{count} files are"
    return [f"{files} {_WORDS[HEIC]}, and left out: {_CURES[HEIC]}"]


def described(manifest: pd.DataFrame) -> str:
    """Return, where no image was accepted, how many files there are, why, and the cure; else ""."""
    if (manifest["status"] == "accepted").any() or manifest.empty:
        return ""
    meant = manifest[manifest["status"] == "quarantined"]
    found = meant if len(meant) else manifest
    counts = kinds(found).value_counts()
    listed = ", ".join(
        f"{count} {'is' if count == 1 else 'are'} {_WORDS.get(kind, f'refused as {kind}')}"
        for kind, count in counts.items()
    )
    files = "1 file" if len(found) == 1 else f"{len(found)} files"
    return f"No image of {files} can be used: {listed}. {cures(counts.index)}".rstrip()


def require_usable(manifest: pd.DataFrame, root: Path) -> None:
    """Raise InputError where nothing can be learnt of a class: with every such class, and the cure.

    Args:
        manifest: From ``manifest.build``.
        root: The source's folder; a few blank files are opened again.

    Example:
        >>> require_usable(manifest.build(source), source.root)  # doctest: +SKIP
    """
    blank.refuse(manifest, root)
    if said := described(manifest):
        looked = any(kind in _CURES for kind in kinds(manifest))
        raise InputError(said if looked else said + _LOOK)
    require_classes(manifest)


def require_classes(manifest: pd.DataFrame) -> None:
    """Raise InputError, naming all classes without an accepted image, if there are any."""
    if said := empty_classes(manifest):
        cure = "Make these files readable or replace them by images of a known format."
        if (kinds(manifest) == HEIC).any():
            cure = cures([HEIC])
        raise InputError(f"{said}. {cure} A folder that is no class belongs elsewhere.")


def empty_classes(manifest: pd.DataFrame) -> str:
    """Return a sentence on all classes without an accepted image; "" if there is none."""
    labelled = manifest[manifest["label"] != ""]
    accepted = labelled.loc[labelled["status"] == "accepted", "label"]
    said = []
    for label, rows in labelled[~labelled["label"].isin(accepted)].groupby("label"):
        reasons = kinds(rows)
        reason = reasons.value_counts().index[0]
        example = rows.loc[reasons == reason, "path"].iloc[0]
        count = f"{len(rows)} files" if len(rows) > 1 else "1 file or folder"
        said.append(f"{label!r} ({count}, refused as {reason}: {example})")
    if not said:
        return ""
    return f"Classes without a usable image: {first_of(said, SHOWN)}"

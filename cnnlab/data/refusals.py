"""Refusals in words: which files of a manifest cannot be used, why, and what helps."""

from collections.abc import Iterable

import pandas as pd

from cnnlab.config import InputError
from cnnlab.images import foreign

HEIC = "HEIC"
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
_LOOK = "run cnnlab audit, which lists every file with its reason"


def kinds(rows: pd.DataFrame) -> pd.Series:
    """Return the reason of each row of a manifest, text; of HEIC that nothing here reads ``HEIC``.

    Args:
        rows: Files that were not accepted.
    """
    unread = rows["format"].isin(foreign.HEIF) & (rows["reason"] == "unsupported")
    return rows["reason"].mask(unread, HEIC)


def cures(kinds: Iterable[str]) -> str:
    """Return sentences on what helps files of these kinds."""
    told = dict.fromkeys(_CURES[kind] for kind in kinds if kind in _CURES) or (_LOOK,)
    return " ".join(f"{text[0].upper()}{text[1:]}." for text in told)


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
    return f"No image of {files} can be used: {listed}. {cures(counts.index)}"


def require_images(manifest: pd.DataFrame) -> None:
    """Raise InputError where no image was accepted: nothing can be shown, split or trained."""
    if said := described(manifest):
        raise InputError(said)

"""What is wrong, repeated, leaking or odd in a dataset, found from its manifest."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cnnlab import images
from cnnlab.data import prepared, refusals
from cnnlab.data.audit import appearance, blank, comparison, duplicates, picture_size
from cnnlab.data.sources import groups
from cnnlab.data.sources.entries import Source
from cnnlab.data.synthetic.faults import WRONG_LABEL

FINDING_COLUMNS = ["kind", "path", "other", "detail"]
KINDS = (
    "quarantined",
    "skipped",
    "exact_leak",
    "near_leak",
    "label_conflict",
    "exact_duplicate",
    "near_duplicate",
    "crowded",
    "unusual",
    "outlier",
)
COPIES = ("exact_duplicate", "near_duplicate", "exact_leak", "near_leak")
CROWDED = "crowded"  # in ``attrs`` of the pictures: paths of which not all candidates were compared
UNBALANCED = 10.0  # largest class : smallest class; beyond, guessing the largest looks like skill
SMALL = 32  # pixels: a picture with a shorter side says little

# What a refusal amounts to; every other code means that the file is damaged.
_REFUSALS = {
    "empty": "empty", "unknown_format": "not_an_image", "side_too_small": "tiny", "blank": "blank"
}  # fmt: skip
_SIDES = {"test": 0, "validation": 1}  # of a leaking pair, the image on the held-out side is kept


def pictures(
    manifest: pd.DataFrame, source: Source, *, background: str = "white", progress: bool = False
) -> pd.Series:
    """Return which accepted images show the same picture.

    Equal bytes are one picture, and so are near copies: perceptual hashes propose them, their
    pixels confirm them. The relation is made transitive.

    Args:
        manifest: From ``manifest.build``.
        source: The same source; only candidates are opened again.
        background: The same, too.
        progress: Show a bar on standard output.

    Returns:
        str Series "picture", index = path of the accepted rows. A picture is named by the SHA-256
        of its largest copy (pixels, then bytes, then the smallest hash). Other images and exact
        copies never change that, and nor do near copies that are smaller, as most are. Its
        ``attrs["crowded"]`` lists the paths of which not all look-alikes were compared, see
        ``duplicates.Copies``: they may have further copies.

    Raises:
        InputError: An image cannot be read any more.
    """
    accepted = manifest[manifest["status"] == "accepted"]
    distinct = accepted.drop_duplicates("sha256").sort_values("sha256")  # names decide nothing
    paths, hashes = (distinct[name].to_numpy(object).tolist() for name in ("path", "phash"))

    preprocessing = images.Preprocessing(background=background)

    def load(indices: Sequence[int]) -> np.ndarray:
        return prepared.read_images(
            source.root, [paths[i] for i in indices], comparison.SIDE, preprocessing=preprocessing
        )

    copies = duplicates.find_copies(hashes, load, progress=progress)
    area = distinct["width"] * distinct["height"]
    largest = distinct.assign(cluster=copies.clusters, area=area).sort_values(
        ["area", "bytes", "sha256"], ascending=[False, False, True]
    )
    names = largest.groupby("cluster")["sha256"].transform("first").str[:16]
    contents = (column.to_numpy(object) for column in (largest["sha256"], names))
    by_content = dict(zip(*contents, strict=True))
    named = accepted["sha256"].map(by_content).to_numpy()
    result = pd.Series(named, index=accepted["path"].to_numpy(), name="picture", dtype="str")
    result.attrs[CROWDED] = tuple(distinct["path"][copies.crowded])
    return result


def findings(manifest: pd.DataFrame, pictures: pd.Series) -> pd.DataFrame:
    """Return everything worth knowing before training, one row per finding.

    Kinds: ``quarantined`` and ``skipped`` (detail: the reason); ``exact_duplicate`` and
    ``near_duplicate`` (``other`` shows the same picture, in the same split); ``exact_leak`` and
    ``near_leak`` (``other`` is the copy on the held-out side); ``label_conflict`` (detail: both
    labels); ``crowded`` (more pictures look like it than were compared, so it may have copies that
    are not reported); ``unusual`` (detail: grey, cmyk, transparent, exif_rotated or small);
    ``outlier`` (detail: the measure that stands out; see ``appearance``). The last three are for a
    person to look at: they exclude nothing.

    Args:
        manifest: From ``manifest.build``.
        pictures: From ``pictures``.

    Returns:
        A table with kind, path, other, detail; ordered by kind as in ``KINDS``, then by path.
    """
    refused = manifest[manifest["status"] != "accepted"]
    rows = list(zip(refused["status"], refused["path"], [""] * len(refused), refused["reason"],
                    strict=True))  # fmt: skip
    accepted = manifest[manifest["status"] == "accepted"]
    accepted = accepted.assign(picture=pictures.reindex(accepted["path"]).to_numpy())
    for members in _families(accepted):
        rows += _copies(members)
    rows += [("crowded", path, "", "") for path in pictures.attrs.get(CROWDED, ())]
    rows += _unusual(accepted)
    rows += [("outlier", path, "", detail) for path, detail in appearance.outliers(accepted)]
    table = pd.DataFrame(rows, columns=FINDING_COLUMNS, dtype="str")
    rank = table["kind"].map(KINDS.index)
    return table.assign(rank=rank).sort_values(["rank", "path", "other", "detail"]).drop(
        columns="rank"
    ).reset_index(drop=True)  # fmt: skip


def balance(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return how many accepted images each class has in each split: label, split, count."""
    placed = manifest[manifest["label"] != ""]
    accepted = placed[placed["status"] == "accepted"]
    every = pd.MultiIndex.from_product(
        [sorted(placed["label"].unique()), sorted(placed["split"].unique())],
        names=["label", "split"],
    )
    counts = accepted.groupby(["label", "split"]).size().reindex(every, fill_value=0)
    return counts.rename("count").reset_index()


def summary(manifest: pd.DataFrame, findings: pd.DataFrame, *inputs: int) -> dict[str, Any]:
    """Return the audit in numbers, ready for JSON.

    Args:
        manifest: From ``manifest.build``.
        findings: From ``findings``.
        *inputs: Sizes of a network's input to judge the images by, besides the usual ones.

    Returns:
        ``files`` (status → count, and found), ``reasons`` (status → reason → count), ``findings``
        (kind → count), ``balance`` (rows of ``balance``), ``imbalance`` (the accepted images of
        the largest class over those of the smallest; None if that is empty), ``sizes`` (a
        ``PictureSizes``; None where nothing was accepted), ``warnings`` and, where any was
        declared, ``groups`` (their number and sizes, see ``groups.counts``).
    """
    status = manifest["status"]
    files = {name: int((status == name).sum()) for name in ("accepted", "quarantined", "skipped")}
    reasons = {
        name: manifest.loc[status == name, "reason"].value_counts().to_dict()
        for name in ("quarantined", "skipped")
    }
    counts = balance(manifest)
    sizes = counts.groupby("label")["count"].sum().sort_values(kind="stable")
    ratio = float(sizes.iloc[-1] / sizes.iloc[0]) if sizes.iloc[0] else None
    warning = (
        f"class {sizes.index[-1]!r} has {sizes.iloc[-1]} images, {sizes.index[0]!r} only "
        f"{sizes.iloc[0]}: judge by macro scores, and add images of the small class"
    )
    if not sizes.iloc[0]:
        no_blank = manifest[manifest["reason"] != blank.REASON]  # for those have a cure
        warning = refusals.empty_classes(no_blank)
    declared, doubts = groups.counts(manifest)
    fit = picture_size.of_manifest(manifest, *inputs)
    return {
        "files": files | {"found": len(manifest)},
        "reasons": reasons,
        "findings": findings["kind"].value_counts(sort=False).to_dict(),
        "balance": counts.to_dict(orient="records"),
        "imbalance": ratio,
        "sizes": fit.to_json() if fit else None,
        "warnings": [warning] * (ratio is None or ratio > UNBALANCED) * bool(warning)
        + doubts
        + refusals.left_out(manifest),
    } | ({"groups": declared} if declared else {})


def score(findings: pd.DataFrame, faults: pd.DataFrame) -> pd.DataFrame:
    """Compare findings with the faults that were planted.

    A copy is found if it was reported, with the right kind, together with the picture that it
    copies or another copy of that picture; ``extra`` counts reports that nothing planted
    explains. Wrong labels do not count: the audit does not look at what a picture shows.

    Args:
        findings: From ``findings``.
        faults: path, fault, other: the truth file of a generated dataset.

    Returns:
        One row per planted kind of fault, wrong labels aside: fault, planted, found, recall, extra.
    """
    faults = faults[faults["fault"] != WRONG_LABEL]
    picture = _pictures(faults)
    reported: dict[str, set[str]] = {}
    extra: dict[str, int] = {}
    planted = {fault: set(rows["path"]) for fault, rows in faults.groupby("fault")}
    for row in findings.itertuples(index=False):
        fault = _fault(str(row.kind), str(row.detail))
        if fault in COPIES:
            first, second = picture.get(str(row.path)), picture.get(str(row.other))
            right = first is not None and first == second
        else:
            right = row.path in planted.get(fault, ())
        if right:
            reported.setdefault(fault, set()).update((str(row.path), str(row.other)))
        else:
            extra[fault] = extra.get(fault, 0) + 1
    rows = []
    for fault, paths in sorted(planted.items()):
        found = len(paths & reported.get(fault, set()))
        rows.append((fault, len(paths), found, found / len(paths), extra.get(fault, 0)))
    return pd.DataFrame(rows, columns=["fault", "planted", "found", "recall", "extra"])


class _Image(NamedTuple):
    """One of several that show the same picture."""

    picture: str
    side: int
    path: str
    split: str
    label: str
    sha256: str


def _families(accepted: pd.DataFrame) -> Iterator[list[_Image]]:
    """Yield the images of each picture that several show, those on the held-out side first."""
    shared = accepted[accepted.duplicated("picture", keep=False)]
    sides = shared["split"].map(lambda split: _SIDES.get(split, 2))
    columns = (shared[name] for name in ("path", "split", "label", "sha256"))
    rows = sorted(map(_Image, shared["picture"], sides, *columns))
    for _, members in groupby(rows, key=lambda row: row.picture):
        yield list(members)


def _copies(members: list[_Image]) -> list[tuple[str, str, str, str]]:
    """Return the findings among the images of one picture, in time linear in their number.

    Each copy is reported once per kind, with the first of the images that it repeats.
    """
    first: dict[str, dict[str, _Image]] = {}  # split → content → image; "" stands for any content
    labelled: dict[str, _Image] = {}
    result = []
    for image in members:
        for kind, same_side in (("duplicate", True), ("leak", False)):
            for exact, content in (("exact", image.sha256), ("near", "")):
                earlier = [
                    known[content]
                    for split, known in first.items()
                    if (split == image.split) == same_side and content in known
                ]
                if earlier:
                    result.append((f"{exact}_{kind}", image.path, min(earlier).path, ""))
                    break
        others = [other for label, other in labelled.items() if label != image.label]
        if others:
            words = f"{image.label} / {min(others).label}"
            result.append(("label_conflict", image.path, min(others).path, words))
        for content in (image.sha256, ""):
            first.setdefault(image.split, {}).setdefault(content, image)
        labelled.setdefault(image.label, image)
    return result


def _unusual(accepted: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Return the findings on accepted images that many readers get wrong."""
    mode, shorter = accepted["mode"], accepted[["width", "height"]].min(axis=1)
    odd = {
        "grey": mode.isin(["grey", "grey_alpha"]),
        "cmyk": mode == "cmyk",
        "transparent": mode.isin(["rgba", "grey_alpha"]),
        "exif_rotated": accepted["orientation"] > 1,
        "small": shorter < SMALL,
    }
    return [("unusual", path, "", word) for word, chosen in odd.items()
            for path in accepted.loc[chosen, "path"]]  # fmt: skip


def _fault(kind: str, detail: str) -> str:
    """Return the name of the planted fault that a finding of this kind would mean."""
    if kind == "quarantined":
        return _REFUSALS.get(detail, "corrupt")
    return detail if kind == "unusual" else kind


def _pictures(faults: pd.DataFrame) -> dict[str, str]:
    """Return the original of every path that takes part in a planted copy, itself included."""
    origin = {str(r.path): str(r.other) for r in faults.itertuples() if r.fault in COPIES}
    result = {}
    for path in [*origin, *origin.values()]:
        original = path
        while original in origin:
            original = origin[original]
        result[path] = original
    return result

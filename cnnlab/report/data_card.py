"""The dataset card: what a run's data is, what was found in it, what was decided and why."""

from collections.abc import Sequence

import pandas as pd

from cnnlab.config.data import DataSettings, fitting
from cnnlab.data.audit import picture_size
from cnnlab.data.audit.picture_size import PictureSizes
from cnnlab.report import caveats
from cnnlab.runs.folder import Run
from cnnlab.runs.results import Audit
from cnnlab.text import markdown
from cnnlab.text.markdown import Markdown

SPLITS = ("train", "validation", "test", "excluded")

# What becomes of each kind of finding, and the reason; in the order of the card.
DECISIONS = {
    "quarantined": "Left out: an image by its name or content, but one that cannot be used, or is "
    "blank.",
    "skipped": "Left out: never meant to be an image of a class.",
    "exact_leak": "The copy outside the test set is excluded: a test on seen images measures "
    "memory. Between training and validation, validation keeps it.",
    "near_leak": "Excluded like an exact leak: another compression or size is the same picture.",
    "label_conflict": "Inside one split no copy is used: nobody here can say which label is right.",
    "exact_duplicate": "The first copy is used, so that no picture counts twice. The test folder "
    "is left as it is.",
    "near_duplicate": "The first copy is used, as of exact duplicates.",
    "crowded": "More pictures look alike than were compared: there may be further copies.",
    "unusual": "Used: the decoder makes upright RGB of each of them.",
    "outlier": "Used, and worth a look: unlike the others is not yet wrong.",
}
LIMITS = Markdown(
    """\
- Wrong labels are not found, unless one picture stands under two of them.
- Copies that were mirrored, framed or reduced to grey escape the comparison, as do those that were
  turned by more than 3°, cropped or shifted by more than about 5 % of a side, or made so bright
  that they are half white.
- Groups (of a patient, a video) are suspected by names of files, sub-folders, EXIF and pictures
  that look alike; where these say nothing, nobody has looked for them.
- Who or what the pictures show, who took them and under which licence is not recorded here."""
)


def dataset_card(
    run: Run, files: pd.DataFrame, findings: pd.DataFrame, table: pd.DataFrame
) -> Markdown:
    """Return the card of a run's dataset.

    Args:
        run: Gives the settings and the name of the dataset.
        files: From ``manifest.build``.
        findings: From ``audit.findings``.
        table: From ``splits.assign``.

    Example:
        >>> card = dataset_card(lab, files, findings, table)  # doctest: +SKIP
        >>> lab.save_text("dataset_card.md", card)  # doctest: +SKIP
    """
    from cnnlab.data import manifest  # they import TensorFlow
    from cnnlab.data.audit import audit

    data = run.settings.data
    summary = Audit.from_json(audit.summary(files, findings, data.image_size))
    name = (run.state()["dataset"] or {}).get("name", run.settings.data.source)
    counts = summary.files
    title = Markdown(
        "# Dataset card: {}\n\n"
        "{} files found = {} accepted + {} quarantined + {} skipped.\n\n"
        "Manifest SHA-256 {}: the same hash is the same data."
    ).format(
        name,
        *(counts.found, counts.accepted, counts.quarantined, counts.skipped),
        markdown.code(manifest.digest(files)),
    )
    sections = {
        "Balance": _balance(table, summary.warnings),
        "Images": _images(files[files["status"] == "accepted"], data),
        "Size and shape": _size_and_shape(summary.sizes, data),
        "Found, and what was decided": _found(findings, summary.reasons),
        "The split": _split(run, files, table),
        **_growth(run, files, table),
        "Not shown": LIMITS,
    }
    return markdown.document(title, sections)


def _balance(table: pd.DataFrame, warnings: Sequence[str]) -> Markdown:
    counts = pd.crosstab(table["label"], table["split"]).reindex(columns=SPLITS, fill_value=0)
    rows = [[label, *row] for label, row in zip(counts.index, counts.to_numpy(), strict=True)]
    rows.append([Markdown("**all**"), *counts.sum()])
    used = counts.drop(columns="excluded").sum(axis=1)
    ratio = f"Largest class : smallest class = {used.max() / used.min():.1f} : 1, as used."
    told = [Markdown("**Warning:** {}.").format(warning) for warning in warnings]
    return markdown.paragraphs(markdown.table(["class", *SPLITS], rows), ratio, *told)


def _images(accepted: pd.DataFrame, data: DataSettings) -> Markdown:
    measures = ["width", "height", "brightness", "contrast", "sharpness"]
    side, how = data.image_size, fitting(data.fit, data.background)
    spread = accepted[measures].quantile([0, 0.5, 1])
    rows = [[name, *(f"{value:.4g}" for value in spread[name])] for name in measures]
    kinds = accepted.groupby(["format", "mode"]).size().sort_values(ascending=False)
    listed = ", ".join(f"{count} {form} {mode}" for (form, mode), count in kinds.items())
    return markdown.paragraphs(
        markdown.table(["", "smallest", "median", "largest"], rows),
        "Width and height in pixels as stored; brightness and contrast in grey levels (0–255); "
        f"sharpness without a unit. The network sees {side} × {side} pixels"
        f"{f', {how}' if how else ''}.",
        f"{listed}.",
    )


def _size_and_shape(found: PictureSizes | None, data: DataSettings) -> str:
    if found is None:
        return "No image was accepted."
    tables = picture_size.size_table(found), picture_size.fit_table(found, data.fit)
    parts = [markdown.table(list(each.columns), each.to_numpy().tolist()) for each in tables]
    return markdown.paragraphs(*parts, " ".join(picture_size.conclusions(found, data.fit)))


def _found(findings: pd.DataFrame, reasons: dict[str, dict[str, int]]) -> str:
    rows = []
    for kind, decision in DECISIONS.items():
        chosen = findings[findings["kind"] == kind]
        if len(chosen):
            words = chosen["detail"].str.split(":").str[0].value_counts()
            why = reasons.get(kind) or (words.to_dict() if kind in ("unusual", "outlier") else {})
            detail = ", ".join(f"{count} {word}" for word, count in why.items())
            rows.append([kind, len(chosen), detail, chosen["path"].iloc[0], decision])
    if not rows:
        return "Nothing: every file is an image, and no two show the same picture."
    return markdown.table(["finding", "count", "of these", "first", "decision"], rows)


def _growth(run: Run, files: pd.DataFrame, table: pd.DataFrame) -> dict[str, Markdown]:
    """Return the section on the earlier run, if there is one."""
    from cnnlab.runs import growth

    if (found := growth.since(run, files, table)) is None:
        return {}
    classes = found.classes.reset_index().astype("object").fillna("–")
    listed = markdown.table(list(classes.columns), classes.to_numpy().tolist())
    return {"Since the earlier run": markdown.paragraphs(listed, *found.sentences)}


def _split(run: Run, files: pd.DataFrame, table: pd.DataFrame) -> Markdown:
    from cnnlab.data import splits

    settings = run.settings
    ranked = settings.data.split_rule == "rank"
    near, rule = ("", " by rank") if ranked else ("about ", "")
    drawn = [
        f"{part} is {near}{fraction:.0%} of every class, drawn with seed {settings.seed}{rule}"
        for part, fraction in (
            ("test", settings.data.test_fraction),
            ("validation", settings.data.validation_fraction),
        )
        if not (files["split"] == part).any()
    ]
    text = "Copies of one picture never stand on two sides. "
    groups = splits.group_counts(table)
    if len(groups):
        text += "Nor do groups, of which all images are used. "
    else:
        text += f"{caveats.groups(run, table)} "
    text += f"{'; '.join(drawn).capitalize()}." if drawn else "All parts are the source's own."
    excluded = table.loc[table["split"] == "excluded", "reason"].value_counts()
    listed = ", ".join(f"{count} {reason}" for reason, count in excluded.items())
    parts: list[str] = [text, f"Excluded images: {listed or 'none'}."]
    if len(groups):
        rows = groups.reset_index().to_numpy().tolist()
        number = table.loc[table["group"] != "", "group"].nunique()
        parts += [f"{number} groups were declared:"]
        parts += [markdown.table(["side", *groups.columns], rows)]
    return markdown.paragraphs(*parts)

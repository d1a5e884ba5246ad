"""What differs between a run and the earlier one that it starts from, in sentences and by class."""

import json
from dataclasses import dataclass

import pandas as pd

from cnnlab.data import earlier, splits, tables
from cnnlab.data.earlier import Earlier
from cnnlab.runs import lineage
from cnnlab.runs.folder import Run
from cnnlab.runs.lineage import FOLDER, MANIFEST
from cnnlab.text.first_of import first_of

SAID = f"{FOLDER}/said.json"
NAMED = 3  # images in a sentence
LISTED = 12  # classes in a sentence


@dataclass(frozen=True)
class Growth:
    """What differs from the earlier run.

    Attributes:
        sentences: What was found, and what became of it.
        classes: Images of each class, see ``changes.by_class``, with the class's index before and
            now; None where there is none.
    """

    sentences: tuple[str, ...]
    classes: pd.DataFrame


def foretold(run: Run) -> str:
    """Return what the names of files say before anything is read.

    "" where a run starts from no other, or its notebook 01 has said it by content.
    """
    origin = run.state().get(FOLDER)
    if origin is None or (run.folder / SAID).exists():
        return ""
    listed = tables.load(run.folder / MANIFEST, ("path", "status"))
    entries = run.source().entries()
    came = len(entries.keys() - set(listed["path"]))
    gone = len(set(listed.loc[listed["status"] != "skipped", "path"]) - entries.keys())
    labels = sorted({entry.label for entry in entries.values()})
    classes = _class_sentences(origin["class_names"], labels, origin["run"])
    said = (
        f"By their names, {came:,} files are new and {gone:,} gone since run {origin['run']!r}; "
        "notebook 01 goes by their content."
    )
    return " ".join((said, *classes))


def since(run: Run, found: pd.DataFrame, table: pd.DataFrame) -> Growth | None:
    """Return what differs from the earlier run, and keep it for the end of the execution.

    Args:
        run: A run.
        found: From ``manifest.build``.
        table: From ``splits.assign``.

    Returns:
        None where the run starts from no other.
    """
    from cnnlab.data import manifest  # they import TensorFlow
    from cnnlab.data.audit import changes as between

    origin, before = run.state().get(FOLDER), lineage.sides(run)
    if origin is None or before is None:
        return None
    old = manifest.read(run.folder / MANIFEST)
    changed = between.difference(old, found)
    known, now = origin["class_names"], earlier.ordered(table["label"].tolist(), ())
    names = earlier.ordered(now, known)
    classes = between.by_class(old, found)
    by_class = _by_class(classes)
    for column, order in (("index before", known), ("index now", names)):
        classes[column] = [order.index(name) if name in order else None for name in classes.index]
    model = f", model {origin['model_id'][:12]}" if origin["model_id"] else ", without a model"
    sentences = [
        f"This run starts from {origin['run']!r} (dataset {str(origin['dataset'])[:12]}{model}).",
        f"Files: {between.described(changed)}." if len(changed) else "No file changed since.",
        by_class,
        *_class_sentences(known, names, origin["run"]),
        *_side_sentences(found, table, before),
    ]
    sentences = [sentence for sentence in sentences if sentence]
    run.save_json(SAID, {"sentences": sentences})
    return Growth(tuple(sentences), classes.astype("Int64"))


def said(run: Run) -> list[str]:
    """Return the sentences of ``since``, if notebook 01 got that far."""
    try:
        return list(json.loads((run.folder / SAID).read_text(encoding="utf-8"))["sentences"])
    except FileNotFoundError:
        return []


def _by_class(classes: pd.DataFrame) -> str:
    """Return what came and went of each class that changed, "" where none did."""
    kinds = [name for name in classes.columns if name not in ("before", "now")]
    parts = [
        f"{label}: " + ", ".join(f"{row[kind]:,} {kind}" for kind in kinds if row[kind])
        for label, row in classes.iterrows()
        if row[kinds].any()
    ]
    return f"By class: {first_of(parts, LISTED, apart='; ', what='classes')}." if parts else ""


def _class_sentences(known: list[str], labels: list[str], run: str) -> list[str]:
    """Return what became of the classes and their indices."""
    now = earlier.ordered(labels, known)
    new = [f"{name} ({now.index(name)})" for name in now if name not in known]
    gone = [
        name + (f" ({index}, which is {now[index]} now)" if index < len(now) else f" ({index})")
        for index, name in enumerate(known)
        if name not in now
    ]
    moved = [
        f"{name} {known.index(name)} → {index}"
        for index, name in enumerate(now)
        if name in known and known.index(name) != index
    ]
    said = []
    if new:
        said.append(f"New classes come after the others, with their index: {', '.join(new)}.")
    if gone:
        said.append(f"Classes that are gone, with their old index: {', '.join(gone)}.")
    if moved:
        said.append(
            f"So these have another index than in run {run!r}: {', '.join(moved)}. "
            "Programs that go by names are not concerned."
        )
    elif any(name in known for name in now):
        said.append(f"All classes of run {run!r} that are left keep their index.")
    return said


def _side_sentences(found: pd.DataFrame, table: pd.DataFrame, before: Earlier) -> list[str]:
    """Return where the images stand now, compared with where they stood."""
    contents = dict(zip(found["path"], found["sha256"], strict=True))
    declared = dict(zip(found["path"], found["split"], strict=True))
    table = table.assign(sha256=table["path"].map(contents), declared=table["path"].map(declared))
    stood = before.stood(table)
    new = table.loc[(stood == "") & ~_among(table, before.images), "split"].value_counts()
    counts = ", ".join(f"{new[side]:,} {side}" for side in splits.SPLITS if side in new)
    kept = int(((stood != "") & (stood == table["split"])).sum())
    said = [f"Sides: {kept:,} known images stay where they stood; new ones: {counts or 'none'}."]
    present = before.images[before.images["path"] != ""]
    held = _among(table, present[present["split"] != "excluded"])
    back = table[_among(table, present) & ~held & (table["split"] != "excluded")]
    if len(back):
        names = [f"{row.path} ({row.split})" for row in back.head(NAMED).itertuples()]
        said.append(
            f"{_images(len(back))} used that the earlier run excluded: "
            f"{first_of(names, NAMED, total=len(back))}."
        )
    moved = table[(stood != "") & (stood != table["split"])]
    used = table.loc[table["split"] != "excluded", "picture"]  # by another copy
    known = before.images["path"]
    moved = moved[~moved["picture"].isin(used)].sort_values(
        "path", key=lambda paths: ~paths.isin(known), kind="stable"
    )
    moved = moved.drop_duplicates("sha256").sort_index()
    if len(moved):
        listed = [
            f"{row.path} ({stood[row.Index]} → {row.split}, {row.reason})"
            for row in moved.head(NAMED).itertuples()
        ]
        said.append(
            f"{_images(len(moved))} known and used no more, because of what was added or declared: "
            f"{first_of(listed, NAMED, total=len(moved))}. No test image is among them."
        )
    folders = set(table["declared"])
    # Of a folder train, validation and test are drawn where they have none of their own.
    otherwise = (table["declared"] != "train") | table["split"].isin(folders)
    odd = table[(stood == table["split"]) & (table["declared"] != table["split"]) & otherwise]
    odd = odd[odd["declared"] != ""]
    if len(odd):
        listed = [f"{row.path} ({row.split})" for row in odd.head(NAMED).itertuples()]
        said.append(
            f"{_images(len(odd))} kept on the earlier side, although folder or table say "
            f"otherwise now: {first_of(listed, NAMED, total=len(odd))}."
        )
    return said


def _among(table: pd.DataFrame, images: pd.DataFrame) -> pd.Series:
    """Tell of each row whether its content or its path is that of one of the images."""
    return table["sha256"].isin(images["sha256"]) | table["path"].isin(images["path"])


def _images(count: int) -> str:
    return f"{count:,} image{'s are' if count != 1 else ' is'}"

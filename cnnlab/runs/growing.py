"""A run that starts from an earlier one: known images keep their side, known classes their index.

What it takes from there is copied into its folder ``from/``, so the earlier run may be deleted.
"""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab import files
from cnnlab.config import InputError, Settings, changes, home, make_settings
from cnnlab.data import earlier, splits, tables
from cnnlab.data.earlier import Earlier
from cnnlab.hashing import file_digest
from cnnlab.runs import opening, past_openings, storage
from cnnlab.runs.folder import Run

FOLDER = "from"
SIDES, MANIFEST, SAID = (f"{FOLDER}/{name}" for name in ("sides.csv", "manifest.csv", "said.json"))
NAMED = 3  # images in a sentence


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


def refuse(name: str, run: str) -> None:
    """Raise what ``start`` would raise of the two names; it reads two small files.

    Args:
        name: The earlier run's, or its folder.
        run: The new run's name; "" where none is given.

    Raises:
        InputError: There is no such run, or none that was split; both are the same, or the new one
            has no name; or it exists and was not started from that one.
    """
    earlier_name = Path(name).name
    if not run or run == earlier_name:
        wrong = "A run cannot start from itself" if run else "--from begins another run"
        raise InputError(f"{wrong}: give it a name of its own, such as {_unused(earlier_name)}.")
    folder = home() / "reports" / opening.checked_name(run)
    if (folder / "run.json").exists():
        origin = storage.read_state(folder).get(FOLDER)
        if origin and origin["run"] == earlier_name:
            return  # what it took is in its folder
        said = f"started from {origin['run']!r}" if origin else "not started from another run"
        raise InputError(
            f"Run {run!r} exists and was {said}: give the new one a name of its own, such as "
            f"{_unused(run)}."
        )
    found = opening.find(name)
    for needed in ("manifest.csv", "splits.csv"):
        if not (found / needed).is_file():
            raise InputError(
                f"Run {found.name!r} has no {needed} yet, so no image of it has a side: "
                f"cnnlab run --run {found.name} --only 01"
            )


def asked(name: str, run: str, profile: str, data: str, overrides: str) -> Settings:
    """Return the settings of a run that starts from another: those of that one, unless given.

    Args:
        name: The earlier run's, or its folder.
        run: The new run's name; one that exists has its own settings.
        profile: Another profile; what the earlier run changed of its own stays changed.
        data: Other data; "" for the earlier run's.
        overrides: Space-separated ``key=value``.
    """
    if (home() / "reports" / run / "run.json").exists():
        return opening.asked(run, profile, data, overrides)
    stored = storage.read_settings(opening.find(name))
    kept = changes(stored) | {"source": data or stored.data.source}
    return make_settings(profile or stored.profile, overrides.split(), **kept)


def start(name: str, run: str, profile: str, data: str, overrides: str) -> None:
    """Create a run that starts from an earlier one, which stays as it is; one that exists stays.

    Args:
        name: The earlier run's, or its folder.
        run: The new run's name.
        profile: See ``asked``, like the others.
        data: See there.
        overrides: See there.

    Raises:
        InputError: See ``refuse``; or a setting or the data cannot be used.
    """
    refuse(name, run)
    folder = home() / "reports" / run
    if (folder / "run.json").exists():
        return
    before = opening.find(name)
    settings = opening.settled(asked(name, run, profile, data, overrides))
    past_openings.record(before)  # what its models have seen is known even where it is deleted
    state = storage.read_state(before)
    listed = tables.load(before / "manifest.csv", ("path", "sha256"))
    contents = dict(zip(listed["path"], listed["sha256"].fillna(""), strict=True))
    table = splits.read(before / "splits.csv")
    older = earlier.read(before / SIDES) if FOLDER in state else None
    sides = earlier.of(table, contents, older)
    files.make_folder(folder / FOLDER)
    earlier.write(sides, folder / SIDES)
    files.write(folder / MANIFEST, (before / "manifest.csv").read_text(encoding="utf-8"))
    used = table.loc[table["split"] != "excluded", "label"].tolist()
    origin = {
        "run": before.name,
        "run_id": Run(before, settings).id,
        "dataset": (state.get("dataset") or {}).get("sha256"),
        "model_id": _model_id(before),
        "class_names": earlier.ordered(used, known_classes(state)),
        "files": {each: file_digest(folder / each) for each in (SIDES, MANIFEST)},
    }
    opening.create(folder, settings, {FOLDER: origin})


def carry(stored: Path, fresh: Path) -> dict[str, Any]:
    """Give another run folder what a run started from, and return what its ``run.json`` says of it.

    Args:
        stored: The folder of the run.
        fresh: The folder of the other, which has no ``run.json`` yet.
    """
    origin = storage.read_state(stored).get(FOLDER)
    if origin is None:
        return {}
    files.make_folder(fresh / FOLDER)
    for each in origin["files"]:
        shutil.copyfile(stored / each, fresh / each)
    return {FOLDER: origin}


def sides(run: Run) -> Earlier | None:
    """Return the split that a run goes on from, None where it starts from no other.

    Raises:
        InputError: A file that it took from the earlier run is missing or was changed.
    """
    origin = run.state().get(FOLDER)
    if origin is None:
        return None
    for each, expected in origin["files"].items():
        path = run.folder / each
        if not path.is_file() or file_digest(path) != expected:
            raise InputError(
                f"{path}, taken from run {origin['run']!r}, is missing or was changed: put it "
                f"back, or start anew: remove {run.folder}."
            )
    return earlier.read(run.folder / SIDES)


def known_classes(state: dict[str, Any]) -> list[str]:
    """Return the classes whose indices a run keeps, by its ``run.json``."""
    return list((state.get(FOLDER) or {}).get("class_names", ()))


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


def growth(run: Run, found: pd.DataFrame, table: pd.DataFrame) -> Growth | None:
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

    origin, before = run.state().get(FOLDER), sides(run)
    if origin is None or before is None:
        return None
    old = manifest.read(run.folder / MANIFEST)
    changed = between.difference(old, found)
    known, now = origin["class_names"], earlier.ordered(table["label"].tolist(), ())
    names = earlier.ordered(now, known)
    classes = between.by_class(old, found)
    for column, order in (("index before", known), ("index now", names)):
        classes[column] = [order.index(name) if name in order else None for name in classes.index]
    model = f", model {origin['model_id'][:12]}" if origin["model_id"] else ", without a model"
    sentences = [
        f"This run starts from {origin['run']!r} (dataset {str(origin['dataset'])[:12]}{model}).",
        f"Files: {between.described(changed)}." if len(changed) else "No file changed since.",
        *_class_sentences(known, names, origin["run"]),
        *_side_sentences(found, table, before),
    ]
    run.save_json(SAID, {"sentences": sentences})
    return Growth(tuple(sentences), classes.astype("Int64"))


def said(run: Run) -> list[str]:
    """Return the sentences of ``growth``, if notebook 01 got that far."""
    try:
        return list(json.loads((run.folder / SAID).read_text(encoding="utf-8"))["sentences"])
    except FileNotFoundError:
        return []


def _class_sentences(known: list[str], labels: list[str], run: str) -> list[str]:
    """Return what became of the classes and their indices."""
    now = earlier.ordered(labels, known)
    new = [f"{name} ({now.index(name)})" for name in now if name not in known]
    gone = [name for name in known if name not in now]
    moved = [
        f"{name} {known.index(name)} → {index}"
        for index, name in enumerate(now)
        if name in known and known.index(name) != index
    ]
    said = []
    if new:
        said.append(f"New classes come after the others, with their index: {', '.join(new)}.")
    if gone:
        said.append(f"Classes that are gone: {', '.join(gone)}.")
    if moved:
        said.append(
            f"So these have another index than in run {run!r}: {', '.join(moved)}. "
            "Programs that go by names are not concerned."
        )
    elif now:
        said.append(f"All classes of run {run!r} that are left keep their index.")
    return said


def _side_sentences(found: pd.DataFrame, table: pd.DataFrame, before: Earlier) -> list[str]:
    """Return where the images stand now, compared with where they stood."""
    contents = dict(zip(found["path"], found["sha256"], strict=True))
    declared = dict(zip(found["path"], found["split"], strict=True))
    table = table.assign(sha256=table["path"].map(contents), declared=table["path"].map(declared))
    stood = before.stood(table)
    new = table.loc[stood == "", "split"].value_counts()
    counts = ", ".join(f"{new[side]:,} {side}" for side in splits.SPLITS if side in new)
    kept = int(((stood != "") & (stood == table["split"])).sum())
    said = [f"Sides: {kept:,} known images stay where they stood; new ones: {counts or 'none'}."]
    moved = table[(stood != "") & (stood != table["split"])]
    if len(moved):
        listed = [
            f"{row.path} ({stood[row.Index]} → {row.split}, {row.reason})"
            for row in moved.head(NAMED).itertuples()
        ]
        said.append(
            f"{len(moved):,} known images are used no more, because of what was added or declared: "
            f"{_listed(listed, len(moved))}. No test image is among them."
        )
    folders = set(table["declared"])
    # Of a folder train, validation and test are drawn where they have none of their own.
    otherwise = (table["declared"] != "train") | table["split"].isin(folders)
    odd = table[(stood == table["split"]) & (table["declared"] != table["split"]) & otherwise]
    odd = odd[odd["declared"] != ""]
    if len(odd):
        listed = [f"{row.path} ({row.split})" for row in odd.head(NAMED).itertuples()]
        said.append(
            f"{len(odd):,} images stay on the side where they stood, although their folder or "
            f"table says otherwise now: {_listed(listed, len(odd))}."
        )
    return said


def _listed(names: Sequence[str], count: int) -> str:
    return ", ".join(names) + (f" and {count - len(names):,} more" if count > len(names) else "")


def _model_id(folder: Path) -> str | None:
    try:
        return json.loads((folder / "model" / "contract.json").read_text("utf-8"))["model_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _unused(name: str) -> str:
    """Return how to give a run a name that none has."""
    number = 2
    while (home() / "reports" / f"{name}-{number}").exists():
        number += 1
    return f"--run {name}-{number}"

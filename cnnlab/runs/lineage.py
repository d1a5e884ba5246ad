"""A run that starts from an earlier one: known images keep their side, known classes their index.

What it takes from there is copied into its folder ``from/``, so the earlier run may be deleted.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnlab import files
from cnnlab.config import InputError, Settings, changes, home, make_settings
from cnnlab.hashing import file_digest
from cnnlab.runs import names, opening, request, storage

if TYPE_CHECKING:  # they ask for pandas, and a wrong name is told at once
    from cnnlab.data.earlier import Earlier
    from cnnlab.runs.folder import Run

FOLDER = "from"  # of the run, and the key of what run.json says of it
SIDES, MANIFEST = f"{FOLDER}/sides.csv", f"{FOLDER}/manifest.csv"


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
        raise InputError(
            f"{wrong}: give it a name of its own, such as {names.unused(earlier_name)}."
        )
    folder = home() / "reports" / names.checked(run)
    if (folder / "run.json").exists():
        origin = storage.read_state(folder).get(FOLDER)
        if origin and origin["run"] == earlier_name:
            return  # what it took is in its folder
        said = f"started from {origin['run']!r}" if origin else "not started from another run"
        raise InputError(
            f"Run {run!r} exists and was {said}: give the new one a name of its own, such as "
            f"{names.unused(run)}."
        )
    found = names.find(name)
    for needed in ("manifest.csv", "splits.csv"):
        if not (found / needed).is_file():
            raise InputError(
                f"Run {found.name!r} has no {needed} yet, so no image of it has a side: "
                f"cnnlab run --run {found.name} --only 01"
            )


def settings_of(
    name: str, run: str, profile: str, data: str, overrides: request.Overrides
) -> Settings:
    """Return the settings of a run that starts from another: those of that one, unless given.

    Args:
        name: The earlier run's, or its folder.
        run: The new run's name; one that exists has its own settings.
        profile: Another profile; what the earlier run changed of its own stays changed.
        data: Other data; "" for the earlier run's.
        overrides: See ``opening.open_run``.
    """
    if (home() / "reports" / run / "run.json").exists():
        return request.settings_of(run, profile, data, overrides)
    stored = storage.read_settings(names.find(name))
    kept = changes(stored) | {"source": data or stored.data.source}
    return make_settings(profile or stored.profile, request.as_texts(overrides), **kept)


def start(name: str, run: str, profile: str, data: str, overrides: request.Overrides) -> None:
    """Create a run that starts from an earlier one, which stays as it is; one that exists stays.

    Args:
        name: The earlier run's, or its folder.
        run: The new run's name.
        profile: See ``settings_of``, like the others.
        data: See there.
        overrides: See there.

    Raises:
        InputError: See ``refuse``; or a setting or the data cannot be used.
    """
    refuse(name, run)
    folder = home() / "reports" / run
    if (folder / "run.json").exists():
        return
    from cnnlab.data import earlier, splits, tables
    from cnnlab.runs import past_openings
    from cnnlab.runs.folder import Run

    before = names.find(name)
    settings = opening.settled(settings_of(name, run, profile, data, overrides))
    past_openings.record(before)  # what its models have seen is known even where it is deleted
    state = storage.read_state(before)
    listed = tables.load(before / "manifest.csv", ("path", "sha256"))
    contents = dict(zip(listed["path"], listed["sha256"].fillna(""), strict=True))
    table, run_before = splits.read(before / "splits.csv"), Run(before, settings)
    older = earlier.read(before / SIDES) if FOLDER in state else None
    sides = earlier.of(table, contents, older)
    files.make_folder(folder / FOLDER)
    earlier.write(sides, folder / SIDES)
    shutil.copyfile(before / "manifest.csv", folder / MANIFEST)
    used = table.loc[table["split"] != "excluded", "label"].tolist()
    origin = {
        "run": before.name,
        "run_id": run_before.id,
        "dataset": (state.get("dataset") or {}).get("sha256"),
        "model_id": _model_id(before),
        "class_names": earlier.ordered(used, run_before.known_classes),
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


def sides(run: "Run") -> "Earlier | None":
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
    from cnnlab.data import earlier

    return earlier.read(run.folder / SIDES)


def _model_id(folder: Path) -> str | None:
    try:
        return json.loads((folder / "model" / "contract.json").read_text("utf-8"))["model_id"]
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""The run folder ``reports/<run>/``: what a notebook reads from earlier ones and leaves for later.

``run.json`` holds the settings and the provenance. Every file is written beside its place and
then moved onto it, so a reader never meets half a file and a killed notebook leaves the old one.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from cnnlab import files
from cnnlab.config import InputError, Settings, home
from cnnlab.data import ledger, tables
from cnnlab.records import Record
from cnnlab.runs import provenance, steps, storage

if TYPE_CHECKING:  # these import TensorFlow, which the runner and `cnnlab --help` can do without
    import numpy as np
    from matplotlib.figure import Figure

    from cnnlab.data.batches import Dataset
    from cnnlab.data.sources.entries import Source

# Columns that stay text, whatever they look like: a class may be called "001" or "None".
TEXT_COLUMNS = (
    *(
        "path",
        "label",
        "predicted",
        "split",
        "picture",
        "group",
        "reason",
        "class",
        "other",
        "kind",
    ),
    *("suggested", "first", "second", "slice"),
)


class Run:
    """One run folder and the settings that decide its results.

    Attributes:
        folder: ``reports/<name>``.
        settings: What ``run.json`` said when the run was opened.
    """

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder = folder
        self.settings = settings

    def __repr__(self) -> str:
        source = self.settings.data.source
        return f"Run({self.name!r}, profile={self.settings.profile!r}, data={source!r})"

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def id(self) -> str:
        """Name and time of creation: tells two runs of one name apart."""
        created = re.sub(r"[-:]|\..*", "", self.state()["created"])
        return f"{self.name}-{created}Z"

    @property
    def known_classes(self) -> list[str]:
        """The classes whose indices it keeps; none where it starts from no earlier run."""
        return list((self.state().get("from") or {}).get("class_names", ()))

    def path(self, *parts: str) -> Path:
        """Return a path inside the run folder; the folders above it are made."""
        path = self.folder.joinpath(*parts)
        files.make_folder(path.parent)
        return path

    def require(self, relative: str, notebook: str = "") -> Path:
        """Return the path of something that an earlier notebook wrote.

        Args:
            relative: POSIX path inside the run folder, such as ``"splits.csv"``.
            notebook: Who writes it; "" looks it up in ``steps``.

        Raises:
            InputError: It is missing; the message names the notebook to run first.
        """
        path = self.folder / relative
        if not path.exists():
            hint = f"run notebook {notebook}" if notebook else steps.hint(relative)
            said = f"yet: {hint} first" if hint else "and no notebook writes it"
            raise InputError(f"Run {self.name!r} has no {relative} {said}.")
        return path

    def save_figure(self, figure: "Figure", name: str) -> "Figure":
        """Write ``figures/<name>.png`` and return the figure, so that the notebook shows it."""
        with files.replacing(self.path("figures", f"{name}.png")) as temporary:
            figure.savefig(
                temporary,
                format="png",
                dpi=self.settings.report.figure_dpi,
                bbox_inches="tight",
                metadata={"Software": None},  # equal figures are equal bytes
            )
        return figure

    def save_text(self, relative: str, text: str) -> Path:
        """Write a text file, UTF-8."""
        path = self.path(relative)
        files.write(path, text)
        return path

    def save_json(self, relative: str, data: Any) -> Path:
        """Write a record, or plain JSON; NaN and infinities become null."""
        path = self.path(relative)
        storage.write_json(path, data.to_json() if isinstance(data, Record) else data)
        return path

    def load_json(self, relative: str, notebook: str = "") -> Any:
        """Return what ``save_json`` wrote; raises as ``require`` does."""
        return json.loads(self.require(relative, notebook).read_text(encoding="utf-8"))

    def save_table(self, relative: str, table: pd.DataFrame) -> Path:
        """Write a CSV file without the index, guarded as ``data.tables`` says."""
        path = self.path(relative)
        tables.write(table, path)
        return path

    def load_table(self, relative: str, notebook: str = "") -> pd.DataFrame:
        """Return what ``save_table`` wrote, numbers exactly; raises as ``require`` does."""
        return tables.load(self.require(relative, notebook), TEXT_COLUMNS)

    def state(self) -> dict[str, Any]:
        """Return ``run.json`` as it is now."""
        return storage.read_state(self.folder)

    def record(self, key: str, value: Any) -> None:
        """Set one key of ``run.json``, safely beside other processes."""
        if key in ("settings", storage.CHANGES):
            raise InputError("The settings of a run are not recorded like results: see amendments.")
        self.update(lambda state: state.__setitem__(key, value))

    def update(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Let ``change`` edit ``run.json`` in place while no other process does."""
        with storage.locked(self.folder):
            state = storage.read_state(self.folder)
            change(state)
            storage.write_json(self.folder / "run.json", state)

    def source(self) -> "Source":
        """Return where this run's images come from; generated data is made on first use."""
        from cnnlab.data.sources import selection

        return selection.resolve(self.settings, progress=True)

    def dataset(self) -> "Dataset":
        """Return the prepared pixels and splits, the test set sealed.

        Raises:
            InputError: Notebook 01 has not run, or an image is not what it was then.
        """
        from cnnlab.data import batches, manifest, splits
        from cnnlab.data.audit import changes

        listed = self.require("manifest.csv")
        found, source = manifest.read(listed), self.source()
        changed = changes.since(found, source.root, listed.stat().st_mtime_ns, source.entries())
        if len(changed):
            raise InputError(
                f"The data of run {self.name!r} changed since its manifest was made: "
                f"{changes.described(changed)}. Results of two datasets must not mix: put the "
                f"files back, choose another run name, or remove {self.folder}."
            )
        return batches.open_dataset(
            splits.read(self.require("splits.csv")),
            source,
            self.settings,
            contents=dict(zip(found["path"], found["sha256"], strict=True)),
            cache=home() / "data" / "prepared",
            class_order=self.known_classes,
            progress=True,
        )

    def open_test_set(self, by: str, seeds: Mapping[int, str] | None = None) -> "Dataset":
        """Return the dataset with the test set open; ledger and ``run.json`` record it before.

        A run opens it for the model that ships and for one model of each further seed that its
        settings declare: each is an opening of its own. The same model may be scored again, which
        ``run.json`` records again and the ledger does not.

        Args:
            by: The notebook that opens it.
            seeds: Seed → model id, of the models trained with further seeds.

        Raises:
            InputError: It was opened for another model of the same seed, so this one was trained
                after the answer was seen; a seed was not declared; or an opening cannot be
                recorded.
        """
        ships = self.load_json("model/contract.json")["model_id"]
        models: list[tuple[int | None, str]] = [(None, ships), *(seeds or {}).items()]
        for seed, model_id in models:
            self.refuse_other_model(model_id, seed)
        dataset, images = self.dataset(), ledger.test_images(self.folder)
        entries: list[dict[str, Any]] = []
        for seed, model_id in models:
            entry: dict[str, Any] = {"at": provenance.now(), "by": by, "model_id": model_id}
            entry |= {} if seed is None else {"seed": seed}
            ledger.record(self.opening(entry, images), images)
            entries.append(entry | {"images": ledger.digest(images)})
        self.update(lambda state: state["test_set_opened"].extend(entries))
        return replace(dataset, test_open=True)

    def tested(self) -> set[str]:
        """Return the ids of the run's models that have seen its test set."""
        return {entry["model_id"] for entry in self.state()["test_set_opened"]}

    def opening(self, entry: dict[str, Any], images: "np.ndarray") -> ledger.Opening:
        """Return what the ledger records of an entry of ``test_set_opened``; see its attributes."""
        state = self.state()
        return ledger.Opening(
            **{key: entry[key] for key in ("at", "by", "model_id")},
            run=self.name,
            run_id=self.id,
            created=state["created"],
            dataset=(state.get("dataset") or {}).get("name", ""),
            images=ledger.digest(images),
            count=len(set(images.tolist())),
        )

    def refuse_other_model(self, model_id: str, seed: int | None = None) -> None:
        """Raise InputError if the test set was opened for a model other than this one.

        Notebook 03 asks before it replaces anything, so the tested model and its results stay.

        Args:
            model_id: Of the model that is to be tested.
            seed: What it was trained with, if it is not the model that ships but one that shows
                how much is luck of the seed.
        """
        declared = self.settings.seeds[1:]
        if seed is not None and seed not in declared:
            listed = ", ".join(map(str, declared)) or "none"
            raise InputError(
                f"Run {self.name!r} has not declared seed {seed}: expected one of more_seeds, "
                f"{listed}."
            )
        for earlier in self.state()["test_set_opened"]:
            if earlier.get("seed") == seed and earlier["model_id"] != model_id:
                said = "" if seed is None else f" of seed {seed}"
                raise InputError(
                    f"The test set of run {self.name!r} was opened at {earlier['at']} for model "
                    f"{earlier['model_id'][:12]}{said}; this is model {model_id[:12]}, trained "
                    "after the answer was seen: choose another run name."
                )

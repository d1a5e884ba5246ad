"""Sealing the data of a run: what one run was split, trained and measured on stays one dataset."""

import pandas as pd

from cnnlab.config import InputError
from cnnlab.runs.folder import Run


def seal_manifest(run: Run, files: pd.DataFrame, name: str) -> None:
    """Write ``manifest.csv`` and record the dataset, unless the run was split with other data.

    Args:
        run: The run of notebook 01.
        files: From ``manifest.build``, just now.
        name: What the source is called.

    Raises:
        InputError: The run holds a manifest and a split of different data, or of data that another
            version judged otherwise, and the message lists what changed. Nothing is written.

    Example:
        >>> seal_manifest(lab, manifest.build(source), source.name)  # doctest: +SKIP
    """
    from cnnlab.data import manifest  # it imports TensorFlow
    from cnnlab.data.audit import changes

    sealed, split = (run.folder / part for part in ("manifest.csv", "splits.csv"))
    if sealed.exists() and split.exists():
        before = manifest.read(sealed)
        found = changes.difference(before, files)
        if len(found):
            said = f"The data of run {run.name!r} changed since it was split"
            if not changes.rewritten(before, files):
                said = (
                    f"The files of run {run.name!r} are what they were when it was split, and this "
                    "version of cnnlab, or what declares labels and groups, judges them otherwise"
                )
            raise InputError(
                f"{said}: {changes.described(found)}. Results of two datasets must not mix: "
                f"choose another run name, or remove {run.folder}."
            )
    manifest.write(files, run.path("manifest.csv"))
    run.record("dataset", {"name": name, "sha256": manifest.digest(files)})


def seal_split(run: Run, table: pd.DataFrame) -> None:
    """Write ``splits.csv``, unless the run was split otherwise.

    Args:
        run: The run of notebook 01.
        table: From ``splits.assign``, just now.

    Raises:
        InputError: The run holds another split of the same data, made by other code: a model
            trained on one must not be tested on the other. Nothing is written.
    """
    from cnnlab.data import splits

    sealed = run.path("splits.csv")
    if sealed.exists() and not splits.read(sealed).equals(table.reset_index(drop=True)):
        raise InputError(
            f"Run {run.name!r} was split otherwise, by another version of cnnlab: images would "
            f"change sides. Choose another run name, or remove {run.folder}."
        )
    splits.write(table, sealed)

"""A source read, audited and split as a run does it, where there is no run."""

from dataclasses import dataclass

import pandas as pd

from cnnlab.config import Settings, home
from cnnlab.data import manifest, refusals, splits
from cnnlab.data.audit import audit
from cnnlab.data.batches import Dataset, open_dataset
from cnnlab.data.sources import selection
from cnnlab.data.sources.entries import Source


@dataclass(frozen=True)
class SplitSource:
    """A source with its manifest and its split."""

    source: Source
    files: pd.DataFrame
    table: pd.DataFrame
    progress: bool = False

    def open(self, settings: Settings) -> Dataset:
        """Return the images at the size that the settings say, prepared where a run finds them."""
        return open_dataset(
            self.table, self.source, settings,
            contents=dict(zip(self.files["path"], self.files["sha256"], strict=True)),
            cache=home() / "data" / "prepared", progress=self.progress,
        )  # fmt: skip


def split(settings: Settings, *, progress: bool = False) -> SplitSource:
    """Return the settings' source, split.

    Args:
        settings: Source, groups, background, split and seed.
        progress: Show bars on standard output.

    Raises:
        InputError: The source is not usable.
    """
    source, background = selection.resolve(settings, progress=progress), settings.data.background
    files = manifest.build(source, background=background, progress=progress)
    refusals.require_usable(files, source.root)
    pictures = audit.pictures(files, source, background=background, progress=progress)
    return SplitSource(source, files, splits.assign(files, pictures, settings), progress)

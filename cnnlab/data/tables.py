"""Tables as CSV files: whole or absent, and text stays text."""

import csv
from pathlib import Path

import pandas as pd

from cnnlab import files
from cnnlab.config import InputError


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV without its index; its folder exists."""
    with files.replacing(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
        if b"\r" in temporary.read_bytes():  # unquoted, readers take it for the end of a row
            table.to_csv(temporary, index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)


def read(path: Path, name: str, *columns: list[str]) -> pd.DataFrame:
    """Return a table in which every value is text, a class called "NA" included.

    Args:
        path: A CSV file.
        name: What it is, for the message: "manifest".
        *columns: The columns that it must have, in this order; then those of earlier versions.

    Raises:
        InputError: The file cannot be read or has other columns.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the {name} {path}: {error}.") from None
    if list(table.columns) not in columns:
        raise InputError(f"{path} is not a {name}: expected the columns {', '.join(columns[0])}.")
    return table

"""Tables as CSV files: whole or absent, text stays text, and no spreadsheet computes it.

A spreadsheet takes a cell for a formula that begins with ``=``, ``+``, ``-`` or ``@``, and a folder
may be called ``=cmd|…``. Text that a spreadsheet could compute gets an apostrophe before it
(``guard``); the row then says ``yes`` in a last column ``guarded``, which a table has only where a
row needs it. Whoever reads with this module gets the exact text back. Tables of earlier versions
have no such column and mean what they say, an apostrophe included. Numbers are never guarded.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cnnlab import files
from cnnlab.config import InputError

GUARDED = "guarded"  # the column that says which rows hold apostrophes to be taken away again
YES = "yes"

# Formulas begin with a sign, in some locales a full-width one, after quotes, spaces and characters
# that nobody sees. They begin where a cell does. In locales that separate cells by something else
# than a comma, one begins behind that, too: quotes around our cell do not help there. A cell that
# begins with a tab or a line break is guarded as well: some spreadsheets skip these.
_SIGNS = "=+@\uff1d\uff0b\uff0d\uff20\\-"
_SKIPPED = (
    " '\"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\xa0\xad\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff"
)
_FORMULA = rf"(?:\A|(?<=[;\t\r\n]))(?=[{_SKIPPED}]*[{_SIGNS}])|\A(?='*[\t\r\n])"
_ANY = re.compile(rf"[{_SIGNS}\t\r\n]")  # most texts have none, and this is soon found
_TO_GUARD = re.compile(_FORMULA)
_TO_FREE = re.compile(rf"(?:{_FORMULA})'")


def guard(text: str) -> str:
    """Return text that no spreadsheet computes: an apostrophe stands before what would be.

    Example:
        >>> guard("=1+1"), guard("'=1+1"), guard("'tis"), guard("a-b")
        ("'=1+1", "''=1+1", "'tis", 'a-b')
    """
    return _TO_GUARD.sub("'", text) if _ANY.search(text) else text


def unguard(text: str) -> str:
    """Return the text that ``guard`` was given, whatever it was."""
    return _TO_FREE.sub("", text)


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as guarded CSV without its index; its folder exists."""
    table = _guarded(table)
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
            Any, if none are given.

    Raises:
        InputError: The file cannot be read or has other columns.
    """
    try:
        table = _freed(pd.read_csv(path, dtype=str, keep_default_na=False))
    except (OSError, ValueError) as error:
        raise InputError(f"Cannot read the {name} {path}: {error}.") from None
    if columns and list(table.columns) not in columns:
        raise InputError(f"{path} is not a {name}: expected the columns {', '.join(columns[0])}.")
    return table


def load(path: Path, text: Collection[str]) -> pd.DataFrame:
    """Return a table whose numbers are numbers again, exactly; empty cells are missing values.

    Args:
        path: A CSV file.
        text: Columns that stay text, whatever they look like.
    """
    kinds = dict.fromkeys((*text, GUARDED), str)
    return _freed(pd.read_csv(path, dtype=kinds, keep_default_na=False, na_values=[""]))


def rows(path: Path) -> Iterator[list[str]]:
    """Yield the header and then every row of a table, as text.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not UTF-8, or no CSV.
    """
    with open(path, encoding="utf-8", newline="") as file:
        found = csv.reader(file)
        try:
            header = next(found, [])
            mark = len(header) - 1 if header[-1:] == [GUARDED] else None
            yield header if mark is None else _unmarked([*header[:mark], YES], mark)
            for row in found:
                yield row if mark is None else _unmarked(row, mark)
        except csv.Error as error:
            raise ValueError(f"{path} is no CSV table: {error}.") from None


def _unmarked(row: list[str], mark: int) -> list[str]:
    """Return a row without its mark, which stands last and says whether it is guarded."""
    cells = row[:mark]
    return [unguard(cell) for cell in cells] if row[mark:] == [YES] else cells


def for_people(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts as guarded CSV that a person downloads and cnnlab never reads.

    It has no column that says which rows are guarded, and lines end as RFC 4180 wants it.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerows([guard(cell) for cell in row] for row in (header, *rows))
    return target.getvalue()


def _guarded(table: pd.DataFrame) -> pd.DataFrame:
    """Return what is written of a table."""
    if GUARDED in table:
        raise ValueError(f"A table has a column {GUARDED!r}, which marks guarded rows.")
    marks = [""] * len(table)
    names = [_safe(name) for name in table.columns]
    safe = table.copy(deep=False)
    for place, kind in enumerate(table.dtypes):
        if not pd.api.types.is_numeric_dtype(kind):
            old = table.iloc[:, place].tolist()
            new = [_safe(cell) for cell in old]
            marks = [
                YES if a is not b else mark for a, b, mark in zip(old, new, marks, strict=True)
            ]
            safe.isetitem(place, pd.Series(new, table.index, dtype=object))
    if YES not in marks and names == list(table.columns):
        return table
    return safe.set_axis(names, axis=1).assign(**{GUARDED: marks})


def _safe(cell: Any) -> Any:
    """Return what is written of a cell; itself where nothing has to be done."""
    if not isinstance(cell, str):
        return cell
    text = guard(cell)
    return cell if text == cell else text


def _freed(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table that ``_guarded`` was given."""
    if list(table.columns)[-1:] != [GUARDED]:
        return table
    marked = (table[GUARDED] == YES).to_numpy()
    table = table.drop(columns=GUARDED)
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name].dtype):
            cells = table.loc[marked, name]
            table.loc[marked, name] = [unguard(x) if isinstance(x, str) else x for x in cells]
    return table.set_axis([unguard(name) for name in table.columns], axis=1)

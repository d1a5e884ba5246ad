"""A table that a user wrote: a CSV of any usual dialect, whose rows are checked and named.

Comma, semicolon or tab; with a byte-order mark or without; columns in any order and case, under
common names. Rows are numbered as a spreadsheet does: the header is row 1, empty rows count.
"""

import csv
import difflib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnnlab.config import InputError
from cnnlab.text.first_of import first_of

SUFFIXES = (".csv", ".tsv")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
SHOWN = 3  # rows or values in a message

# What a column may be called, beside its own name.
SYNONYMS = {
    "path": ("file", "filename", "file_name", "filepath", "file_path", "image", "image_path"),
    "label": ("labels", "class", "class_name", "category", "target"),
    "group": ("groups", "group_id", "patient", "patient_id", "subject", "subject_id", "video",
              "video_id", "burst"),
    "split": ("set", "subset", "partition"),
}  # fmt: skip
KNOWN = {*SYNONYMS, *(name for names in SYNONYMS.values() for name in names)}


@dataclass(frozen=True)
class UserTable:
    """The rows of a table, spaces around every value removed.

    Attributes:
        file: Where it lies.
        numbers: Of each row, in the file.
        columns: Name → value of each row; a column that the file lacks is missing.
        notes: What was left out or changed, in sentences.
    """

    file: Path
    numbers: list[int]
    columns: dict[str, list[str]]
    notes: list[str]

    def refuse(self, wrong: Sequence[bool], problem: str, cure: str) -> None:
        """Raise InputError with the numbers of the rows that are wrong, if any is."""
        numbers = [number for number, bad in zip(self.numbers, wrong, strict=True) if bad]
        if numbers:
            raise InputError(f"{self.file}, {listed(numbers)}: {problem}. {cure}")


def read(file: Path, required: Sequence[str], optional: Sequence[str] = ()) -> UserTable:
    """Return the rows of a table.

    Args:
        file: The CSV file.
        required: Columns that it must have, keys of ``SYNONYMS``.
        optional: Columns that it may have.

    Raises:
        InputError: It cannot be read, lacks a column, names one twice, or has a row of another
            length, a quote that does not close, or no row.
    """
    text = _text(file)
    expected = ",".join(required) + "".join(f"[,{name}]" for name in optional)
    headers = {sign: _header(text, sign) for sign in SEPARATORS}
    wanted = (*required, *optional)
    sign = max(headers, key=lambda each: len(_places(headers[each], wanted)))
    header = headers[sign]
    if not any(header):
        raise InputError(f"{file} is empty: expected a header {expected} and a row for each image.")
    places = _places(header, wanted)
    for name in wanted:
        _refuse_unclear(file, header, name, places)
    missing = [name for name in required if name not in places]
    if missing:
        raise InputError(
            f"{file} has no column {missing[0]!r}: its first row is {', '.join(header)!r}. "
            f"Expected {expected}, separated by {', '.join(SEPARATORS.values())}."
        )
    rows, numbers = _rows(file, text, sign, header, expected)
    columns = {
        name: [row[place[0]].strip() for row in rows] for name, place in places.items() if place
    }
    used = {place[0] for place in places.values()}
    ignored = [repr(name) for place, name in enumerate(header) if name and place not in used]
    notes = [f"{file.name}: not used: column {', '.join(ignored)}"] if ignored else []
    return UserTable(file, numbers, columns, notes)


def listed(numbers: Sequence[int]) -> str:
    """Return "row 3" or "rows 3, 7, 9 and 12 more"."""
    return f"row{'s' if len(numbers) > 1 else ''} {first_of([*map(str, numbers)], SHOWN)}"


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read {file}: {error.strerror}.") from None
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{file} is written in UTF-16: save it as UTF-8.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        raise InputError(f"{file}, row {row}: not written in UTF-8. Save it as UTF-8.") from None
    if "\0" in text:
        raise InputError(f"{file} is no text: expected a CSV table.")
    return text


def _header(text: str, sign: str) -> list[str]:
    """Return the names in the first row that is not empty; none if there is no such row."""
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=sign):
            if any(cell.strip() for cell in row):
                return [cell.strip() for cell in row]
    except csv.Error:
        pass
    return []


def _plain(name: str) -> str:
    return "_".join(name.lower().replace("-", " ").split())


def _places(header: list[str], wanted: Sequence[str]) -> dict[str, list[int]]:
    """Return column → where it stands: under its own name, or else under others."""
    found = {}
    for name in wanted:
        own = [i for i, each in enumerate(header) if _plain(each) == name]
        other = [i for i, each in enumerate(header) if _plain(each) in SYNONYMS[name]]
        if own or other:
            found[name] = own or other
    return found


def _refuse_unclear(file: Path, header: list[str], name: str, places: dict[str, list[int]]) -> None:
    """Raise InputError if a column stands in the header twice, or under a name that is misspelt."""
    found = [header[place] for place in places.get(name, [])]
    if len(found) > 1:
        raise InputError(
            f"{file}: the columns {' and '.join(map(repr, found))} could both be the {name}: "
            f"call one of them {name!r}, and the others otherwise."
        )
    other = [each for each in map(_plain, header) if each not in KNOWN]
    close = difflib.get_close_matches(name, other, 1, cutoff=0.75)
    if not found and close:
        raise InputError(f"{file} has a column {close[0]!r}: did you mean {name!r}? Rename it.")


def _rows(
    file: Path, text: str, sign: str, header: list[str], expected: str
) -> tuple[list[list[str]], list[int]]:
    """Return the rows below the header that are not empty, and their numbers."""
    rows, numbers = [], []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sign, strict=True)
    number = 0
    try:
        for number, row in enumerate(reader, start=1):
            if any(cell.strip() for cell in row):
                rows.append(row)
                numbers.append(number)
    except csv.Error as error:
        raise InputError(
            f"{file}, row {number + 1}: {error}. A value with a separator or a quote in it "
            "needs quotes around it, and a quote inside is doubled."
        ) from None
    ragged = [n for n, row in zip(numbers, rows, strict=True) if len(row) != len(header)]
    if ragged:
        size = len(rows[numbers.index(ragged[0])])
        raise InputError(
            f"{file}, {listed(ragged)}: {size} values, and {len(header)} columns. Expected "
            f"{SEPARATORS[sign]} between values, and quotes around one that has some in it."
        )
    if len(rows) < 2:
        raise InputError(f"{file} has a header and no row: expected {expected}, a row per image.")
    return rows[1:], numbers[1:]

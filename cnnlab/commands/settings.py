"""``cnnlab settings``: every setting with its values, range and meaning; those of a run."""

import shutil
import textwrap
from dataclasses import Field, fields
from typing import Any

import click

from cnnlab.commands.terminal import print_json, printable
from cnnlab.config import PROFILES, may_change, value_of
from cnnlab.config.model import MODULES
from cnnlab.config.section import allowed
from cnnlab.config.settings import FIELDS

PIPED = (100, 24)  # columns and lines where there is no terminal
NARROW = 88  # columns below which the meaning has no room beside the values
LONGEST = 10  # characters of a value that a column makes room for; a longer one has its own line
MANY = 12  # choices: more are not listed
SAME = "·"  # stands for the value in the first column
ORDER = ("full", *(name for name in PROFILES if name != "full"))  # full has the defaults
PUBLISHED = ("data", "licence", "source", "smallest")  # what is told of a network's own weights
SHOWN = [name for name in FIELDS if name != "profile"]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--networks", is_flag=True, help="Print the networks and their options instead.")
@click.argument("run", required=False)
def settings(run: str | None, as_json: bool, networks: bool) -> None:
    """Print every setting: what it means, its default (profile full), the other profiles' values.

    With RUN (reports/<run> or its name): that run's values beside its profile's. An asterisk marks
    what differs; what was changed since the run was made is listed with its time.

    Settings are set by `cnnlab run --set NAME=VALUE`, or by `overrides` in a notebook. Those of
    evaluation and report may also change in a run that exists.
    """
    if networks:
        _show_networks(as_json)
        return
    if run is None:
        facts: dict[str, Any] = {"settings": [_described(name) for name in SHOWN]}
    else:
        facts = _of_run(run)
    if as_json:
        print_json(facts, indent=2)
        return
    if run is not None:
        click.echo(f"Run {printable(facts['run'])}, made with profile {facts['profile']}\n")
    columns = ["run", facts["profile"]] if run is not None else [*ORDER]
    _print(columns, facts["settings"])
    click.echo(f"\n{SAME} as in column {columns[0]}{', the defaults' if run is None else ''}")
    if any(row.get("differs") for row in facts["settings"]):
        click.echo(f"* not as in profile {facts['profile']}")
    if facts.get("changes"):
        click.echo("\nChanged since the run was made (UTC):")
    for change in facts.get("changes", []):
        at = change["at"][:16].replace("T", " ")
        values = f"{change['setting']}: {change['old']} → {change['new']}"
        click.echo(f"  {at}  {printable(values)}")


def _show_networks(as_json: bool) -> None:
    """Print every architecture with what ``network_options`` may say of it."""
    from cnnlab import models  # asks for Keras

    families = [models.architecture(name) for name in models.ARCHITECTURES]
    if as_json:
        found = [
            {
                "name": family.name,
                "summary": family.summary,
                "options": [_of_field(option) for option in fields(family.options)],  # type: ignore[arg-type]
                "pretrained": family.pretrained
                and {part: getattr(family.pretrained, part) for part in PUBLISHED},
            }
            for family in families
        ]
        print_json({"networks": found}, indent=2)
        return
    width = shutil.get_terminal_size(PIPED).columns
    for family in (each for each in families if each.name in MODULES):
        click.echo(f"{family.name}")
        click.echo(
            textwrap.fill(family.summary, width, initial_indent="  ", subsequent_indent="  ")
        )
        if known := family.pretrained:
            text = f"{known.data}; {known.licence}; {known.smallest} pixels a side or more"
            click.echo(textwrap.fill(f"    weights=pretrained: {text}", width))
        for option in fields(family.options):  # type: ignore[arg-type]
            click.echo(f"    {option.name}={_text(option.default)}")
            text = f"{option.metadata['meaning']}; {allowed(option)}"
            indent = " " * 6
            click.echo(textwrap.fill(text, width, initial_indent=indent, subsequent_indent=indent))
        click.echo()
    _print_applications(families[len(MODULES) :], width)
    click.echo(
        "Set them by --set architecture=NAME --set network_options=OPTION=VALUE,OPTION=VALUE"
    )


def _print_applications(families: list[Any], width: int) -> None:
    """Print the networks of keras.applications, a line each."""
    title = "Of keras.applications; weights=pretrained begins with those that Keras publishes:"
    click.echo(textwrap.fill(title, width))
    longest = max(len(family.name) for family in families)
    for family in families:
        options = f", {fields(family.options)[0].name}=" if fields(family.options) else ""
        known = family.pretrained
        click.echo(f"  {family.name:{longest}}  from {known.smallest} px, {known.licence}{options}")
    click.echo()


def _described(name: str) -> dict[str, Any]:
    """Return what is known of a setting, as JSON values."""
    section, field = FIELDS[name]
    return {
        **_of_field(field),
        "section": section,
        "values": {profile: value_of(PROFILES[profile], name) for profile in ORDER},
        "may_change": may_change(name),
    }


def _of_field(field: Field) -> dict[str, Any]:
    """Return what a field says of itself, as JSON values."""
    known = {part: field.metadata[part] for part in ("low", "high", "meaning")}
    choices = list(field.metadata["choices"])
    return {"name": field.name, "default": field.default, **known, "choices": choices}


def _of_run(run: str) -> dict[str, Any]:
    """Return a run's settings beside its profile's, and what was changed when."""
    from cnnlab.runs import names, storage

    folder = names.find(run)
    found, state = storage.read_settings(folder), storage.read_state(folder)
    rows = []
    for name in SHOWN:
        values = {"run": value_of(found, name), found.profile: _usual(found.profile, name)}
        differs = name != "source" and len(set(values.values())) > 1  # no profile has images
        own = {"values": values, "differs": differs}
        rows.append(_described(name) | own)
    changes = state.get(storage.CHANGES, [])
    return {"run": folder.name, "profile": found.profile, "settings": rows, "changes": changes}


def _usual(profile: str, name: str) -> Any:
    return value_of(PROFILES[profile], name)


def _print(columns: list[str], rows: list[dict[str, Any]]) -> None:
    """Print the settings by section, the values of one profile below each other."""
    width = shutil.get_terminal_size(PIPED).columns
    texts = [_texts(row, columns) for row in rows]
    names = max(len(row["name"]) for row in rows)
    sizes = [
        max(len(cell) for cell in (column, *cells) if len(cell) <= LONGEST)
        for column, cells in zip(columns, zip(*texts, strict=True), strict=True)
    ]
    ranges = max(len(_range(row)) for row in rows if len(_range(row)) <= LONGEST * 2)
    left = 2 + names + sum(size + 2 for size in sizes)
    show = _wide if width >= NARROW else _narrow
    click.echo(f"{'':{names + 2}}{_cells(columns, sizes)}".rstrip())
    section = ""
    for row, text in zip(rows, texts, strict=True):
        if row["section"] != section:
            section = row["section"]
            note = "  (may change in a run that exists)" if row["may_change"] else ""
            click.echo(f"\n{section}{note}")
        start = f"  {row['name']:{names}}"
        if any(len(cell) > size for cell, size in zip(text, sizes, strict=True)):  # a path, a name
            click.echo(start.rstrip())
            for column, cell in zip(columns, text, strict=True):
                if cell != SAME:
                    click.echo(f"      {column}: {cell}")
            start, text = " " * len(start), [""] * len(text)
        show(f"{start}{_cells(text, sizes)}", row, left, ranges, width)


def _wide(start: str, row: dict[str, Any], left: int, ranges: int, width: int) -> None:
    """Print one line: name, values, range; the meaning beside them, wrapped."""
    indent = left + 2 + ranges + 2
    range_, meaning = _range(row), row["meaning"]
    if len(range_) > ranges:  # many choices
        range_, meaning = "one of", f"{meaning}: {range_}"
    first, *more = textwrap.wrap(meaning, width - indent)
    click.echo(f"{start:{left}}  {range_:{ranges}}  {first}")
    for line in more:
        click.echo(f"{'':{indent}}{line}")


def _narrow(start: str, row: dict[str, Any], left: int, ranges: int, width: int) -> None:
    """Print name and values, and below them the meaning and the range."""
    if start.strip():
        click.echo(start.rstrip())
    text = f"{row['meaning']}; {_range(row)}"
    click.echo(textwrap.fill(text, width, initial_indent="      ", subsequent_indent="      "))


def _texts(row: dict[str, Any], columns: list[str]) -> list[str]:
    """Return a setting's values as text, one a column."""
    first, *others = (_text(row["values"][column]) for column in columns)
    mark = "*" if row.get("differs") else ""
    return [f"{mark}{first}", *(SAME if other == first else other for other in others)]


def _cells(texts: list[str], sizes: list[int]) -> str:
    return "".join(f"  {text:>{size}}" for text, size in zip(texts, sizes, strict=True))


def _range(row: dict[str, Any]) -> str:
    return (
        f"{count} names"
        if (count := len(row["choices"])) > MANY
        else allowed(FIELDS[row["name"]][1])
    )


def _text(value: Any) -> str:
    """Return a value as one would type it."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else printable(value)

"""``cnnlab compare``: two runs side by side."""

from typing import TYPE_CHECKING

import click

from cnnlab.commands.terminal import print_table, printable

if TYPE_CHECKING:  # it imports what `cnnlab --help` can do without
    from cnnlab.report.headlines import Row


@click.command()
@click.argument("first")
@click.argument("second")
def compare(first: str, second: str) -> None:
    """Compare two runs (reports/<run> or their names): what differs, and is one better?

    Prints the settings and data that differ, the headline figures with the difference FIRST minus
    SECOND, and whether it is more than chance. The page reports/<first>-vs-<second>.html shows the
    figures, too. Answers are paired only where the test images or the folds are the same.

    Exit status: 0 compared, 2 bad input.
    """
    from cnnlab.runs import names

    folders = names.find(first), names.find(second)
    from cnnlab.report import comparison_page

    found = comparison_page.compare(*folders)
    if found.causes:
        print_table(["part", "what", *found.names], [list(row) for row in found.causes])
    rows = [
        [line.label, *map(_shown, (line.first, line.second)), line.difference, line.limits]
        for line in found.lines
    ]
    print_table(["figure", *found.names, "difference", "95 % interval"], rows)
    for text in (*found.cautions, *(f"{about}: {said}" for about, said in found.words.items())):
        click.echo(click.wrap_text(printable(text), width=88) + "\n")
    click.echo(comparison_page.write_page(found))


def _shown(row: "Row") -> str:
    """Return a figure with its interval; a mean over folds has its deviation already."""
    if row.low is None or row.high is None or "±" in row.value:
        return row.value
    return f"{row.value} [{row.low:.3f}, {row.high:.3f}]"

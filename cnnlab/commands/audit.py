"""``cnnlab audit``: what is in a source, and what is wrong with it."""

import contextlib
import sys

import click

from cnnlab.commands.terminal import print_frame, print_json, print_table, printable
from cnnlab.config import make_settings

LISTED = 20  # findings of one kind in a table


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object that lists everything.")
@click.option(
    "--groups",
    type=(str, click.Path()),
    metavar="RULE FILE",
    help="Write the groups that a rule suspects as a table, to be groups.csv.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.argument("source")
def audit(
    source: str, overrides: tuple[str, ...], as_json: bool, groups: tuple[str, str] | None
) -> None:
    """Look through SOURCE and list what is wrong with it.

    SOURCE is 'shapes', a dataset, a folder or a CSV table.
    """
    settings = make_settings("quick", overrides, source=source)
    from cnnlab.data.sources import place

    place.find(settings.data.source)  # a wrong path is told before anything is loaded
    if groups:
        from cnnlab.data.audit import group_advice

        group_advice.refuse(*groups)
    from cnnlab.data.sources import selection

    with contextlib.redirect_stdout(sys.stderr):  # bars must not get into a pipe
        watched = _watched()
        found = selection.resolve(settings, progress=watched)
        from cnnlab.data import manifest, refusals
        from cnnlab.data.audit import audit as auditing
        from cnnlab.data.audit import blank, group_advice, picture_size, suspected_groups

        background = settings.data.background
        files = manifest.build(found, background=background, progress=watched)
        pictures = auditing.pictures(files, found, background=background, progress=watched)
        suspicions = suspected_groups.search(files, pictures, found.root, settings)
    if groups:
        click.echo(group_advice.write(suspicions, *groups))
        return
    findings = auditing.findings(files, pictures)
    summary = auditing.summary(files, findings)
    mostly_blank = blank.described(files, found.root)
    summary["warnings"] += mostly_blank
    summary["suspected_groups"] = group_advice.rows(suspicions, files)
    summary["warnings"] += group_advice.described(summary["suspected_groups"], source)
    fit = picture_size.of_manifest(files)
    if as_json:
        named = {"source": found.name, "sha256": manifest.digest(files), **summary}
        rows = findings.to_dict(orient="records")
        print_json({**named, "notes": found.notes, "list": rows})
        return
    print_table(["files", ""], [list(item) for item in summary["files"].items()])
    kinds = [list(item) for item in summary["findings"].items()]
    print_table(["findings", ""], kinds or [["none", 0]])
    balance = [list(row.values()) for row in summary["balance"]]
    print_table(["label", "split", "images"], balance)
    if "groups" in summary:
        print_table(["groups", ""], [list(item) for item in summary["groups"].items()])
    if fit:
        chosen = settings.data.fit
        for table in (picture_size.size_table(fit), picture_size.fit_table(fit, chosen)):
            print_frame(table)
        for said in picture_size.conclusions(fit, chosen):
            click.echo(click.wrap_text(said, width=88) + "\n")
    for note in found.notes:
        click.echo(f"note: {printable(note)}\n")
    warnings = summary["warnings"]
    if nothing := refusals.described(files):  # it says more than that all classes are empty
        warnings = [nothing, *mostly_blank]
    for warning in warnings:
        click.echo(f"warning: {printable(warning)}\n")
    for kind, rows in findings.groupby("kind", sort=False):
        header = [str(kind), "other", "detail"]
        print_table(header, rows[["path", "other", "detail"]].values.tolist(), LISTED)


def _watched() -> bool:
    """Tell whether a person sees standard error, where the progress bars go."""
    return sys.stderr.isatty()

"""``cnnlab run``: the notebooks, executed into the folder of a run."""

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from cnnlab.commands.terminal import BAD_INPUT, JOBS, complain, print_frame, printable
from cnnlab.config import (
    PROFILES,
    InputError,
    Settings,
    changes,
    parsed,
    parsed_seeds,
)
from cnnlab.config.overrides import split
from cnnlab.places import CannotWrite

if TYPE_CHECKING:
    from cnnlab.runs.folder import Run


@click.command()
@click.option(
    "--data", default="", help="'shapes' (the default), a fetched dataset, a folder or a CSV table."
)
@click.option("--profile", default="", help=f"One of {', '.join(PROFILES)}; quick if not given.")
@click.option("--run", "name", default="", help="Name of the run; the profile's if not given.")
@click.option(
    "--from", "earlier", default="", metavar="RUN", help="Start from an earlier run's split."
)
@click.option("--only", default="", help="Numbers of the notebooks to run, such as 03,05.")
@click.option("--set", "single", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option(
    "--overrides",
    default="",
    metavar="TEXT",
    help="Change several, as in a notebook: \"epochs=3 weights='my net.h5'\".",
)
@click.option(
    "--seeds", default="", metavar="0,1,2", help="Train once a seed; the first model ships."
)
@JOBS
def run(
    data: str,
    profile: str,
    name: str,
    earlier: str,
    only: str,
    single: tuple[str, ...],
    overrides: str,
    seeds: str,
    jobs: int,
) -> None:
    """Execute the notebooks into reports/<run>/ and show the summary.

    An existing run goes on with its own settings. Those of evaluation and report may change (see
    `cnnlab settings`): then only the notebooks that they concern are executed, and finished folds
    are used again. Asking for other settings is an error.

    With several --seeds the network is trained again on the same split with each of the others, and
    mean ± deviation stand beside the figures of the first, whose model ships. A run that exists
    takes further seeds without training its model again.

    --from, with a --run of its own, starts from an earlier run after images or classes were added
    or removed. Images known by their content stay on their side, new ones join their group or draw
    one; new classes come after the others; settings are those of the earlier run unless given. The
    network learns anew: no weights are taken over. The earlier run is only read, and may be deleted
    afterwards.
    """
    # What is wrong is told before anything is loaded.
    changed = (*split(overrides), *single)
    changed += _of_seeds(seeds, changed)
    parsed(changed)
    from cnnlab.runs import execute, opening, request

    wanted = (name or profile or "quick", profile, data, changed)
    if earlier:
        from cnnlab.runs import lineage

        lineage.refuse(earlier, name)
    settings = lineage.settings_of(earlier, *wanted) if earlier else request.settings_of(*wanted)
    request.refuse(*wanted, settings)
    names = execute.selected(execute.available(), only)
    with opening.alone(wanted[0]):
        _execute(wanted, settings, names if only else None, jobs, earlier)


def _execute(
    wanted: tuple[str, str, str, tuple[str, ...]],
    settings: Settings,
    only: list[str] | None,
    jobs: int,
    earlier: str,
) -> None:
    """Execute the notebooks and show what they found; nothing else executes the run meanwhile."""
    from cnnlab.data.audit import group_advice
    from cnnlab.data.sources import selection
    from cnnlab.runs import amendments, execute, forecasts, growth, lineage, opening

    names = only or execute.available()
    if settings.data.source != selection.SHAPES:  # a folder that cannot be used makes no run
        source = selection.resolve(settings)
        for note in source.notes:
            click.echo(f"note: {printable(note)}")
        if any(name.startswith("01") for name in names):
            for warning in group_advice.foretold(source, settings):
                click.echo(f"warning: {printable(warning)}")
    if earlier:
        lineage.start(earlier, *wanted)
    opened = opening.open_run(*wanted)
    from cnnlab.report import caveats, front_page

    click.echo(_headline(opened.name, opened.settings))
    if told := growth.foretold(opened):
        click.echo(printable(told))
    if not only and (due := amendments.due(opened.state(), names)):
        names = due
        said = ", ".join(names)
        click.echo(f"Executing what the change concerns and what is not done: {said}")
    try:
        done = execute.execute(opened, names, jobs=jobs)
    except execute.NotebookFailed as failure:
        complain(str(failure))
        _say_growth(opened, names)
        with suppress(CannotWrite):  # a full disk, of which the failure says more
            click.echo(front_page.build(opened))
        sys.exit(BAD_INPUT if failure.refused else 1)
    _say_growth(opened, names)
    page = front_page.build(opened)
    for executed in done:
        if executed.red_lines:
            click.echo(
                f"note: {executed.notebook} wrote to stderr: {printable(executed.red_lines[0])}"
            )
    click.echo(f"\n{front_page.as_text(front_page.summary(opened))}\n")
    compared = forecasts.compared(opened)
    if compared is not None and len(compared):
        print_frame(compared)
    if said := caveats.beside_test(opened):
        click.echo(f"{said}\n")
    click.echo(page)


def _say_growth(opened: "Run", names: list[str]) -> None:
    """Show what differs from the run that this one starts from, where notebook 01 was executed."""
    from cnnlab.runs import growth

    if any(name.startswith("01") for name in names):
        for sentence in growth.said(opened):
            click.echo(printable(sentence))


def _of_seeds(seeds: str, overrides: tuple[str, ...]) -> tuple[str, ...]:
    """Return the settings that ``--seeds`` stands for; none where it is not given."""
    if not seeds:
        return ()
    twice = {"seed", "more_seeds"} & set(parsed(overrides))
    if twice:
        raise InputError(f"--seeds and --set {min(twice)}=… say the same: expected one of them.")
    if not seeds.strip():
        raise InputError(f"--seeds={seeds!r} names no seed: expected at least one, such as 0,1,2.")
    first, *others = parsed_seeds(seeds)
    return (f"seed={first}", f"more_seeds={','.join(map(str, others))}")


def _headline(name: str, settings: Settings) -> str:
    changed = [f"{key}={value}" for key, value in changes(settings).items()]
    said = f"Run {name}: profile {settings.profile}, data {settings.data.source}"
    return printable(" ".join([said, *changed]))

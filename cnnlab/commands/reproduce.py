"""``cnnlab reproduce``: a run executed again, and compared to the last bit."""

import sys

import click

from cnnlab.commands.terminal import JOBS, print_frame
from cnnlab.config import parsed


@click.command()
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@JOBS
@click.argument("run")
def reproduce(run: str, overrides: tuple[str, ...], jobs: int) -> None:
    """Execute RUN (reports/<run> or its name) again and compare everything it found.

    The notebooks that make numbers, as far as RUN has their results, are executed with the settings
    of its run.json into a folder beside it, which is removed if all is equal.

    Equal bits are promised on one machine with one set of versions, on the processor. Another
    processor or number of cores, a GPU or other versions may change the last digits, and a
    training makes them grow.

    Exit status: 0 all equal, 1 something drifted (a table says what), 2 bad input.
    """
    parsed(overrides)
    from cnnlab.runs import names

    folder = names.find(run)
    from cnnlab.runs import reproduce as again

    done = again.reproduce(folder, overrides, jobs, click.echo)
    if len(done.differences):
        print_frame(done.differences)
    click.echo(done.verdict)
    sys.exit(0 if done.equal else 1)

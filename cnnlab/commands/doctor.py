"""``cnnlab doctor``: what a run of a source would meet, found out in minutes before it begins."""

import contextlib
import sys

import click

from cnnlab.commands.terminal import print_frame, print_json, print_table, printable
from cnnlab.config import PROFILES, home, make_settings

STEPS = 100  # of the range test: as many as a run takes at most


@click.command()
@click.option("--profile", default="quick", help=f"One of {', '.join(PROFILES)}; quick by default.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object that lists everything.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.argument("source", metavar="DATA", default="shapes")
def doctor(source: str, profile: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Look at DATA and a new network as `cnnlab run` would train it; train nothing, keep nothing.

    DATA is 'shapes', a dataset, a folder or a CSV table. Said are: what a later notebook would
    refuse, the loss before the first step, the pixels, whether the network can learn 32 images by
    heart, a learning rate, what the square input costs the images, and the time, memory and disk
    that the run will take. Prepared pixels are kept in data/prepared, where a run finds them.

    Exit status: 0, also where something is odd (a warning says what, and its cure); 2 bad input.
    """
    settings = make_settings(profile, overrides, source=source)
    from cnnlab.runs import opening

    settings = opening.settled(settings)  # what is wrong is told before anything is loaded
    from cnnlab import training
    from cnnlab.data import refusals
    from cnnlab.data.audit import group_advice, picture_size
    from cnnlab.experiment import doctor as examination
    from cnnlab.experiment import feasible, split_source
    from cnnlab.runs import forecasts

    watched, chosen = sys.stderr.isatty(), settings.data
    with contextlib.redirect_stdout(sys.stderr):  # bars must not get into a pipe
        found = split_source.split(settings, progress=watched)
        feasible.check(found.table, settings)
        dataset = found.open(settings)
        rows, trial = dataset.indices("train"), None
        model = training.new_model(dataset, settings)
        checks: list[examination.Check] = []
        if not training.recipe.from_settings(settings).only_probes:
            trial = training.range_test(model, dataset, rows, settings, steps=STEPS)
            checks = [examination.memorises(dataset, rows, settings)]
        diagnosis = examination.diagnose(model, dataset, rows, settings, trial)
        foretold = examination.forecast(model, dataset, settings, trial)
    checks = [*diagnosis.checks, *checks, *forecasts.on_machine(foretold, home())]
    if as_json:
        shown = [each.to_json() for each in checks]
        print_json({**diagnosis.to_json(), "checks": shown, "forecast": foretold.to_json()})
        return
    print_table(["looked at", "found", "expected"], [[c.name, c.found, c.expected] for c in checks])
    if fit := picture_size.of_manifest(found.files, chosen.image_size):
        print_frame(picture_size.fit_table(fit, chosen.fit))
        for said in picture_size.conclusions(fit, chosen.fit):
            click.echo(click.wrap_text(said, width=88) + "\n")
    for note in found.source.notes:
        click.echo(f"note: {printable(note)}\n")
    odd = [*refusals.left_out(found.files), *group_advice.foretold(found.source, settings)]
    odd += [each.warning for each in checks if each.warning]
    for warning in odd:
        click.echo(f"warning: {printable(warning)}\n")
    click.echo(f"{len(odd)} warnings." if len(odd) != 1 else "1 warning.")

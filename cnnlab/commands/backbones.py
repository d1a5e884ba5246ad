"""``cnnlab backbones``: pretrained networks and picture sizes, compared on a user's own images."""

import contextlib
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from cnnlab.commands.terminal import print_json, print_table, printable
from cnnlab.config import InputError, make_settings, parsed
from cnnlab.config.choices import one_of
from cnnlab.config.model import ARCHITECTURES, PRETRAINED, WEIGHTS
from cnnlab.config.overrides import joined

if TYPE_CHECKING:  # they ask for TensorFlow
    from cnnlab.experiment.backbone_ranking import Comparison, Row

SIZES = "128,160,224,288"
PROFILE = "transfer"
OWN = ("architecture", "weights", "image_size", "stages", "source")  # what is compared or fixed
BUSY = 1.5  # processes a core that want to run; this command alone makes about one
STANDING = {"best": "best", "alike": "unclear", "behind": "behind"}


@click.command()
@click.option(
    "--backbones",
    "named",
    multiple=True,
    metavar="NAME,NAME=FILE",
    help="Networks, each with its published weights or those of a file; by default all whose "
    "weights are on this machine. A file with a comma in its path needs an option of its own.",
)
@click.option(
    "--sizes", default=SIZES, metavar=SIZES, show_default=True, help="Pixels a side of the input."
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.argument("data")
def backbones(
    data: str, named: tuple[str, ...], sizes: str, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Compare pretrained networks and input sizes on DATA, to choose by figures.

    DATA is 'shapes', a dataset, a folder or a CSV table. On the features of each network at each
    size a linear head is fitted and judged by cross-validation: all images but the test set are
    held out once; the test set stays sealed. Features are kept, so a command that was interrupted
    goes on, and the run that follows does not compute them again.

    Settings are those of profile transfer; --set changes them, such as folds, seed or group_by.
    """
    pixels = _sizes(sizes)
    if fixed := [name for name in parsed(overrides) if name in OWN]:
        raise InputError(
            f"Cannot set {fixed[0]} here: --backbones and --sizes say what is compared, DATA the "
            "images."
        )
    settings = make_settings(PROFILE, overrides, source=data)
    asked = _asked(named)
    from cnnlab.data.sources import place

    place.find(data)
    from cnnlab.experiment import backbone_ranking, split_source
    from cnnlab.experiment import backbones as comparing
    from cnnlab.runs import provenance

    with contextlib.redirect_stdout(sys.stderr):  # progress must not get into a pipe
        given = [comparing.Backbone(*each) for each in asked]
        chosen, left_out = (given, "") if given else comparing.at_hand()
        variants = comparing.variants(settings, chosen, pixels)
        watched = sys.stderr.isatty()
        images = split_source.split(settings, progress=watched)
        found = comparing.compare(variants, images.open, progress=watched)
    machine = provenance.machine() | {"load": os.getloadavg()[0]}
    command = _command(data, found.recommended, overrides)
    if as_json:
        facts = {"source": data, **found.to_json(), "machine": machine, "command": command}
        print_json(facts)
        return
    _print(found, machine)
    for text in filter(None, (backbone_ranking.verdict(found), left_out)):
        click.echo(click.wrap_text(printable(text), width=88) + "\n")
    click.echo(f"Run it:\n  {printable(command)}")


def _sizes(text: str) -> list[int]:
    """Return the sizes that a text lists."""
    try:
        return [int(word) for word in text.split(",")]
    except ValueError:
        raise InputError(
            f"--sizes={text!r}: expected whole numbers of pixels, such as {SIZES}."
        ) from None


def _asked(options: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return (network, weights) of options: NAME or NAME=WEIGHTS, separated by commas.

    Raises:
        InputError: There is no such network, or no such file.
    """
    found = []
    for word in (word for text in options for word in _words(text)):
        name, _, weights = word.partition("=")
        if name not in ARCHITECTURES:
            listed = one_of(name, ARCHITECTURES, "cnnlab settings --networks")
            raise InputError(f"There is no network {name!r}: {listed}")
        if weights and weights not in WEIGHTS:  # a run may be started in another folder
            weights = os.path.realpath(os.path.expanduser(weights))
            if not os.path.isfile(weights):
                raise InputError(
                    f"There is no weights file {weights!r} for {name}: expected {name} alone, for "
                    f"its published weights, or {name}=FILE."
                )
        found.append((name, weights or PRETRAINED))
    return found


def _words(text: str) -> list[str]:
    """Return the parts of an option; a comma in the path of a file that exists divides nothing."""
    _, equals, file = text.partition("=")
    if equals and os.path.isfile(os.path.expanduser(file)):
        return [text]
    return [word for word in map(str.strip, text.split(",")) if word]


def _print(found: "Comparison", machine: dict[str, Any]) -> None:
    """Print the table and what its columns are."""
    header = ["network", "pixels", "accuracy", "95 % interval", "points", "standing",
              "CPU s", "ms", "parameters"]  # fmt: skip
    rows = [
        [row.network, row.image_size, f"{row.accuracy:.3f}", f"{row.low:.3f}–{row.high:.3f}",
         f"{-100 * row.behind:+6.1f}" if row.behind else "", STANDING[row.standing],
         f"{row.cpu_seconds:5.1f}", f"{row.milliseconds:5.1f}", f"{row.parameters / 1e6:8.2f} M"]
        for row in found.rows
    ]  # fmt: skip
    print_table(header, rows)
    grouped = f" in {found.groups:,} groups" if found.groups is not None else ""
    notes = (
        f"Accuracy: {found.images:,} images of {found.classes} classes{grouped}, each held out "
        f"once in {found.folds} folds; the test set was not looked at. Points: against the best; "
        "unclear: chance would explain them. CPU s: processor time of the features of 1,000 "
        "decoded images. ms: from one decoded image to its answer, the "
        f"median. Both on this machine: {machine['processor']}, {machine['cores']} cores."
    )
    if machine["load"] > BUSY * machine["cores"]:
        notes += f" It had other work to do (load {machine['load']:.1f}): ms are too high."
    click.echo(click.wrap_text(printable(notes), width=88) + "\n")


def _command(data: str, row: "Row", overrides: tuple[str, ...]) -> str:
    """Return the command that makes the run of a row."""
    settings = [f"architecture={row.architecture}", f"image_size={row.image_size}"]
    if row.weights != PRETRAINED:
        settings.append(f"weights={row.weights}")
    chosen = shlex.quote(joined([*settings, *overrides]))
    return f"make run DATA={shlex.quote(data)} PROFILE={PROFILE} SET={chosen}"

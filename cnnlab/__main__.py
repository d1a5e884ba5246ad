"""The ``cnnlab`` command: run the notebooks, fetch and audit images, predict with a saved model.

Everything heavy is imported inside the command that needs it, so that ``cnnlab --help`` answers
at once.
"""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnlab import __version__
from cnnlab.config import PROFILES, InputError, Settings, changes, make_settings

if TYPE_CHECKING:
    from cnnlab.deploy.predict import Predictor

LISTED = 20  # findings of one kind in a table
BAD_INPUT = 2  # the exit status of an InputError; a failed notebook or file gives 1


class _Commands(click.Group):
    """Shows bad input as one line on stderr instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            _complain(str(error))
            ctx.exit(BAD_INPUT)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cnnlab")
def main() -> None:
    """Turn folders of images into a trained, evaluated, explained and deployable classifier."""


JOBS_HELP = "Folds trained at a time: a process with 1 GiB of memory each, 2.5 at 224 pixels."
JOBS = click.option("--jobs", default=1, type=click.IntRange(1), help=JOBS_HELP)


@main.command()
@click.option("--data", default="", help="'shapes' (the default), a fetched dataset or a folder.")
@click.option("--profile", default="", help=f"One of {', '.join(PROFILES)}; quick if not given.")
@click.option("--run", "name", default="", help="Name of the run; the profile's if not given.")
@click.option("--only", default="", help="Numbers of the notebooks to run, such as 03,05.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@JOBS
def run(
    data: str, profile: str, name: str, only: str, overrides: tuple[str, ...], jobs: int
) -> None:
    """Execute the notebooks into reports/<run>/ and show the summary.

    An existing run goes on with its own settings; asking for others is an error.
    """
    # A wrong key is told before anything is loaded.
    asked = make_settings(profile or "quick", overrides, **({"data": data} if data else {}))
    if any(len(text.split()) != 1 for text in overrides):
        raise InputError("A setting is one word: expected --set key=value without spaces.")
    from cnnlab.data import sources
    from cnnlab.runs import execute, open_run, site

    names = execute.selected(execute.available(), only)
    if asked.data != sources.SHAPES:  # a folder that cannot be used makes no run
        sources.resolve(asked)
    if asked.model != Settings.model:  # only then, because the networks load TensorFlow
        from cnnlab import models

        models.builder(asked.model)
    opened = open_run(name or profile or "quick", profile, data, " ".join(overrides))
    click.echo(_headline(opened.name, opened.settings))
    try:
        done = execute.execute(opened, names, jobs=jobs)
    except execute.NotebookFailed as failure:
        page = site.build(opened)
        _complain(str(failure))
        click.echo(page)
        sys.exit(1)
    page = site.build(opened)
    for executed in done:
        if executed.red_lines:
            click.echo(f"note: {executed.notebook} wrote to stderr: {executed.red_lines[0]}")
    click.echo(f"\n{site.as_text(site.summary(opened))}\n\n{page}")


@main.command()
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change a setting.")
@JOBS
@click.argument("run")
def reproduce(run: str, overrides: tuple[str, ...], jobs: int) -> None:
    """Execute RUN (reports/<run> or its name) again and compare everything it found.

    Those of notebooks 01, 03 and 04 whose results RUN has are executed with the settings of its
    run.json into a folder beside it, which is removed if all is equal.

    Equal bits are promised on one machine with one set of versions, on the processor. Another
    processor or number of cores, a GPU or other versions may change the last digits, and a
    training makes them grow.

    Exit status: 0 all equal, 1 something drifted (a table says what), 2 bad input.
    """
    from cnnlab.runs import reproduce as again

    done = again.reproduce(again.find(run), overrides, jobs, click.echo)
    if len(done.differences):
        _print_table(list(done.differences), done.differences.values.tolist())
    click.echo(done.verdict)
    sys.exit(0 if done.equal else 1)


@main.command()
@click.argument("name")
def fetch(name: str) -> None:
    """Download the dataset NAME: clothing, flowers, cifar10 or fashion_mnist.

    It is checked, unpacked into data/raw/NAME and from then on a name for --data. A download that
    was cut goes on at the next call; a dataset that is there is left as it is.
    """
    from cnnlab.data import fetch as fetching

    folder = fetching.fetch(name, progress=sys.stdout.isatty())
    click.echo(f"{folder}\nTrain on it with: cnnlab run --data {name}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object that lists everything.")
@click.argument("source")
def audit(source: str, as_json: bool) -> None:
    """Look through SOURCE ('shapes', a dataset or a folder) and list what is wrong with it."""
    from cnnlab.data import audit as auditing
    from cnnlab.data import manifest, sources

    with contextlib.redirect_stdout(sys.stderr):  # bars must not get into a pipe
        watched = _watched()
        found = sources.resolve(make_settings("quick", data=source), progress=watched)
        files = manifest.build(found, progress=watched)
        groups = auditing.groups(files, found, progress=watched)
    findings = auditing.findings(files, groups)
    summary = auditing.summary(files, findings)
    if as_json:
        named = {"source": found.name, "sha256": manifest.digest(files), **summary}
        rows = findings.to_dict(orient="records")
        click.echo(json.dumps({**named, "list": rows}, ensure_ascii=False, allow_nan=False))
        return
    _print_table(["files", ""], [list(item) for item in summary["files"].items()])
    kinds = [list(item) for item in summary["findings"].items()]
    _print_table(["findings", ""], kinds or [["none", 0]])
    balance = [list(row.values()) for row in summary["balance"]]
    _print_table(["label", "split", "images"], balance)
    for warning in summary["warnings"]:
        click.echo(f"warning: {warning}\n")
    for kind, rows in findings.groupby("kind", sort=False):
        header = [str(kind), "other", "detail"]
        _print_table(header, rows[["path", "other", "detail"]].values.tolist(), LISTED)


def _watched() -> bool:
    """Tell whether a person sees standard error, where the progress bars go."""
    return sys.stderr.isatty()


@main.command()
@click.option("--model", "folder", required=True, type=click.Path(path_type=Path), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
def predict(folder: Path, as_json: bool, images: tuple[Path, ...]) -> None:
    """Name what IMAGES show, with the model in DIR (reports/<run>/model).

    A file that cannot be used is reported beside the others, and the exit status is 1.
    """
    if not folder.is_dir():
        raise InputError(f"There is no model folder {str(folder)!r}: expected reports/<run>/model.")
    from cnnlab.deploy.predict import Predictor

    predictor = Predictor(folder)
    width = max(len(_printable(path)) for path in images)
    good = [_predict_one(predictor, path, as_json, width) for path in images]
    sys.exit(0 if all(good) else 1)


def _predict_one(predictor: "Predictor", path: Path, as_json: bool, width: int) -> bool:
    """Print one prediction or one error; return whether it was a prediction."""
    from cnnlab.images import ImageRejected, read_file

    try:
        prediction = predictor.predict(read_file(path))
    except ImageRejected as error:
        answer: dict[str, Any] = {"error": {"code": error.code, "message": _utf8(error.message)}}
        line = f"error: {error.message}"
    else:
        answer = prediction.to_json()
        line = f"{prediction.label}  {prediction.probability:.3f}"
        if prediction.plausible:
            line += f"  plausible: {', '.join(prediction.plausible)}"
        if prediction.none_of_these:
            line += "  perhaps none of these"
    if as_json:
        click.echo(json.dumps({"file": _utf8(str(path)), **answer}, ensure_ascii=False))
    else:
        click.echo(f"{_printable(path):{width}}  {_printable(line)}")
    return "error" not in answer


def _headline(name: str, settings: Settings) -> str:
    changed = [f"{key}={value}" for key, value in changes(settings).items()]
    data = _printable(settings.data)
    return " ".join([f"Run {name}: profile {settings.profile}, data {data}", *changed])


def _print_table(header: list[str], rows: list[list[Any]], most: int | None = None) -> None:
    """Print aligned columns, numbers to the right, and an empty line after them."""
    lines = [header, *[[_printable(cell) for cell in row] for row in rows[:most]]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    right = [isinstance(cell, int) for cell in rows[0]]
    for line in lines:
        cells = (
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, right, strict=True)
        )
        click.echo("  ".join(cells).rstrip())
    if len(rows) >= len(lines):
        click.echo(f"… and {len(rows) - len(lines) + 1} more (--json lists all)")
    click.echo()


def _printable(cell: object) -> str:
    """Return text for a table; a line break or a terminal's code in a file name is escaped."""
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode()
        for sign in _utf8(str(cell))
    )


def _utf8(text: str) -> str:
    """Return text that UTF-8 can carry: a file name's undecodable bytes become ``\\xNN``."""
    return os.fsencode(text).decode("utf-8", "backslashreplace")


def _complain(message: str) -> None:
    click.echo(f"cnnlab: error: {_printable(' '.join(message.split()))}", err=True)


if __name__ == "__main__":
    main(prog_name="cnnlab")

"""``cnnlab predict``: what a saved model says about image files."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnlab.commands import paths
from cnnlab.commands.terminal import print_json, printable, utf8
from cnnlab.config import InputError

if TYPE_CHECKING:
    from cnnlab.serving.predictor import Predictor

Show = Callable[[str, dict[str, Any]], None]

TRUSTED_KEY = "CNNLAB_TRUSTED_KEY"
COLUMNS = ("path", "label", "probability", "remarks")


@click.command()
@click.option("--model", "folder", required=True, type=click.Path(path_type=Path), metavar="DIR")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep answers in DIR, and take those that are there.",
)
@click.option(
    "--trusted-key",
    envvar=TRUSTED_KEY,
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Refuse a model that the owner of this public key did not sign.",
)
@click.argument("images", nargs=-1, required=True, type=click.Path())
def predict(
    folder: Path,
    as_json: bool,
    cache: Path | None,
    trusted_key: Path | None,
    images: tuple[str, ...],
) -> None:
    """Name what IMAGES show, with the model in DIR (reports/<run>/model).

    IMAGES are files, folders (with all below them but hidden files) and quoted patterns such as
    'photos/**/*.jpg'. A file that cannot be used is reported beside the others; one from a folder
    or a pattern that neither is nor claims to be an image is skipped.

    Exit status: 0 all answered, 1 a file could not be used, 2 bad input or no image at all.
    """
    from cnnlab.artifact import contract
    from cnnlab.runs import names

    model = names.model(folder)
    if trusted_key is None and TRUSTED_KEY in os.environ:  # models of anybody would be loaded
        raise InputError(f"{TRUSTED_KEY} is blank: expected a file, or no such variable.")
    found = paths.find(images)
    class_names = contract.read_contract(model, trusted_key)["class_names"]
    show = _show_json if as_json else _table(found, class_names)
    if not any(os.path.lexists(one.path) for one in found):  # no model is needed to say so
        for one in found:
            show(one.path, _refusal("error", "not_found", f"{one.path} does not exist."))
        sys.exit(1)
    from cnnlab.serving.predictor import Predictor

    predictor = Predictor(folder, cache_folder=cache, trusted_key=trusted_key)
    good = bad = 0
    for path, answer in _answers(predictor, found):
        show(path, answer)
        good += "label" in answer
        bad += "error" in answer
    if not good and not bad:
        raise InputError(f"None of the {len(found)} files is an image: expected at least one.")
    sys.exit(1 if bad else 0)


def _answers(
    predictor: "Predictor", found: list[paths.Found]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every path with what is printed of it, in order and as soon as it is known."""
    from tqdm import tqdm

    # Lines that a person sees are progress enough.
    is_hidden = sys.stdout.isatty() or not sys.stderr.isatty()
    pool = ThreadPoolExecutor(os.cpu_count())  # the graph runs outside Python's lock
    try:
        answers = pool.map(lambda one: _answer(predictor, one), found)
        bar = tqdm(answers, "predict", len(found), unit="file", disable=is_hidden)
        yield from zip((one.path for one in found), bar, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupted command ends now


def _answer(predictor: "Predictor", found: paths.Found) -> dict[str, Any]:
    """Return what is printed of one file: an answer, an error or why it was skipped."""
    from cnnlab.data.sources.listing import promises_image
    from cnnlab.images import ImageRejected, read_file

    if found.unreadable:
        return _refusal("error", "unreadable_folder", f"{found.path} cannot be listed.")
    try:
        return predictor.predict(read_file(found.path)).to_json()
    except ImageRejected as error:
        promised = found.named or promises_image(str(found.path))
        no_file = error.code in ("not_a_regular_file", "not_found")  # or a link to nothing
        if promised or not (no_file or error.code in ("unknown_format", "empty")):
            return _refusal("error", error.code, error.message)
        code = error.code if no_file else "not_an_image"
        return _refusal("skipped", code, error.message)


def _refusal(kind: str, code: str, message: str) -> dict[str, Any]:
    return {kind: {"code": code, "message": utf8(message)}}


def _show_json(path: str, answer: dict[str, Any]) -> None:
    print_json({"path": utf8(path), **answer})


def _table(found: list[paths.Found], class_names: list[str]) -> Show:
    """Print the head of a table and return the function that prints a row."""
    widths = (
        max(len(printable(cell)) for cell in ("path", *(one.path for one in found))),
        max(len(printable(cell)) for cell in ("skipped", *class_names)),
        len("probability"),
        0,
    )

    def show(*cells: str) -> None:
        padded = (printable(cell).ljust(width) for cell, width in zip(cells, widths, strict=True))
        click.echo("  ".join(padded).rstrip())

    show(*COLUMNS)
    return lambda path, answer: show(path, *_cells(answer))


def _cells(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Return label, probability and remarks."""
    if "error" in answer:
        return "error", "", f"{answer['error']['code']}: {answer['error']['message']}"
    if "skipped" in answer:
        return "skipped", "", answer["skipped"]["code"]
    remarks = []
    if answer["plausible"]:
        remarks.append(f"plausible: {', '.join(answer['plausible'])}")
    if answer["none_of_these"]:
        remarks.append("perhaps none of these")
    if answer["cached"]:
        remarks.append("from the cache")
    return answer["label"], f"{answer['probability']:.3f}", "; ".join(remarks)

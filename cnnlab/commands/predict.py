"""``cnnlab predict``: what a saved model says about image files."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cnnlab.commands.terminal import printable, utf8
from cnnlab.config import InputError

if TYPE_CHECKING:
    from cnnlab.deploy.predict import Predictor


@click.command()
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
    width = max(len(printable(path)) for path in images)
    good = [_predict_one(predictor, path, as_json, width) for path in images]
    sys.exit(0 if all(good) else 1)


def _predict_one(predictor: "Predictor", path: Path, as_json: bool, width: int) -> bool:
    """Print one prediction or one error; return whether it was a prediction."""
    from cnnlab.images import ImageRejected, read_file

    try:
        prediction = predictor.predict(read_file(path))
    except ImageRejected as error:
        answer: dict[str, Any] = {"error": {"code": error.code, "message": utf8(error.message)}}
        line = f"error: {error.message}"
    else:
        answer = prediction.to_json()
        line = f"{prediction.label}  {prediction.probability:.3f}"
        if prediction.plausible:
            line += f"  plausible: {', '.join(prediction.plausible)}"
        if prediction.none_of_these:
            line += "  perhaps none of these"
    if as_json:
        click.echo(json.dumps({"file": utf8(str(path)), **answer}, ensure_ascii=False))
    else:
        click.echo(f"{printable(path):{width}}  {printable(line)}")
    return "error" not in answer

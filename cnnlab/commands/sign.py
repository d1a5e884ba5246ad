"""``cnnlab sign``: says who made a model, so that others can insist on it."""

from pathlib import Path

import click

from cnnlab.config import InputError

PATH = click.Path(path_type=Path)


@click.command()
@click.argument("folder", required=False, type=PATH, metavar="MODEL")
@click.option("--key", type=PATH, metavar="FILE", help="The private key to sign with.")
@click.option(
    "--new-key", type=PATH, metavar="FILE", help="Make a key: FILE, and FILE.pub for others."
)
def sign(folder: Path | None, key: Path | None, new_key: Path | None) -> None:
    """Sign MODEL (reports/<run>/model) with a private key.

    Others give its public key as --trusted-key to cnnlab predict or to the server, which then
    refuse every other model. A model whose card or weights change must be signed again.

        cnnlab sign --new-key lab.key

        cnnlab sign reports/quick/model --key lab.key
    """
    if new_key and not (folder or key):
        from cnnlab.artifact import signing

        public = signing.new_key(new_key)
        click.echo(f"{new_key}: keep it to yourself. {public}: give it to others.")
    elif folder and key and not new_key:
        _refuse_missing(folder, key)
        from cnnlab.artifact import model_folder

        click.echo(f"{model_folder.sign(folder, key)} written.")
    else:
        raise InputError("Expected a MODEL with --key FILE, or --new-key FILE alone.")


def _refuse_missing(folder: Path, key: Path) -> None:
    """Raise InputError where there is no such model or key, before anything is loaded."""
    from cnnlab.artifact import contract
    from cnnlab.runs import names

    contract.read_contract(names.model(folder), None)
    if not key.is_file():
        raise InputError(f"There is no key {str(key)!r}: cnnlab sign --new-key FILE makes one.")

"""The ``cnnlab`` command: bad input ends in one clear line on standard error and exit status 2."""

import signal
from collections.abc import Sequence
from typing import Any

import click

from cnnlab import __version__
from cnnlab.commands import encoding
from cnnlab.commands.audit import audit
from cnnlab.commands.backbones import backbones
from cnnlab.commands.compare import compare
from cnnlab.commands.doctor import doctor
from cnnlab.commands.fetch import fetch
from cnnlab.commands.predict import predict
from cnnlab.commands.reproduce import reproduce
from cnnlab.commands.run import run
from cnnlab.commands.settings import settings
from cnnlab.commands.sign import sign
from cnnlab.commands.terminal import BAD_INPUT, complain, signals_raised
from cnnlab.config import InputError
from cnnlab.places import PLACES, CannotWrite

ANOTHER_PLACE = "Expected a place with room that can be written to; CNNLAB_HOME names one."
GOES_ON = "Nothing is half-written; the same command goes on from what is finished."


class _Commands(click.Group):
    """Shows bad input as one line on stderr instead of a traceback, on terminals of any kind."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **kwargs: Any) -> Any:
        if args is None:  # it is the program, and not called by another one
            encoding.read_names_as_utf8()
        encoding.carry_any_text()
        return super().main(args, *rest, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with signals_raised():
                return super().invoke(ctx)
        except InputError as error:
            complain(str(error))
            ctx.exit(BAD_INPUT)
        except OSError as error:
            if error.errno not in PLACES:
                raise
            said = f"{error.filename or 'a file'}: {error.strerror}. {ANOTHER_PLACE}"
            complain(str(error) if isinstance(error, CannotWrite) else said)
            ctx.exit(BAD_INPUT)
        except KeyboardInterrupt as stop:
            number = stop.args[0] if stop.args else signal.SIGINT
            complain(f"stopped by {number.name}. {GOES_ON}", "")
            ctx.exit(128 + number)  # as a shell says it


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cnnlab")
def main() -> None:
    """Turn folders of images into a trained, evaluated, explained and deployable classifier."""


for _command in (run, settings, reproduce, compare, audit, doctor, backbones, fetch, predict, sign):
    main.add_command(_command)


if __name__ == "__main__":
    main(prog_name="cnnlab")

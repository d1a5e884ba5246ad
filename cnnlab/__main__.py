"""The ``cnnlab`` command: bad input ends in one clear line on standard error and exit status 2."""

import errno
from typing import Any

import click

from cnnlab import __version__
from cnnlab.commands.audit import audit
from cnnlab.commands.backbones import backbones
from cnnlab.commands.compare import compare
from cnnlab.commands.fetch import fetch
from cnnlab.commands.predict import predict
from cnnlab.commands.reproduce import reproduce
from cnnlab.commands.run import run
from cnnlab.commands.settings import settings
from cnnlab.commands.sign import sign
from cnnlab.commands.terminal import BAD_INPUT, complain
from cnnlab.config import InputError

# What is wrong with a place, not with the program.
PLACES = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT)
ANOTHER_PLACE = "Expected a place with room that can be written to; CNNLAB_HOME names one."


class _Commands(click.Group):
    """Shows bad input as one line on stderr instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            complain(str(error))
            ctx.exit(BAD_INPUT)
        except OSError as error:
            if error.errno not in PLACES:
                raise
            complain(f"{error.filename or 'a file'}: {error.strerror}. {ANOTHER_PLACE}")
            ctx.exit(BAD_INPUT)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cnnlab")
def main() -> None:
    """Turn folders of images into a trained, evaluated, explained and deployable classifier."""


for _command in (run, settings, reproduce, compare, audit, backbones, fetch, predict, sign):
    main.add_command(_command)


if __name__ == "__main__":
    main(prog_name="cnnlab")

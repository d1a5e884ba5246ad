"""The one exception that users of cnnlab see."""


class InputError(ValueError):
    """What the user gave cannot be used: the message says what came, what was expected, the cure.

    The command line prints it as one line and exits with status 2; a notebook shows that line and
    no traceback, which would be about our code and not about what was given.
    """

    def _render_traceback_(self) -> list[str]:  # IPython asks for it by this name
        return [f"{type(self).__name__}: {self}"]

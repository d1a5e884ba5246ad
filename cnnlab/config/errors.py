"""The one exception that users of cnnlab see."""


class InputError(ValueError):
    """What the user gave cannot be used: the message says what came, what was expected, the cure.

    The command line prints it as one line and exits with status 2.
    """

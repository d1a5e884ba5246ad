"""The commands of ``cnnlab``, a module each: what is typed → calls → what is printed.

Everything heavy is imported inside the command that needs it, so that ``cnnlab --help`` answers
at once.
"""

"""The error of a command that is called wrongly."""


class UsageError(Exception):
    """The command cannot be run as it was called; the message is one line that says why, and what to use instead."""

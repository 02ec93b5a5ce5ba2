"""What a command refuses to do as it was written."""


class UsageError(Exception):
    """The command cannot be carried out; the message is one line that says why, and what to write instead."""

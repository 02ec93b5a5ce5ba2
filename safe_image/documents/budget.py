"""A limit for the steps that one file may take, however its parts reference each other."""

from __future__ import annotations

from ..errors import UsageError


class Budget:
    """A number of steps. A file of a few lines can stand for billions of them."""

    def __init__(self, limit: int, message: str) -> None:
        """
        :param limit: the number of steps.
        :param message: the error for a file that needs more.
        """
        self._left, self._message = limit, message

    def spend(self, steps: int = 1) -> None:
        """Take some steps.

        :param steps: their number.
        :raises UsageError: if none are left.
        """
        self._left -= steps
        if self._left < 0:
            raise UsageError(self._message)

"""Tables of text that fit on a terminal: one column becomes narrower, and the middle of its texts is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

# A narrower column says nothing any more.
_FEWEST: Final = 12
_GAP: Final = "  "
_LEFT_OUT: Final = ".."


def squeezed(text: str, width: int) -> str:
    """The text in at most this many columns: where it is longer, its middle is left out, since names differ at ends."""
    if len(text) <= width:
        return text
    kept = max(width - len(_LEFT_OUT), 2)
    ends = kept - kept // 2
    return f"{text[: kept - ends]}{_LEFT_OUT}{text[-ends:]}"


def table(rows: Sequence[Sequence[str]], flexible: int, width: int | None, right: Sequence[int] = ()) -> list[str]:
    """The rows in lines of equal columns.

    :param rows: the cells of each row.
    :param flexible: the column that becomes narrower where the lines are too long.
    :param width: the columns of the terminal; None for as many as the rows need.
    :param right: the columns that are aligned at the right.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    if width is not None:
        excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width
        widths[flexible] -= max(0, min(excess, widths[flexible] - _FEWEST))
    return [
        _GAP.join(
            squeezed(cell, wide).rjust(wide) if column in right else squeezed(cell, wide).ljust(wide)
            for column, (cell, wide) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

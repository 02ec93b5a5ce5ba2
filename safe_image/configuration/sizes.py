"""Sizes as people write them, such as `50MiB`."""

from __future__ import annotations

import re
from typing import Final

from ..errors import UsageError

_UNITS: Final = {
    "B": 1,
    "KB": 1000,
    **{f"{prefix}iB": 1024**power for power, prefix in enumerate("KMGT", start=1)},
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", start=1)},
}
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([a-zA-Z]*)", re.ASCII)


def parse_size(option: str, text: str | None) -> int | None:
    """A number of bytes.

    :param option: the option's name, for the message.
    :param text: such as `50MiB` or `1.5GB`; None stays None.
    :raises UsageError: if the text has another form. A number without a unit is refused, since other tools mean
        megabytes.
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text)
    if not match or match[2] not in _UNITS:
        raise UsageError(f"{option} {text!r} is not a size: use a number and a unit, such as 50MiB, 2GiB or 500MB")
    return int(float(match[1]) * _UNITS[match[2]])

"""The settings of the watch over the images in use: the construct writes them, the handlers parse them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

VARIABLE: Final = "IMAGES_IN_USE"
"""The environment variable that contains the settings."""
READING_HOURS: Final = 1
"""The time between two readings of the whole account, in hours."""
MAX_AGE_SECONDS: Final = 3 * 3600 * READING_HOURS
"""The age at which an inventory no longer counts: two readings in a row have failed."""


@dataclass(frozen=True)
class WatchSettings:
    """The settings of one watch.

    :param guard: the guard's name, in metrics.
    :param partition: the partition of its account, such as `aws`.
    :param account: its account.
    :param region: its region.
    :param table: the name of the inventory's table.
    :param bus: the name or the ARN of the event bus.
    :param topic: ARN of the SNS topic that gets the alarms; empty for none.
    """

    guard: str
    partition: str
    account: str
    region: str
    table: str
    bus: str = "default"
    topic: str = ""

    def as_json(self) -> dict[str, str]:
        """The settings as the environment variable contains them. Strings may be CDK tokens."""
        return asdict(self)

    @classmethod
    def parse(cls, text: str) -> WatchSettings:
        """Parse the environment variable.

        :raises ValueError: if the construct cannot have written it.
        """
        value: Mapping[str, Any] = json.loads(text)
        try:
            return cls(**value)
        except TypeError as e:
            raise ValueError(f"{VARIABLE} is not valid: {e}") from None

"""The JSON that reports are written in: ASCII only, and valid for every reader whatever text an image has."""

from __future__ import annotations

import json
import re
from typing import Any, Final

_NOT_ASCII: Final = re.compile("[^\x00-\x7f]+")


def json_text(value: Any) -> str:
    r"""The JSON of a value, indented.

    Half a surrogate pair, which an image's text or a file's name may have, becomes U+FFFD: strict readers refuse a
    document that has `\ud800` alone.

    :param value: dictionaries, lists, texts, numbers, booleans and None.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False)
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return _NOT_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], whole)

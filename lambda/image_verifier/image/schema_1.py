"""The signed part of a Docker schema 1 manifest, whose digest is that of this part alone.

https://github.com/docker/libtrust/blob/master/jsonsign.go, ParsePrettySignature; measured on 2026-11-28 with dockerd
25.0.16, which pulls such a manifest by this digest, and not by that of the whole document.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode


def signed_payload(content: bytes) -> bytes:
    """The bytes that the signatures of a manifest are about; empty if a signature cannot be read, or there is none.

    :param content: the document: the beginning of the signed bytes, the signatures, and the end.
    """
    try:
        signed = (json.loads(_decoded(one["protected"])) for one in json.loads(content)["signatures"])
        ((length, tail),) = {(one["formatLength"], one["formatTail"]) for one in signed}
        return content[:length] + _decoded(tail)
    except (LookupError, RecursionError, TypeError, ValueError):
        return b""


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))

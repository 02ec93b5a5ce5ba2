"""Shows each request to a registry or to AWS on standard error, for `--verbose`."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from image_verifier.text import printable

# urllib3 logs every response here, for registries and for AWS alike, as botocore uses it as well:
# https://github.com/urllib3/urllib3/blob/main/src/urllib3/connectionpool.py
_LOGGER: Final = "urllib3.connectionpool"
_RESPONSE: Final = '%s://%s:%s "%s %s %s" %s %s'


@contextmanager
def shown_requests() -> Iterator[None]:
    """Show every response that comes meanwhile."""
    logger, handler = logging.getLogger(_LOGGER), _Responses()
    level, propagates = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagates
        logger.setLevel(level)


class _Responses(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.msg != _RESPONSE or not isinstance(record.args, tuple):
            return
        scheme, host, port, method, target, _, status, _ = record.args
        # A query may hold a signature, which is as good as a password.
        path, query, _ = str(target).partition("?")
        line = f"safe-image: {status} {method} {scheme}://{host}:{port}{path}{query and '?...'}"
        print(printable(line), file=sys.stderr, flush=True)

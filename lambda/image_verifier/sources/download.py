"""Downloads a blob in chunks; a download that breaks off resumes where it stopped."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from urllib3.exceptions import HTTPError

from ..faults import Fault
from ..retry import RetryBudget

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse


@dataclass(frozen=True)
class Download:
    """A way to download one blob.

    :param digest: the blob's digest.
    :param request: requests the blob with these headers; None if the registry does not hold it.
    :param read: the chunks of a response's body.
    :param failed: the fault for a download that breaks off too often.
    :param retry_budget: for how long it is resumed.
    """

    digest: str
    request: Callable[[Mapping[str, str]], BaseHTTPResponse | None]
    read: Callable[[BaseHTTPResponse], Iterable[bytes]]
    failed: Callable[[HTTPError], Fault]
    retry_budget: RetryBudget

    @contextmanager
    def chunks(self) -> Iterator[Iterator[bytes] | None]:
        """The blob's chunks; None if the registry does not hold it."""
        response = self.request({})
        if response is None:
            yield None
            return
        chunks = self._chunks(response)
        try:
            yield chunks
        finally:
            chunks.close()

    def _chunks(self, response: BaseHTTPResponse) -> Generator[bytes, None, None]:
        offset = 0
        for attempt in itertools.count(1):
            try:
                for chunk in self.read(response):
                    offset += len(chunk)
                    yield chunk
                return
            except HTTPError as e:
                if not self.retry_budget.wait_before_retry(attempt):
                    raise self.failed(e) from None
            finally:
                response.close()
            rest = self.request({"Range": f"bytes={offset}-"})
            # Any other bytes would give the blob another digest, and so a finding.
            if rest is None or not _starts_at(offset, rest):
                raise Fault(
                    f"The download of {self.digest} broke off after {offset} bytes, and its rest was not served.",
                    "Retry; if it persists, check the network: a proxy may not support ranges.",
                )
            response = rest


def _starts_at(offset: int, response: BaseHTTPResponse) -> bool:
    # https://www.rfc-editor.org/rfc/rfc9110#field.content-range
    return response.status == 206 and response.headers.get("content-range", "").startswith(f"bytes {offset}-")

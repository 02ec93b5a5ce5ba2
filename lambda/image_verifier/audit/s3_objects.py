"""Objects of S3, read whole and listed by prefix."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Final

from .. import aws
from ..faults import Fault
from ..retry import RetryBudget

# For how long transient errors are retried, for each call, in seconds.
_RETRY_SECONDS: Final = 60.0
_MAX_BYTES: Final = 256 * 1024 * 1024
_MAX_ATTEMPTS: Final = 4


def too_large(name: str, at_most: int) -> Fault:
    """The fault for a file that has more bytes than any file of a sweep.

    :param name: its name.
    :param at_most: the largest number of bytes.
    """
    return Fault(f"{name} has more than {at_most:,} bytes", "Use the files of a sweep.")


class Bucket:
    """A bucket.

    :param client: a boto3 client of S3.
    :param name: its name.
    :param partition: the partition of its account.
    """

    def __init__(self, client: Any, name: str, partition: str = "aws") -> None:
        self._client, self.name, self._partition = client, name, partition

    def read(self, key: str, at_most: int = _MAX_BYTES) -> bytes | None:
        """An object's content; None where there is no such object.

        :param key: the object's key.
        :param at_most: the largest number of bytes. Default: 256 MiB
        :raises Fault: if it cannot be read, or is larger.
        """
        arn, budget = f"arn:{self._partition}:s3:::{self.name}/{key}", RetryBudget.of(_RETRY_SECONDS)
        for attempt in itertools.count(1):
            parameters = {"Bucket": self.name, "Key": key}
            answer = aws.call(self._client, "get_object", arn, budget, ("NoSuchKey",), **parameters)
            if not answer:
                return None
            if answer["ContentLength"] > at_most:
                raise too_large(arn, at_most)
            try:
                # botocore compares the length with the one that S3 announced.
                content: bytes = answer["Body"].read()
            except Exception as e:
                # The connection ended early: botocore and urllib3 have a type for each way.
                if attempt == _MAX_ATTEMPTS or not budget.wait_before_retry(attempt):
                    raise Fault(f"{arn} could not be read: {e}", "Try again.") from e
            else:
                return content
        raise AssertionError("counting does not end")

    def keys(self, prefix: str) -> Iterator[str]:
        """The keys that begin with a prefix, in their order.

        :param prefix: the prefix.
        :raises Fault: if they cannot be listed.
        """
        pages = aws.pages(
            self._client,
            "list_objects_v2",
            f"arn:{self._partition}:s3:::{self.name}",
            lambda: RetryBudget.of(_RETRY_SECONDS),
            ("NextContinuationToken", "ContinuationToken"),
            Bucket=self.name,
            Prefix=prefix,
        )
        return (item["Key"] for page in pages for item in page.get("Contents", ()))

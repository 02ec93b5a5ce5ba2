"""The bucket of a sweep: long objects are read and written in parts, so that memory stays bounded.

https://docs.aws.amazon.com/AmazonS3/latest/API/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from botocore.exceptions import BotoCoreError

from .. import aws
from ..audit.s3_objects import Bucket
from ..faults import Fault
from ..retry import RetryBudget

# The bytes of one part; S3 accepts 10,000 parts of at least 5 MiB, the last one excepted.
_PART: Final = 8 * 1024 * 1024
_RETRY_SECONDS: Final = 60.0
_MAX_READS: Final = 3


class SweepBucket(Bucket):
    """The bucket of a sweep, with JSON in its objects."""

    def exists(self, key: str) -> bool:
        """Whether there is an object with this key.

        It is listed: who may list only a prefix is denied to read an object that does not exist.
        """
        return key in self.keys(key)

    def read_json(self, key: str) -> Any:
        """The JSON in an object; None if there is no object."""
        content = self.read(key) if self.exists(key) else None
        return None if content is None else json.loads(content)

    def lines(self, key: str) -> Iterator[Any]:
        """The JSON in each line of an object, which must exist."""
        rest = b""
        for chunk in self._chunks(key):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from map(json.loads, filter(None, whole))
        if rest:
            yield json.loads(rest)

    def write(self, key: str, content: bytes, content_type: str = "application/json") -> None:
        """Write an object, whole."""
        self._call("put_object", key, Body=content, ContentType=content_type)

    def write_lines(self, key: str, values: Iterable[Any]) -> None:
        """Write an object with the JSON of one value in each line. It exists only once it is complete.

        :param key: its key.
        :param values: the values.
        """
        buffer, upload = bytearray(), ""
        parts: list[dict[str, Any]] = []

        def send() -> None:
            nonlocal upload
            upload = upload or str(self._call("create_multipart_upload", key)["UploadId"])
            number = len(parts) + 1
            answer = self._call("upload_part", key, UploadId=upload, PartNumber=number, Body=bytes(buffer))
            parts.append({"ETag": answer["ETag"], "PartNumber": number})
            buffer.clear()

        try:
            for value in values:
                buffer += json.dumps(value, separators=(",", ":")).encode() + b"\n"
                if len(buffer) >= _PART:
                    send()
            if not upload:
                self.write(key, bytes(buffer), "application/x-ndjson")
                return
            if buffer:
                send()
            self._call("complete_multipart_upload", key, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            if upload:
                self._call("abort_multipart_upload", key, UploadId=upload)
            raise

    def _chunks(self, key: str) -> Iterator[bytes]:
        start = 0
        while True:
            chunk, size = self._range(key, start)
            yield chunk
            start += len(chunk)
            if start >= size:
                return

    def _range(self, key: str, start: int) -> tuple[bytes, int]:
        """A part of an object's content, and the size of the whole."""
        wanted = f"bytes={start}-{start + _PART - 1}"
        for _ in range(_MAX_READS):
            answer = self._call("get_object", key, missing=("InvalidRange",), Range=wanted)
            if not answer:
                # An empty object has no first byte.
                return b"", 0
            size = int(str(answer.get("ContentRange", f"/{answer['ContentLength']}")).rpartition("/")[2])
            try:
                return answer["Body"].read(), size
            except (BotoCoreError, OSError):
                # The connection was cut: the same bytes are read again.
                continue
        raise Fault(f"s3:GetObject on {self._arn(key)} was cut off {_MAX_READS} times", "Try again.")

    def _call(self, operation: str, key: str, missing: tuple[str, ...] = (), **more: Any) -> Any:
        budget = RetryBudget.of(_RETRY_SECONDS)
        return aws.call(self._client, operation, self._arn(key), budget, missing, Bucket=self.name, Key=key, **more)

    def _arn(self, key: str) -> str:
        return f"arn:{self._partition}:s3:::{self.name}/{key}"

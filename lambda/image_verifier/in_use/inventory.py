"""The inventory of the images in use: a DynamoDB table with a row for each image and each of its consumers.

A row says that a consumer was seen with an image. So rows may be written in any order and twice, by events and by
readings of the whole account: none of them contradicts another. A row that nothing renews ends.

A row of its own, the mark, says of an image that it has consumers, so that one BatchGetItem finds the images in use of
a whole batch, and the age of the inventory.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from .. import aws
from ..faults import Fault
from ..retry import RetryBudget
from ..running.api import batches
from ..running.image_use import Consumer, ConsumerKind, ImageUse
from .watch_settings import MAX_AGE_SECONDS, WatchSettings

IMAGE: Final = "image"
CONSUMER: Final = "consumer"
ENDS: Final = "ends"
"""The attribute with the time at which DynamoDB may delete a row."""
# The maximum of BatchGetItem, less the row of the last reading, and of BatchWriteItem.
MAX_KEYS: Final = 99
_WRITES: Final = 25
# A row survives two failed readings and the night after them.
_ROW_SECONDS: Final = 24 * 3600
# A removal is announced again if the image is still missing and in use after this time.
_ANNOUNCED_SECONDS: Final = 24 * 3600
# ECR may report a removal twice, and reports one for each tag of an image.
_SAME_SECONDS: Final = 600
_MARK: Final = "*"
_ANNOUNCED: Final = "!"
_READING: Final = "reading"
_USE: Final = "use"
_AT: Final = "at"
_ATTEMPTS: Final = 8


@dataclass(frozen=True)
class Entry:
    """A row of the inventory.

    :param key: the image, by digest, by tag or by repository (`image_keys`).
    :param use: the use of the image.
    """

    key: str
    use: ImageUse


@dataclass(frozen=True)
class Lookup:
    """The answer of the inventory for the images of one batch.

    :param used: the keys that have consumers.
    :param read_at: when the account was last read as a whole, in seconds since 1970; 0 if it never was.
    """

    used: frozenset[str]
    read_at: float

    def age(self, now: float) -> float:
        """The age of the inventory, in seconds.

        :param now: the current time, in seconds since 1970.
        """
        return max(0.0, now - self.read_at)

    def is_current(self, now: float) -> bool:
        """Whether an image without a row is not in use.

        :param now: the current time, in seconds since 1970.
        """
        return self.age(now) <= MAX_AGE_SECONDS


@dataclass(frozen=True)
class Inventory:
    """The table.

    :param settings: the settings of the watch.
    :param retry_budget: for how long calls are retried.
    """

    settings: WatchSettings
    retry_budget: RetryBudget

    def lookup(self, keys: Iterable[str]) -> Lookup:
        """Say which images are in use; up to `MAX_KEYS` in one call.

        :param keys: the images.
        :raises Fault: if the table cannot be read.
        """
        used: set[str] = set()
        read_at = 0.0
        for some in batches(dict.fromkeys(keys), MAX_KEYS):
            for row in self._get([_key(_READING, _MARK), *(_key(key, _MARK) for key in some)]):
                if row[IMAGE]["S"] == _READING:
                    read_at = float(row[_AT]["N"])
                elif _is_alive(row):
                    used.add(row[IMAGE]["S"])
        return Lookup(frozenset(used), read_at)

    def uses(self, key: str) -> list[ImageUse]:
        """The uses of one image.

        :param key: the image.
        :raises Fault: if the table cannot be read.
        """
        return [_parsed(row[_USE]["S"]) for row in self._rows(key) if _USE in row and _is_alive(row)]

    def record(self, entries: Iterable[Entry]) -> None:
        """Write rows, or renew them.

        :param entries: the rows; of two for the same image and consumer, the first counts.
        :raises Fault: if the table cannot be written.
        """
        ends = {ENDS: {"N": str(int(time.time()) + _ROW_SECONDS)}}
        rows: dict[tuple[str, str], dict[str, Any]] = {}
        for entry in entries:
            consumer = entry.use.consumer
            name = f"{consumer.kind.value} {consumer.cluster} {consumer.name}"
            use = {_USE: {"S": json.dumps(asdict(entry.use))}}
            rows.setdefault((entry.key, name), {**_key(entry.key, name), **ends, **use})
            rows[entry.key, _MARK] = {**_key(entry.key, _MARK), **ends}
        self._write(list(rows.values()))

    def note_reading(self) -> None:
        """Record that the account was read as a whole.

        :raises Fault: if the table cannot be written.
        """
        self._write([{**_key(_READING, _MARK), _AT: {"N": str(int(time.time()))}}])

    def claim(self, key: str, at: float, message: str) -> bool:
        """Claim the announcement of a removal, so that one of several Lambdas makes it.

        :param key: the image.
        :param at: when it was removed, in seconds since 1970; 0 where that is not known.
        :param message: the ID of the message that reports it, which may come back, since its Lambda ended in between.
        :returns: False if it was announced, or another message announces it.
        :raises Fault: if the table cannot be written.
        """
        now = int(time.time())
        answer = self._call(
            "put_item",
            ("ConditionalCheckFailedException",),
            TableName=self.settings.table,
            Item=self._announcement(key, at, message, is_made=False),
            ConditionExpression="attribute_not_exists(image) OR ends <= :now OR #at < :before "
            "OR (message = :message AND is_made = :no)",
            ExpressionAttributeNames={"#at": _AT},
            ExpressionAttributeValues={
                ":now": {"N": str(now)},
                ":before": {"N": str(int(at) - _SAME_SECONDS)},
                ":message": {"S": message},
                ":no": {"BOOL": False},
            },
        )
        return bool(answer)

    def note_announcement(self, key: str, at: float, message: str) -> None:
        """Record that a claimed announcement was made.

        :param key: the image.
        :param at: when it was removed, in seconds since 1970; 0 where that is not known.
        :param message: the ID of the message that reports it.
        :raises Fault: if the table cannot be written.
        """
        self._write([self._announcement(key, at, message, is_made=True)])

    def _announcement(self, key: str, at: float, message: str, *, is_made: bool) -> dict[str, Any]:
        now = int(time.time())
        return {
            **_key(key, _ANNOUNCED),
            ENDS: {"N": str(now + _ANNOUNCED_SECONDS)},
            _AT: {"N": str(int(at) or now)},
            "message": {"S": message},
            "is_made": {"BOOL": is_made},
        }

    def _get(self, keys: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        table, found = self.settings.table, []
        wanted: Mapping[str, Any] = {table: {"Keys": list(keys)}}
        for _ in range(_ATTEMPTS):
            answer = self._call("batch_get_item", RequestItems=wanted)
            found += answer["Responses"].get(table, ())
            wanted = answer.get("UnprocessedKeys") or {}
            if not wanted:
                return found
        raise Fault(f"DynamoDB did not return all rows of {table} in {_ATTEMPTS} attempts", "Try again later.")

    def _write(self, rows: Sequence[Mapping[str, Any]]) -> None:
        table = self.settings.table
        for some in batches(rows, _WRITES):
            wanted: Mapping[str, Any] = {table: [{"PutRequest": {"Item": row}} for row in some]}
            for attempt in range(1, _ATTEMPTS + 1):
                wanted = self._call("batch_write_item", RequestItems=wanted).get("UnprocessedItems") or {}
                if not wanted:
                    break
                self.retry_budget.wait_before_retry(attempt)
            else:
                raise Fault(f"DynamoDB did not write all rows of {table} in {_ATTEMPTS} attempts", "Try again later.")

    def _rows(self, key: str) -> Iterator[Mapping[str, Any]]:
        pages = aws.pages(
            self._client,
            "query",
            self.settings.table,
            lambda: self.retry_budget,
            ("LastEvaluatedKey", "ExclusiveStartKey"),
            TableName=self.settings.table,
            KeyConditionExpression="image = :image",
            ExpressionAttributeValues={":image": {"S": key}},
        )
        for page in pages:
            yield from page["Items"]

    def _call(self, operation: str, missing: Sequence[str] = (), **parameters: Any) -> Mapping[str, Any]:
        return aws.call(self._client, operation, self.settings.table, self.retry_budget, missing, **parameters)

    @property
    def _client(self) -> Any:
        return aws.client("dynamodb", self.settings.region)


def _key(image: str, consumer: str) -> dict[str, Any]:
    return {IMAGE: {"S": image}, CONSUMER: {"S": consumer}}


def _is_alive(row: Mapping[str, Any]) -> bool:
    """Whether a row counts: DynamoDB deletes a row some days after its end."""
    return float(row[ENDS]["N"]) > time.time()


def _parsed(text: str) -> ImageUse:
    value = json.loads(text)
    consumer = value.pop("consumer")
    return ImageUse(consumer=Consumer(**{**consumer, "kind": ConsumerKind(consumer["kind"])}), **value)

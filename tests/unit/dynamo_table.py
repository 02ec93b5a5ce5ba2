"""A table of DynamoDB, of the AWS whose responses a test sets: the operations and limits that the inventory meets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.unit.aws_server import Aws

_MAX_GETS = 100
_MAX_WRITES = 25


@dataclass
class DynamoTable:
    """The table, with the keys `image` and `consumer`.

    :param page: the number of rows on a page of Query.
    :param unprocessed: the number of calls that process only a part of their items.
    """

    aws: Aws
    rows: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    page: int = 100
    unprocessed: int = 0

    def __post_init__(self) -> None:
        self.aws.answers |= {
            "BatchGetItem": self._get,
            "BatchWriteItem": self._write,
            "Query": self._query,
            "PutItem": self._put,
        }

    def calls(self, action: str) -> int:
        """The number of calls of an operation."""
        return sum(name == action for name, _ in self.aws.calls)

    def _get(self, asked: dict[str, Any]) -> dict[str, Any]:
        ((name, wanted),) = asked["RequestItems"].items()
        keys = [_key(one) for one in wanted["Keys"]]
        assert len(keys) == len(set(keys)) <= _MAX_GETS
        some, rest = self._part(keys)
        left = [one for one in wanted["Keys"] if _key(one) in rest]
        return {
            "Responses": {name: [self.rows[key] for key in some if key in self.rows]},
            "UnprocessedKeys": {name: {"Keys": left}} if left else {},
        }

    def _write(self, asked: dict[str, Any]) -> dict[str, Any]:
        ((name, requests),) = asked["RequestItems"].items()
        rows = {_key(request["PutRequest"]["Item"]): request for request in requests}
        assert len(requests) == len(rows) <= _MAX_WRITES
        some, rest = self._part(list(rows))
        self.rows |= {key: rows[key]["PutRequest"]["Item"] for key in some}
        return {"UnprocessedItems": {name: [rows[key] for key in rest]} if rest else {}}

    def _put(self, asked: dict[str, Any]) -> Any:
        """Write a row under the condition of `Inventory.claim`."""
        assert asked["ConditionExpression"] == (
            "attribute_not_exists(image) OR ends <= :now OR #at < :before OR (message = :message AND is_made = :no)"
        )
        key, values = _key(asked["Item"]), asked["ExpressionAttributeValues"]
        row = self.rows.get(key)
        if (
            row is None
            or int(row["ends"]["N"]) <= int(values[":now"]["N"])
            or int(row["at"]["N"]) < int(values[":before"]["N"])
            or (row["message"] == values[":message"] and row["is_made"] == values[":no"])
        ):
            self.rows[key] = asked["Item"]
            return {}
        return self.aws.refusal("ConditionalCheckFailedException", "The conditional request failed")

    def _query(self, asked: dict[str, Any]) -> dict[str, Any]:
        image = asked["ExpressionAttributeValues"][":image"]["S"]
        assert asked["KeyConditionExpression"] == "image = :image"
        own = sorted(key for key in self.rows if key[0] == image)
        after = _key(asked["ExclusiveStartKey"]) if "ExclusiveStartKey" in asked else ("", "")
        left = [key for key in own if key > after]
        last = {"LastEvaluatedKey": _as_key(left[self.page - 1])} if len(left) > self.page else {}
        return {"Items": [self.rows[key] for key in left[: self.page]], **last}

    def _part(self, keys: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        if not self.unprocessed:
            return keys, []
        self.unprocessed -= 1
        return keys[: len(keys) // 2], keys[len(keys) // 2 :]


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["image"]["S"], row["consumer"]["S"]


def _as_key(key: tuple[str, str]) -> dict[str, Any]:
    return {"image": {"S": key[0]}, "consumer": {"S": key[1]}}

"""The calls to ECS and Lambda: an answer that is cut, empty or denied is a fault, and never "nothing runs"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from .. import aws
from ..faults import Fault
from ..retry import RetryBudget

# For how long each call is retried: a throttled account needs longer to recover than a broken one.
_RETRY_SECONDS: Final = 60.0


class Api:
    """The API of ECS or Lambda.

    :param client: its client, made with `aws.CLIENT_CONFIG`.
    :param retry_budget: for how long all calls are retried. Default: each for a minute
    """

    def __init__(self, client: Any, retry_budget: RetryBudget | None = None) -> None:
        self._client, self._retry_budget = client, retry_budget
        self._on = f"all {client.meta.service_model.service_name} resources in {client.meta.region_name}"

    def call(self, operation: str, missing: Sequence[str] = (), **parameters: Any) -> Mapping[str, Any]:
        """One call.

        :param operation: the method's name.
        :param missing: error codes that mean that there is nothing; the answer is then empty.
        :raises Fault: for every other error.
        """
        return aws.call(self._client, operation, self._on, self._budget(), missing, **parameters)

    def items(
        self, operation: str, name: str, tokens: tuple[str, str] = ("nextToken", "nextToken"), **parameters: Any
    ) -> list[Any]:
        """All items of a listing.

        :param operation: the method's name.
        :param name: the answer's field with the items.
        :param tokens: the answer's field with the next page's token, and the parameter for it.
        :raises Fault: if a page cannot be read.
        """
        pages = aws.pages(self._client, operation, self._on, self._budget, tokens, **parameters)
        return [item for page in pages for item in page[name]]

    def described(self, operation: str, name: str, **parameters: Any) -> list[Any]:
        """The descriptions of ECS, without those that have ended meanwhile.

        :param operation: the method's name.
        :param name: the answer's field with the descriptions.
        :raises Fault: if ECS does not describe all of them.
        """
        answer = self.call(operation, **parameters)
        reasons = {failure.get("reason", "") for failure in answer.get("failures", ())} - {"MISSING"}
        if reasons:
            raise self.incomplete(operation, f"the failure {' and '.join(sorted(reasons))}")
        return list(answer.get(name, ()))

    def _budget(self) -> RetryBudget:
        return self._retry_budget or RetryBudget.of(_RETRY_SECONDS)

    def incomplete(self, operation: str, what: str) -> Fault:
        """The fault for an answer that leaves open what runs.

        :param operation: the method's name.
        :param what: what it returned.
        """
        return Fault(f"{operation} on {self._on} returned {what}", aws.UNKNOWN_ADVICE)


def batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """The items in lists of at most this size.

    :param items: the items.
    :param size: the largest number of items that a call accepts.
    """
    known = list(items)
    for start in range(0, len(known), size):
        yield known[start : start + size]

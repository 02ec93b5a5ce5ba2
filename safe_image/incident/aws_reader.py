"""Reads from AWS. A call that is denied costs only its own part of the answer: it becomes a note."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from image_verifier import aws
from image_verifier.faults import Fault
from image_verifier.retry import RetryBudget

from ..sources.aws_sessions import AwsSessions, Endpoint

# For how long transient errors are retried, for each call, in seconds.
_RETRY_SECONDS: Final = 10.0


@dataclass
class AwsReader:
    """Reads for one incident.

    :param sessions: the sessions of this run.
    :param region: the region; empty for the session's own.
    :param notes: what could not be read so far.
    """

    sessions: AwsSessions
    region: str = ""
    notes: list[str] = field(default_factory=list)

    def require(self, api: str, operation: str, on: str, /, **parameters: Any) -> Mapping[str, Any]:
        """Call an operation without which nothing can be said.

        :param api: the service, such as `ecs`.
        :param operation: the method's name, such as `describe_services`.
        :param on: the subject of the call, for messages.
        :raises Fault: if it fails.
        """
        client = self.sessions.client(api, Endpoint(self.region))
        return aws.call(client, operation, on, RetryBudget.of(_RETRY_SECONDS), **parameters)

    def pages(self, api: str, operation: str, on: str, tokens: tuple[str, str], /, **parameters: Any) -> Iterator[Any]:
        """Call an operation until the last page of its listing.

        :param api: the service, such as `cloudformation`.
        :param operation: the method's name, such as `describe_stack_events`.
        :param on: the subject of the calls, for messages.
        :param tokens: the response's field with the next page's token, and the parameter for it.
        :raises Fault: if a call fails.
        """
        client = self.sessions.client(api, Endpoint(self.region))
        return aws.pages(client, operation, on, lambda: RetryBudget.of(_RETRY_SECONDS), tokens, **parameters)

    def read(self, api: str, operation: str, on: str, without: str, /, **parameters: Any) -> Mapping[str, Any]:
        """Call an operation, and note if it fails; the response is then empty.

        :param api: the service, such as `ecs`.
        :param operation: the method's name.
        :param on: the subject of the call, for messages.
        :param without: what is not known without the response, as a sentence.
        """
        try:
            return self.require(api, operation, on, **parameters)
        except Fault as e:
            self.notes.append(f"{without} {e.text}")
            return {}

"""The AWS clients that a whole registry is asked with: made once, and slower when AWS asks for it."""

from __future__ import annotations

from threading import Lock
from typing import Any, Final

from image_verifier import aws
from image_verifier.findings import Fault
from image_verifier.retry import Patience

from ..errors import UsageError

# For how long one call is repeated, in seconds: a throttled account takes longer to answer than a broken one.
PATIENCE: Final = 60.0
# Pools of connections as large as what asks.
CONNECTIONS: Final = 32


class Clients:
    """The clients of one run.

    :param region: where to ask what names no region; None takes that of the environment and the profile.
    """

    def __init__(self, region: str | None = None) -> None:
        import boto3
        from botocore.exceptions import BotoCoreError

        try:
            self._session = boto3.Session(region_name=region)
        except BotoCoreError as e:
            raise Fault(f"AWS cannot be asked: {e}", "Look at AWS_PROFILE.") from e
        self._clients: dict[tuple[str, str], Any] = {}
        self._lock = Lock()
        self._account = ""

    @property
    def region(self) -> str:
        """The region of what names none.

        :raises UsageError: if nobody says which.
        """
        region = self._session.region_name
        if not region:
            raise UsageError("no region is known: write --region, or set AWS_REGION")
        return str(region)

    def partition(self, region: str) -> str:
        """The partition of a region, such as `aws` or `aws-cn`."""
        return str(self._session.get_partition_for_region(region))

    def client(self, service: str, region: str = "") -> Any:
        """The client of a service.

        :param service: such as `ecr`.
        :param region: empty for the run's own.
        """
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        key = (service, region or self.region)
        # Making a client is not thread-safe; using one is.
        with self._lock:
            if key not in self._clients:
                # "adaptive" holds calls back at the rate that AWS turned out to take, all threads together; who asks
                # again, and for how long, is `aws.call`'s affair.
                # https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html#adaptive-retry-mode
                slower = Config(retries={"mode": "adaptive", "total_max_attempts": 1}, max_pool_connections=CONNECTIONS)
                try:
                    self._clients[key] = self._session.client(
                        service,  # type: ignore[call-overload] # of the services' names only some are in the stubs
                        region_name=key[1],
                        config=aws.CLIENT_CONFIG.merge(slower),
                    )
                except (BotoCoreError, ValueError) as e:
                    raise Fault(
                        f"{service} in {key[1]} cannot be asked: {e}", "Look at --region and AWS_PROFILE."
                    ) from e
            return self._clients[key]

    @property
    def account(self) -> str:
        """The account of the credentials."""
        if not self._account:
            answer = aws.call(self.client("sts"), "get_caller_identity", "the credentials", Patience.of(PATIENCE))
            self._account = str(answer["Account"])
        return self._account

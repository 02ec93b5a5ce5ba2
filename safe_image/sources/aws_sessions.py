"""Who asks AWS: sessions, the environment that they deploy to, the roles of a cloud assembly, and their clients."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from image_verifier.faults import Fault

if TYPE_CHECKING:
    import boto3

    from .cloud_assembly import AssetImage, Environment

_SESSION_NAME: Final = "safe-image"
# For how long what may pass by itself is asked again, in seconds.
_RETRY_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Endpoint:
    """Which of a service's endpoints is asked.

    :param region: the region; empty for the session's own.
    :param fips: whether it is the FIPS endpoint.
    :param dual_stack: whether it is the endpoint that has IPv6, too.
    """

    region: str = ""
    fips: bool = False
    dual_stack: bool = False


@dataclass
class AwsSessions:
    """The clients of one run of the command, each made once and when it is first needed.

    :param region: where to ask what names no region; empty for that of the environment and the profile.
    """

    region: str = ""
    _lock: RLock = field(default_factory=RLock)
    _sessions: dict[str, boto3.Session] = field(default_factory=dict)
    _clients: dict[tuple[str, Endpoint, str], Any] = field(default_factory=dict)
    _environment: Environment | None = None

    def client(self, service: str, endpoint: Endpoint = Endpoint(), role: str = "") -> Any:
        """A boto3 client.

        :param service: such as `ecr`.
        :param endpoint: where it is asked.
        :param role: the name of a session that `publisher` has made; empty for the caller's own.
        :raises Fault: if there are no credentials or no region for it.
        """
        # Making a client is not thread-safe; using one is.
        with self._lock:
            key = (service, endpoint, role)
            if key not in self._clients:
                self._clients[key] = self._made(service, endpoint, role)
            return self._clients[key]

    def partition(self, region: str) -> str:
        """The partition of a region, such as `aws` or `aws-cn`.

        :raises Fault: if nobody knows the region.
        """
        with self._lock, _asking(f"ecr in {region}"):
            return str(self._session("").get_partition_for_region(region))

    def environment(self) -> Environment:
        """The account and region that the caller's credentials and configuration name.

        :raises Fault: if they name none.
        """
        with self._lock:
            if self._environment is None:
                region = self._session("").region_name
                if not region:
                    raise Fault("No region is configured", "Set AWS_REGION, or the region of the profile.")
                from .cloud_assembly import Environment

                self._environment = Environment(self._account(region), region, self.partition(region))
            return self._environment

    def publisher(self, image: AssetImage) -> str:
        """Whoever CDK publishes an image as: the name of a session for `client`.

        As the CDK CLI does, the caller's own credentials serve where the role cannot be had and they are of the
        repository's account.

        :param image: an image in its environment.
        :raises Fault: if the role cannot be had, and the image is in another account.
        """
        if not image.role_arn:
            return ""
        with self._lock:
            if image.role_arn not in self._sessions:
                try:
                    self._sessions[image.role_arn] = self._assumed(image)
                except Fault:
                    if self._account(image.region) != image.account:
                        raise
                    self._sessions[image.role_arn] = self._session("")
            return image.role_arn

    def _assumed(self, image: AssetImage) -> boto3.Session:
        import boto3

        more = {"ExternalId": image.external_id} if image.external_id else {}
        parameters = {"RoleSessionName": _SESSION_NAME, **image.role_options, "RoleArn": image.role_arn, **more}
        answer = self._call("assume_role", image.role_arn, image.region, **parameters)["Credentials"]
        return boto3.Session(
            aws_access_key_id=answer["AccessKeyId"],
            aws_secret_access_key=answer["SecretAccessKey"],
            aws_session_token=answer["SessionToken"],
            region_name=image.region,
        )

    def _account(self, region: str) -> str:
        """The account of the caller's own credentials, asked in a region."""
        return str(self._call("get_caller_identity", "the caller's own account", region)["Account"])

    def _call(self, operation: str, on: str, region: str, **parameters: Any) -> Any:
        from image_verifier import aws
        from image_verifier.retry import RetryBudget

        # A partition's STS knows only its own credentials, and every region has one.
        client = self.client("sts", Endpoint(region))
        return aws.call(client, operation, on, RetryBudget.of(_RETRY_SECONDS), **parameters)

    def _session(self, role: str) -> boto3.Session:
        import boto3

        if role not in self._sessions:
            with _asking("AWS"):
                # boto3 reads AWS_DEFAULT_REGION only, the CDK CLI this one first.
                region = self.region or os.environ.get("AWS_REGION") or None
                self._sessions[role] = boto3.Session(region_name=region)
        return self._sessions[role]

    def _made(self, service: str, endpoint: Endpoint, role: str) -> Any:
        from botocore.config import Config
        from image_verifier.aws import CLIENT_CONFIG

        config = Config(use_fips_endpoint=endpoint.fips, use_dualstack_endpoint=endpoint.dual_stack)
        session: Any = self._session(role)
        with _asking(f"{service} in {endpoint.region}" if endpoint.region else service):
            return session.client(service, region_name=endpoint.region or None, config=CLIENT_CONFIG.merge(config))


@contextmanager
def _asking(what: str) -> Iterator[None]:
    """Make a fault of what is wrong with the configuration and the credentials, whoever of boto3 says it how."""
    from botocore.exceptions import BotoCoreError
    from image_verifier.aws import setup_fault

    try:
        yield
    except (BotoCoreError, OSError, ValueError) as e:
        raise setup_fault(what, e) from e

"""AWS sessions and their clients: the caller's own, and those of the roles of a cloud assembly."""

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
# For how long transient errors are retried, in seconds.
_RETRY_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Endpoint:
    """One of a service's endpoints.

    :param region: the region; empty for the session's own.
    :param fips: whether it is the FIPS endpoint.
    :param dual_stack: whether it is the endpoint with IPv4 and IPv6.
    """

    region: str = ""
    fips: bool = False
    dual_stack: bool = False


@dataclass
class AwsSessions:
    """The sessions and clients of one run of the command, each created once, at its first use.

    :param region: the default region; empty for that of the environment or the profile.
    :param profile: the profile of the AWS CLI; empty for that of the environment.
    """

    region: str = ""
    profile: str = ""
    _lock: RLock = field(default_factory=RLock)
    _sessions: dict[str, boto3.Session] = field(default_factory=dict)
    _clients: dict[tuple[str, Endpoint, str], Any] = field(default_factory=dict)
    _environment: Environment | None = None

    def client(self, service: str, endpoint: Endpoint = Endpoint(), role: str = "") -> Any:
        """A boto3 client.

        :param service: such as `ecr`.
        :param endpoint: the service's endpoint.
        :param role: a session that `publisher` has returned; empty for the caller's own.
        :raises Fault: if there are no credentials or no region for it.
        """
        # Creating a client is not thread-safe; using one is.
        with self._lock:
            key = (service, endpoint, role)
            if key not in self._clients:
                self._clients[key] = self._new_client(service, endpoint, role)
            return self._clients[key]

    def partition(self, region: str) -> str:
        """The partition of a region, such as `aws` or `aws-cn`.

        :raises Fault: if boto3 does not know the region.
        """
        with self._lock, _configuration_faults(f"ecr in {region}"):
            return str(self._session("").get_partition_for_region(region))

    def account(self, region: str) -> str:
        """The account of the caller's own credentials.

        :param region: the region whose STS is called; it must be of the credentials' partition.
        :raises Fault: if there are no credentials.
        """
        return str(self._call("get_caller_identity", "the caller's own account", region)["Account"])

    def environment(self) -> Environment:
        """The account and region of the caller's credentials and configuration.

        :raises Fault: if there are no credentials, or no region.
        """
        with self._lock:
            if self._environment is None:
                region = self._session("").region_name
                if not region:
                    raise Fault("No region is configured", "Set AWS_REGION, or the profile's region.")
                from .cloud_assembly import Environment

                self._environment = Environment(self.account(region), region, self.partition(region))
            return self._environment

    def publisher(self, image: AssetImage) -> str:
        """The session with which CDK publishes an image, for `client`.

        As in the CDK CLI, the caller's own credentials serve where the role cannot be assumed and they belong to the
        repository's account.

        :param image: an image in its environment.
        :raises Fault: if the role cannot be assumed, and the image is in another account.
        """
        if not image.role_arn:
            return ""
        with self._lock:
            if image.role_arn not in self._sessions:
                try:
                    self._sessions[image.role_arn] = self._assume_role(image)
                except Fault:
                    if self.account(image.region) != image.account:
                        raise
                    self._sessions[image.role_arn] = self._session("")
            return image.role_arn

    def _assume_role(self, image: AssetImage) -> boto3.Session:
        from image_verifier import aws

        external_id = {"ExternalId": image.external_id} if image.external_id else {}
        parameters = {"RoleSessionName": _SESSION_NAME, **image.role_options, "RoleArn": image.role_arn, **external_id}
        keys = self._call("assume_role", image.role_arn, image.region, **parameters)["Credentials"]
        return aws.session(
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
            region_name=image.region,
        )

    def _call(self, operation: str, on: str, region: str, **parameters: Any) -> Any:
        from image_verifier import aws
        from image_verifier.retry import RetryBudget

        # An STS knows only the credentials of its own partition, and every region has one.
        client = self.client("sts", Endpoint(region))
        return aws.call(client, operation, on, RetryBudget.of(_RETRY_SECONDS), **parameters)

    def _session(self, role: str) -> boto3.Session:
        from image_verifier import aws

        if role not in self._sessions:
            with _configuration_faults("AWS"):
                # boto3 reads only AWS_DEFAULT_REGION; the CDK CLI reads this one first.
                region = self.region or os.environ.get("AWS_REGION") or None
                self._sessions[role] = aws.session(region_name=region, profile_name=self.profile or None)
        return self._sessions[role]

    def _new_client(self, service: str, endpoint: Endpoint, role: str) -> Any:
        from botocore.config import Config
        from image_verifier.aws import CLIENT_CONFIG

        config = Config(use_fips_endpoint=endpoint.fips, use_dualstack_endpoint=endpoint.dual_stack)
        session: Any = self._session(role)
        with _configuration_faults(f"{service} in {endpoint.region}" if endpoint.region else service):
            return session.client(service, region_name=endpoint.region or None, config=CLIENT_CONFIG.merge(config))


@contextmanager
def _configuration_faults(what: str) -> Iterator[None]:
    """Turn boto3's errors about configuration and credentials, which have many types, into a `Fault`."""
    from botocore.exceptions import BotoCoreError
    from image_verifier.aws import setup_fault

    try:
        yield
    except (BotoCoreError, OSError, ValueError) as e:
        raise setup_fault(what, e) from e

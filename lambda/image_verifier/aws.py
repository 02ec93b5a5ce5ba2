"""One call to AWS, patiently: what passes by itself is asked again, everything else is a fault that says what to do."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any, Final

from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
)

from .findings import Fault
from .retry import Patience

_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException"})
_PASSING: Final = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServerException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)

# One way of asking again is enough: `Patience`. The time-outs keep one lost packet from costing a minute.
CLIENT_CONFIG: Final = Config(
    connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 1}, max_pool_connections=32
)


def call(
    client: Any,
    operation: str,
    on: str,
    patience: Patience,
    missing: Collection[str] = (),
    **parameters: Any,
) -> Mapping[str, Any]:
    """Call an operation of a boto3 client that was made with `CLIENT_CONFIG`.

    :param operation: the method's name, such as `describe_images`.
    :param on: the ARN that it is about, for messages.
    :param patience: for how long it is repeated.
    :param missing: error codes that say that there is nothing; they answer with nothing.
    :returns: the answer.
    :raises Fault: for every other error.
    """
    action = f"{client.meta.service_model.signing_name}:{client.meta.method_to_api_mapping[operation]}"
    for attempt in itertools.count(1):
        try:
            answer: Mapping[str, Any] = getattr(client, operation)(**parameters)
            return answer
        except ClientError as e:
            error = e.response.get("Error", {})
            code = error.get("Code", "")
            if code in missing:
                return {}
            denied = code in _DENIED
            status = e.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if not ((denied or code in _PASSING or status >= 500) and patience.pause(attempt, denied=denied)):
                raise Fault(
                    f"{action} on {on} was answered with {code}: {error.get('Message', '')}", _advice(code, action, on)
                ) from None
        except (EndpointConnectionError, ConnectionClosedError, HTTPClientError) as e:
            if not patience.pause(attempt):
                raise Fault(
                    f"{action} on {on} could not be asked: {e}",
                    "In a VPC without internet access, endpoints are needed for what is called (ecr.api, S3, "
                    "CloudFormation).",
                ) from None
        except ParamValidationError as e:
            raise Fault(
                f"{action} on {on} could not be asked: {' '.join(str(e).split())}",
                "Write the names as AWS takes them.",
            ) from None
        except BotoCoreError as e:
            raise Fault(f"{action} on {on} could not be asked: {e}", "Give it credentials and a region.") from None
    raise AssertionError("counting does not end")


def _advice(code: str, action: str, on: str) -> str:
    if code in _DENIED:
        return (
            f"Allow {action} on {on} to the role that asks; where it belongs to another account, that account's "
            "policy must allow it too."
        )
    if code in ("ExpiredToken", "ExpiredTokenException", "InvalidSignatureException"):
        return "Renew the credentials, and ask again."
    if code == "RepositoryNotFoundException":
        return "Name a repository that exists in this account and region, or create it."
    if code.lower().startswith("kms"):
        return "The repository's key must be enabled, and the role and ECR must be allowed kms:Decrypt with it."
    return "Ask again; if it stays, this text is what AWS support needs."

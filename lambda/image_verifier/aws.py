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
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ParamValidationError,
)

from .faults import Fault
from .retry import RetryBudget

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

_RENEWED: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
# What to do where AWS could not even be asked, by the names of botocore's errors, which older ones lack some of:
# https://github.com/boto/botocore/blob/develop/botocore/exceptions.py
_UNASKED: Final = {
    "NoCredentialsError": "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run aws sso login.",
    "PartialCredentialsError": "Set all of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or none of them.",
    "CredentialRetrievalError": "Run the command by hand that the profile has as credential_process.",
    "SSOError": "Sign in again: aws sso login.",
    "TokenRetrievalError": "Sign in again: aws sso login.",
    "LoginError": "Sign in again: aws login.",
    "ProfileNotFound": "Set AWS_PROFILE to one of those that aws configure list-profiles shows.",
    "ConfigParseError": "Repair this file, or set AWS_CONFIG_FILE to another.",
    "NoRegionError": "Set AWS_REGION, or the region of the profile.",
    "UnknownRegionError": "Look for a mistake in the region's name.",
    "InvalidRegionError": "Look for a mistake in the region's name.",
    "InvalidProxiesConfigError": "Look at HTTPS_PROXY and NO_PROXY.",
    "ProxyConnectionError": "Look at HTTPS_PROXY and NO_PROXY.",
    "SSLError": "Set AWS_CA_BUNDLE to the file of the authority that signed the certificate, if you trust it.",
    "FileNotFoundError": "Look at AWS_WEB_IDENTITY_TOKEN_FILE, and at what the profile names in ~/.aws/config.",
}

# `RetryBudget` alone decides about retries. The timeouts keep one lost packet from costing a minute.
CLIENT_CONFIG: Final = Config(
    connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 1}, max_pool_connections=32
)


def call(
    client: Any,
    operation: str,
    on: str,
    retry_budget: RetryBudget,
    missing: Collection[str] = (),
    **parameters: Any,
) -> Mapping[str, Any]:
    """Call an operation of a boto3 client that was made with `CLIENT_CONFIG`.

    :param operation: the method's name, such as `describe_images`.
    :param on: the ARN that it is about, for messages.
    :param retry_budget: for how long errors are retried.
    :param missing: error codes that say that there is nothing; they answer with nothing.
    :returns: the answer.
    :raises Fault: for every other error.
    """
    api = client.meta.method_to_api_mapping[operation]
    action = f"{client.meta.service_model.signing_name}:{api}"
    for attempt in itertools.count(1):
        try:
            answer: Mapping[str, Any] = getattr(client, operation)(**parameters)
            # botocore makes an empty answer of what is no JSON, and nothing would seem to be there.
            if _is_web_page(answer):
                raise _web_page(action, on)
            return answer
        except ClientError as e:
            error = e.response.get("Error", {})
            code = error.get("Code", "")
            if code in missing:
                return {}
            denied = code in _DENIED
            status = e.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            if (denied or code in _PASSING or status >= 500) and retry_budget.wait_before_retry(attempt, denied=denied):
                continue
            if _is_web_page(e.response):
                raise _web_page(action, on) from None
            said = f"was answered with {code}: {error.get('Message', '')}"
            if e.operation_name != api:
                # The credentials are asked for first, where a profile names a role.
                raise Fault(
                    f"{action} on {on} could not be asked: {e.operation_name} {said}",
                    "Look at the role that AWS_PROFILE or AWS_ROLE_ARN names, and at who may assume it.",
                ) from None
            raise Fault(f"{action} on {on} {said}", _advice(code, action, on)) from None
        except (EndpointConnectionError, ConnectTimeoutError, ConnectionClosedError, HTTPClientError) as e:
            if not retry_budget.wait_before_retry(attempt):
                raise Fault(
                    f"{action} on {on} could not be asked: {e}",
                    "Look at the network. In a VPC without internet access, endpoints are needed for what is called "
                    "(ecr.api, S3, CloudFormation).",
                ) from None
        except ParamValidationError as e:
            raise Fault(
                f"{action} on {on} could not be asked: {' '.join(str(e).split())}",
                "Write the names as AWS takes them.",
            ) from None
        except (BotoCoreError, OSError) as e:
            raise unasked(f"{action} on {on}", e) from None
    raise AssertionError("counting does not end")


def unasked(what: str, error: Exception) -> Fault:
    """The fault for a call for which there were no credentials, no region or no way to AWS.

    :param what: the call, or the service.
    :param error: what botocore raised, or the system where botocore reads credentials.
    """
    kinds = [kind.__name__ for kind in type(error).__mro__]
    advice = next((_UNASKED[kind] for kind in kinds if kind in _UNASKED), "")
    return Fault(
        f"{what} could not be asked: {error}", advice or "Look at AWS_PROFILE, AWS_REGION and what ~/.aws/config says."
    )


def _is_web_page(answer: Mapping[str, Any]) -> bool:
    """Whether a proxy or a login form has answered in the place of AWS, which sends JSON or XML."""
    kind = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("content-type", "").lower()
    return "html" in kind or (kind.startswith("text/") and "xml" not in kind)


def _web_page(action: str, on: str) -> Fault:
    return Fault(
        f"{action} on {on} was answered with a web page, not as AWS answers",
        "Look at HTTPS_PROXY and at this network: a proxy or a login form may be in the way.",
    )


def _advice(code: str, action: str, on: str) -> str:
    if code in _RENEWED:
        return "Renew the credentials, look whether this machine's clock is right, and ask again."
    if code in _DENIED:
        return (
            f"Allow {action} on {on} to the role that asks; where it belongs to another account, that account's "
            "policy must allow it too."
        )
    if code == "RepositoryNotFoundException":
        return "Name a repository that exists in this account and region, or create it."
    if code.lower().startswith("kms"):
        return "The repository's key must be enabled, and the role and ECR must be allowed kms:Decrypt with it."
    if code in _PASSING:
        return "Ask again later; where that was many calls, ask for fewer images at once."
    return "Ask again; if it stays, this text is what AWS support needs."

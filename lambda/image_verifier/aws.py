"""Every call to AWS: a transient error or an incomplete answer is retried, every other error is a fault.

Nothing else makes sessions, clients or calls, so that no answer of AWS is read without the checks of `aws_answers`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

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
from botocore.parsers import ResponseParserError

from .aws_answers import BadAnswer, check_body, check_complete, is_web_page, web_page
from .faults import Fault
from .retry import RetryBudget

if TYPE_CHECKING:
    import boto3

# `RetryBudget` alone decides about retries. The timeouts keep one lost packet from costing a minute.
CLIENT_CONFIG: Final = Config(
    connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 1}, max_pool_connections=32
)

KMS_ADVICE: Final = (
    "The repository's key must be enabled, and its policy must allow kms:Decrypt to ECR and to the role that makes the "
    "call."
)
UNKNOWN_ADVICE: Final = "Try again. If the error persists, send this message to AWS support."

_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "UnrecognizedClientException"})
_TRANSIENT: Final = frozenset(
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
_CREDENTIALS: Final = frozenset(
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
# The errors of botocore and of our checks for a body that is not AWS's.
_BAD_ANSWERS: Final = (
    BadAnswer,
    ResponseParserError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
# A cut connection is over at the next attempt; a proxy that answers for AWS stays.
_MAX_BAD_ANSWERS: Final = 4
_CONNECTION_ERRORS: Final = (EndpointConnectionError, ConnectTimeoutError, ConnectionClosedError, HTTPClientError)
# The advice for a call that did not get as far as AWS, by the names of botocore's errors, some of which older versions
# do not have: https://github.com/boto/botocore/blob/develop/botocore/exceptions.py
_SETUP_ADVICE: Final = {
    "NoCredentialsError": "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run aws sso login.",
    "PartialCredentialsError": "Set both AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither.",
    "CredentialRetrievalError": "Run the profile's credential_process by hand to see its error.",
    "SSOError": "Sign in again: aws sso login.",
    "TokenRetrievalError": "Sign in again: aws sso login.",
    "LoginError": "Sign in again: aws login.",
    "ProfileNotFound": "Set AWS_PROFILE to a profile that aws configure list-profiles shows.",
    "ConfigParseError": "Repair this file, or set AWS_CONFIG_FILE to another.",
    "NoRegionError": "Set AWS_REGION, or the region of the profile.",
    "UnknownRegionError": "Check the spelling of the region.",
    "InvalidRegionError": "Check the spelling of the region.",
    "InvalidProxiesConfigError": "Check HTTPS_PROXY and NO_PROXY.",
    "ProxyConnectionError": "Check HTTPS_PROXY and NO_PROXY.",
    "SSLError": "If you trust the certificate, set AWS_CA_BUNDLE to the file of the authority that signed it.",
    "FileNotFoundError": "Check AWS_WEB_IDENTITY_TOKEN_FILE, and the files that the profile in ~/.aws/config names.",
}


def session(**settings: Any) -> boto3.Session:
    """A boto3 session whose clients check the body of every response, also in the calls that botocore makes by itself.

    :param settings: the arguments of `boto3.Session`.
    """
    import boto3

    made = boto3.Session(**settings)
    made.events.register("before-parse", check_body)
    return made


@cache
def client(service: str, region: str) -> Any:
    """The client with the credentials of this process, for `call`.

    :param service: such as `ecr`.
    :param region: its region.
    """
    made: Any = _own_session()
    return made.client(service, region_name=region, config=CLIENT_CONFIG)


@cache
def _own_session() -> boto3.Session:
    return session()


def call(
    client: Any,
    operation: str,
    on: str,
    retry_budget: RetryBudget,
    missing: Collection[str] = (),
    **parameters: Any,
) -> Mapping[str, Any]:
    """Call an operation of a client that was made with `CLIENT_CONFIG`.

    :param client: the client.
    :param operation: the method's name, such as `describe_images`.
    :param on: the ARN that the call is about, for messages.
    :param retry_budget: for how long transient errors are retried.
    :param missing: error codes that mean that there is nothing; the response is then empty.
    :returns: the response, which accounts for everything that the parameters request.
    :raises Fault: for every other error.
    """
    api = client.meta.method_to_api_mapping[operation]
    action = f"{client.meta.service_model.signing_name}:{api} on {on}"
    bad_answers = 0
    for attempt in itertools.count(1):
        if retry_budget.is_abandoned:
            raise Fault(f"{action} was not called: nothing waits for its result any longer")
        try:
            return _complete_answer(client, operation, api, parameters)
        except (BotoCoreError, ClientError, OSError) as e:
            if _code(e) in missing:
                return {}
            error: Exception = e
            retried = _is_retried(e)
        except _BAD_ANSWERS as e:
            # The error's own text may contain the whole body, which may hold secrets.
            error = e if isinstance(e, BadAnswer) else BadAnswer(f"could not be parsed ({type(e).__name__})")
            bad_answers += 1
            retried = bad_answers < _MAX_BAD_ANSWERS
        if not retried or not retry_budget.wait_before_retry(attempt, denied=_code(error) in _DENIED):
            raise _fault(error, action, api) from None
    raise AssertionError("counting does not end")


def pages(
    client: Any,
    operation: str,
    on: str,
    retry_budget: Callable[[], RetryBudget],
    tokens: tuple[str, str] = ("nextToken", "nextToken"),
    missing: Collection[str] = (),
    **parameters: Any,
) -> Iterator[Mapping[str, Any]]:
    """Call an operation of a client until the last page of its listing.

    :param client: the client, made with `CLIENT_CONFIG`.
    :param operation: the method's name, such as `describe_images`.
    :param on: the ARN that the calls are about, for messages.
    :param retry_budget: for how long transient errors are retried; called for each page.
    :param tokens: the response's field with the next page's token, and the parameter for it.
    :param missing: error codes of the first call that mean that there is nothing; then there is no page.
    :returns: the responses.
    :raises Fault: for every other error, and if a token is repeated, since the listing would never end.
    """
    seen: set[str] = set()
    more: dict[str, str] = {}
    while True:
        page = call(client, operation, on, retry_budget(), () if more else missing, **parameters, **more)
        if page:
            yield page
        token = page.get(tokens[0])
        if not token:
            return
        # DynamoDB's token is a mapping.
        if str(token) in seen:
            raise Fault(f"{operation} on {on} returned a page for the second time", UNKNOWN_ADVICE)
        seen.add(str(token))
        more = {tokens[1]: token}


def _complete_answer(client: Any, operation: str, api: str, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """:raises BadAnswer: if the answer is not one of AWS, or does not account for all that was requested."""
    try:
        answer: Mapping[str, Any] = getattr(client, operation)(**parameters)
    except ClientError as e:
        status = e.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # botocore puts the status into the place of a code that the body does not have.
        if status < 500 and _code(e) in ("", "Unknown", str(status)):
            raise BadAnswer(f"has HTTP status {status} and no error of AWS") from None
        raise
    check_complete(api, parameters, answer)
    return answer


def setup_fault(what: str, error: Exception) -> Fault:
    """The fault for a call that could not be made: there are no credentials, no region or no way to AWS.

    :param what: the call, or the service.
    :param error: the error of botocore, or of the system where botocore reads credentials.
    """
    names = [kind.__name__ for kind in type(error).__mro__]
    advice = next((_SETUP_ADVICE[name] for name in names if name in _SETUP_ADVICE), "")
    return Fault(
        f"{what} could not be called: {error}",
        advice or "Check AWS_PROFILE, AWS_REGION and ~/.aws/config.",
    )


def _code(error: Exception) -> str:
    """The code with which AWS answered; empty where AWS did not answer."""
    return error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""


def _is_retried(error: Exception) -> bool:
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return _code(error) in _DENIED | _TRANSIENT or status >= 500
    return isinstance(error, _CONNECTION_ERRORS)


def _fault(error: Exception, action: str, api: str) -> Fault:
    """The fault for an error that is not retried any longer.

    :param action: the call and the ARN that it is about.
    :param api: the name of the call's operation.
    """
    if isinstance(error, BadAnswer):
        return _bad_answer(action, error)
    if isinstance(error, ClientError):
        kind = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("content-type", "")
        return _bad_answer(action, web_page()) if is_web_page(kind) else _refusal(error, action, api)
    if isinstance(error, _CONNECTION_ERRORS):
        return Fault(
            f"{action} could not be called: {error}",
            "Check the network. A VPC without internet access needs endpoints for the services that are called "
            "(ecr.api, S3, CloudFormation).",
        )
    if isinstance(error, ParamValidationError):
        return Fault(f"{action} could not be called: {' '.join(str(error).split())}", "Correct the invalid value.")
    return setup_fault(action, error)


def _bad_answer(action: str, error: BadAnswer) -> Fault:
    return Fault(
        f"The response to {action} {error}",
        "Check HTTPS_PROXY and the network: a proxy or a login form may have answered.",
    )


def _refusal(error: ClientError, action: str, api: str) -> Fault:
    code = _code(error)
    failure = f"failed with {code}: {error.response.get('Error', {}).get('Message', '')}"
    if error.operation_name != api:
        # Where a profile names a role, botocore calls STS for its credentials first.
        return Fault(
            f"{action} could not be called: {error.operation_name} {failure}",
            "Check the role in AWS_PROFILE or AWS_ROLE_ARN, and whether these credentials may assume it.",
        )
    return Fault(f"{action} {failure}", _advice(code, action))


def _advice(code: str, action: str) -> str:
    if code in _CREDENTIALS:
        return "Renew the credentials, check that the clock of this machine is right, and try again."
    if code in _DENIED:
        return (
            f"Allow {action} to the role that makes the call. If the resource belongs to another account, that "
            "account's policy must allow it too."
        )
    if code == "RepositoryNotFoundException":
        return "Use a repository that exists in this account and region, or create it."
    if code.lower().startswith("kms"):
        return KMS_ADVICE
    if code in _TRANSIENT:
        return "Try again later; if there were many calls, check fewer images at once."
    return UNKNOWN_ADVICE

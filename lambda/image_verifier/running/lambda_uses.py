"""The images of Lambda functions: those of every version, by the digest to which Lambda has resolved the reference.

https://docs.aws.amazon.com/lambda/latest/api/API_FunctionCodeLocation.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ..pool import Pool
from ..retry import RetryBudget
from ..rules.consumers import CONSUMERS
from .api import Api
from .image_use import Consumer, ConsumerKind, ImageUse

_AT_ONCE: Final = 8
_FUNCTION: Final = CONSUMERS["AWS::Lambda::Function"]
_UNPUBLISHED: Final = ":$LATEST"


def uses_in_lambda(client: Any) -> list[ImageUse]:
    """The images that the functions of an account use, in one region: the unpublished version, and every published one.

    :param client: the client of Lambda.
    :raises Fault: if a call fails, or its answer is incomplete; then it is not known which images run.
    """
    service = Api(client)
    functions = service.items("list_functions", "Functions", ("NextMarker", "Marker"), FunctionVersion="ALL")
    arns = [one["FunctionArn"] for one in functions if one.get("PackageType") == "Image"]
    with Pool(_AT_ONCE) as pool:
        return [use for use in pool.results(lambda arn: _use(service, arn), arns) if use]


def uses_of_function(client: Any, arn: str, retry_budget: RetryBudget | None = None) -> list[ImageUse]:
    """The image of one version of a function; none if it was deleted, or has no image.

    :param client: the client of Lambda.
    :param arn: the function's ARN, with its version or without.
    :param retry_budget: for how long the call is retried. Default: a minute
    :raises Fault: if the call fails, or its answer is incomplete.
    """
    use = _use(Api(client, retry_budget), arn)
    return [use] if use else []


def _use(service: Api, arn: str) -> ImageUse | None:
    answer = service.call("get_function", ("ResourceNotFoundException",), FunctionName=arn)
    if not answer:
        # It was deleted meanwhile.
        return None
    code, function = answer["Code"], answer.get("Configuration", {})
    if function.get("PackageType", "Image") != "Image":
        return None
    # A function keeps running the digest that its tag was resolved to.
    resolved = code.get("ResolvedImageUri") or code.get("ImageUri") or ""
    reference = code.get("ImageUri") or resolved
    if not reference:
        raise service.incomplete("get_function", f"no image of {arn}")
    user = f"Lambda function {arn.partition(':function:')[2].removesuffix(_UNPUBLISHED)}"
    consumer = Consumer(ConsumerKind.FUNCTION, arn)
    return ImageUse(reference, resolved.partition("@")[2], user, consumer, "lambda", _platform(function))


def _platform(function: Mapping[str, Any]) -> str:
    return _FUNCTION.use(function).platform or ""

"""Values that are only known at deploy: CDK's tokens, and CloudFormation's dynamic references."""

from __future__ import annotations

import re
from typing import Any, Final

from aws_cdk import Aws, Reference, Token, Tokenization
from constructs import IConstruct

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
_DYNAMIC_REFERENCE: Final = "{{resolve:"
_RESOURCE_FUNCTIONS: Final = frozenset({"Fn::GetAtt", "Fn::ImportValue", "Fn::GetStackOutput", "Fn::Transform"})


def is_known_at_synth(text: str) -> bool:
    """Whether a string contains neither a token nor a dynamic reference."""
    return not Token.is_unresolved(text) and _DYNAMIC_REFERENCE not in text


def changes_at_deploy(value: Any) -> bool:
    """Whether a resolved value may differ in the next deploy of the same template."""
    if isinstance(value, str):
        return _DYNAMIC_REFERENCE in value
    if isinstance(value, list):
        return any(map(changes_at_deploy, value))
    if not isinstance(value, dict):
        return False
    if "Ref" in value:
        return not str(value["Ref"]).startswith("AWS::")
    if "Fn::Sub" in value:
        text = value["Fn::Sub"]
        return not isinstance(text, str) or bool(re.search(r"\$\{(?!AWS::|!)", text))
    if value.keys() & _RESOURCE_FUNCTIONS:
        return True
    return any(map(changes_at_deploy, value.values()))


def referenced_constructs(*texts: str | None) -> list[IConstruct]:
    """The constructs that the tokens in some strings reference."""
    tokens: list[Any] = [token for text in texts if text for token in Tokenization.reverse_string(text).tokens]
    return [token.target for token in tokens if Reference.is_reference(token)]


def region_of(arn: str) -> str:
    """The region in an ARN; a token if the ARN is only known at deploy."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 else Aws.REGION

"""Values that are unknown at synth: CDK's tokens, CloudFormation's dynamic references, and results of lookups."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence, Set
from typing import Any, Final, SupportsIndex

from aws_cdk import Aws, Reference, Token, Tokenization
from constructs import IConstruct

# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
_DYNAMIC_REFERENCE: Final = "{{resolve:"
# The functions whose result follows from their arguments, and the references in `Fn::Sub` to more than the stack's own
# account, region and name.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/pseudo-parameter-reference.html
_TEXT_FUNCTIONS: Final = frozenset({"Fn::Join", "Fn::Select", "Fn::Split"})
_SUBSTITUTED: Final = re.compile(r"\$\{(?!AWS::)")
# https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/core/lib/private/encoding.ts
_MARK: Final = "{Token["
# A lookup returns them until the CLI has the result: it looks up after the first synth, and then synthesizes again.
# https://docs.aws.amazon.com/cdk/v2/guide/context.html
_DUMMIES: Final = ("dummy-value-for-", "DUMMY_ARN")
# The characters of a registry's host, a repository, a tag and a digest.
# https://github.com/distribution/reference/blob/main/regexp.go
_OF_IMAGES: Final = re.compile(r"[A-Za-z0-9_.:/@-]*")


def is_known_at_synth(text: str) -> bool:
    """Whether a string contains neither a token nor a dynamic reference."""
    # Only such a text can contain a token: to ask CDK is a call to Node.js.
    is_unresolved = _MARK in text and Token.is_unresolved(text)
    return not is_unresolved and _DYNAMIC_REFERENCE not in text


def is_literal(value: Any) -> bool:
    """Whether a value of a construct contains no token, so that CDK need not resolve it.

    :param value: any value that jsii returned.
    """
    if isinstance(value, str):
        return _MARK not in value
    if isinstance(value, list):
        return all(map(is_literal, value))
    if isinstance(value, dict):
        return all(map(is_literal, (*value.keys(), *value.values())))
    return value is None or isinstance(value, bool)


def is_fixed(value: Any) -> bool:
    """Whether a resolved value is the same in each deploy of one template to one stack.

    :param value: a value of the template: text, a list, an intrinsic function, or None.
    """
    if isinstance(value, str):
        return _DYNAMIC_REFERENCE not in value
    if isinstance(value, Mapping):
        return all(_is_fixed_function(name, argument) for name, argument in value.items())
    return not isinstance(value, Sequence) or all(map(is_fixed, value))


def _is_fixed_function(name: str, argument: Any) -> bool:
    if name == "Ref":
        return str(argument).startswith("AWS::")
    if name == "Fn::Sub":
        return is_fixed(argument) and not _SUBSTITUTED.search(str(argument))
    return name in _TEXT_FUNCTIONS and is_fixed(argument)


def shortest(value: Any) -> Any:
    """A fixed value in its shortest form, since CDK walks each part of a template several times.

    Texts and pseudo parameters that `Fn::Join` joins become one `Fn::Sub`.

    :param value: a resolved value for which `is_fixed` is true.
    """
    text = _substitution(value)
    return {"Fn::Sub": text} if isinstance(value, dict) and text is not None else value


def _substitution(value: Any) -> str | None:
    """The argument of `Fn::Sub` that has a fixed value; None if it is not a join."""
    match value:
        case str():
            return value.replace("${", "${!")
        case {"Ref": name}:
            return f"${{{name}}}"
        case {"Fn::Sub": str(text)}:
            return text
        case {"Fn::Join": ["", [*parts]]}:
            texts = [found for part in parts if (found := _substitution(part)) is not None]
            return "".join(texts) if len(texts) == len(parts) else None
    return None


def is_dummy(value: Any) -> bool:
    """Whether a value is or contains the dummy of a lookup. Nothing may be refused for a dummy.

    :param value: any argument of a user.
    """
    if isinstance(value, str):
        return any(dummy in value for dummy in _DUMMIES)
    if isinstance(value, Mapping):
        return any(map(is_dummy, (*value.keys(), *value.values())))
    return isinstance(value, Sequence | Set) and any(map(is_dummy, value))


class WholeText(str):
    """A string with a token, which can be passed on and be a part of other strings, but has no parts itself.

    A part of a token's string means nothing to CDK: the template would contain `${Token[`, and nothing would report it.
    """

    description: str

    def __new__(cls, text: str, description: str) -> WholeText:
        """
        :param text: the string with the token.
        :param description: what it is, for the message if it is split.
        """
        made = super().__new__(cls, text)
        made.description = description
        # PyYAML knows a string by its exact class. Who writes YAML has imported it.
        if (yaml := sys.modules.get("yaml")) is not None:
            for representer in (yaml.representer.SafeRepresenter, yaml.representer.Representer):
                representer.add_representer(cls, lambda dumper, value: dumper.represent_str(str(value)))
        return made

    def __getnewargs__(self) -> Any:
        """The arguments for a copy: `dataclasses.asdict` copies each value."""
        return str(self), self.description

    def __format__(self, specification: str) -> str:
        return format(str(self), specification) if specification in ("", "s") else self._refuse()

    def replace(self, old: str, new: str, /, count: SupportsIndex = -1) -> str:
        """The string itself, if `old` cannot be in it at deploy, as when a shell's or HTML's quotes are replaced."""
        return self._refuse() if _OF_IMAGES.fullmatch(old) else self

    def _refuse(self, *_arguments: Any, **_keywords: Any) -> Any:
        raise ValueError(
            f"{self.description} is only known at deploy, so that no part of it can be computed at synth: pass the "
            "whole, or use Fn.select(0, Fn.split('-', …)). The tag alone is image_tag, and the asset_hash of an "
            "asset is known at synth."
        )

    # It may be encoded: newer versions of shlex.quote do that with the whole.
    __getitem__ = __iter__ = _refuse
    split = rsplit = partition = rpartition = splitlines = _refuse
    lower = upper = title = capitalize = swapcase = casefold = _refuse
    translate = removeprefix = removesuffix = _refuse


def referenced_constructs(*texts: str | None) -> list[IConstruct]:
    """The constructs that the tokens in some strings reference."""
    tokens: list[Any] = [token for text in texts if text for token in Tokenization.reverse_string(text).tokens]
    return [token.target for token in tokens if Reference.is_reference(token)]


def region_of(arn: str) -> str:
    """The region in an ARN; a token if the ARN is only known at deploy."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 3 else Aws.REGION

"""Exports that stay while verification is switched off.

A deployed stack imports the verifier, the repository or the topic of another stack for its verifications.
CloudFormation refuses to remove an export that is in use, so that the other stack could not be deployed any more.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Reference, Stack, Token, Tokenization

from .synthesis.facts import stack_of, stage_of
from .synthesis.identity import is_same
from .synthesis.nesting import parent_stack, top_level


def keep_exports(stack: Stack, *values: str | None) -> None:
    """Export, under the names that CDK uses, what a verification in a stack imports from other stacks.

    :param stack: the stack of the verification, which does not verify now.
    :param values: strings of the verification; the references in them count.
    """
    tokens: list[Any] = [token for value in values if value for token in Tokenization.reverse_string(value).tokens]
    for token in filter(Reference.is_reference, tokens):
        home = stack_of(token.target)
        # A reference to another stage or environment is never an export. In a nested stack CDK exports an output of
        # that stack's own resource, which has no public method.
        if (
            parent_stack(home) is None
            and not is_same(home, top_level(stack))
            and home.environment == stack.environment
            and is_same(stage_of(home), stage_of(stack))
        ):
            home.export_value(Token.as_string(token))

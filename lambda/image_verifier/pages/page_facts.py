"""The facts at the head of every page: when was checked, in which accounts, by which policy and by which version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from .. import __version__
from ..policy import Policy
from ..report import FailOn
from ..rules.names import Names
from ..text import readable_size
from .finding_view import titles

Fact = tuple[str, str]
"""A fact's name and its value."""

# More accounts are only counted.
_MAX_ACCOUNTS: Final = 5
_REFUSES: Final = {FailOn.ERROR: "errors", FailOn.WARNING: "errors and warnings", FailOn.NEVER: "nothing"}


def page_facts(time: datetime, accounts: Iterable[Fact], policy: str, version: str = __version__) -> list[Fact]:
    """The facts of a page; a fact without a value is left out.

    :param time: when the images were checked, in UTC.
    :param accounts: the AWS accounts of the images, each with its region; an image outside of ECR has neither.
    :param policy: the policy in words.
    :param version: the version that checked them.
    """
    facts = (
        ("checked", f"{time:%Y-%m-%d %H:%M} UTC"),
        ("account", _accounts(dict.fromkeys(accounts))),
        ("policy", policy),
        ("version", f"safe-image {version}"),
    )
    return [(name, value) for name, value in facts if value]


def account_of(names: Names) -> Fact:
    """The account and the region of an image in ECR; two empty texts for any other image."""
    return names.registry_id, names.region


def policy_for(policy: Policy) -> str:
    """The policy in words, with its platform and its runtimes."""
    return f"{policy.platform} on {titles(dict.fromkeys(policy.runs_on))}; {policy_words(policy)}"


def policy_words(policy: Policy) -> str:
    """The policy in words, without its platform and its runtimes, which a page may have for each image."""
    return "; ".join(_clauses(policy))


def _clauses(policy: Policy) -> Iterator[str]:
    yield f"refuses {_REFUSES[policy.fail_on]}"
    yield "reads every layer" if policy.verify_layers else "reads manifests and configs, not the layers' bytes"
    if policy.min_size is not None:
        yield f"at least {readable_size(policy.min_size)}"
    if policy.max_size is not None:
        yield f"at most {readable_size(policy.max_size)}"
    if policy.baseline:
        yield f"at most {readable_size(policy.baseline.max_size)}, compared with {policy.baseline.reference}"
    if policy.require:
        yield f"requires {', '.join(f'{r.kind}:{r.value}' if r.value else r.kind for r in policy.require)}"
    for finding, reason in policy.acknowledge.items():
        yield f"accepts {finding} ({reason})"


def _accounts(accounts: Iterable[Fact]) -> str:
    shown: Sequence[str] = [f"{account} in {region}" if region else account for account, region in accounts if account]
    more = len(shown) - _MAX_ACCOUNTS
    return ", ".join(shown[:_MAX_ACCOUNTS]) + (f" and {more} more" if more > 0 else "")

"""One row of advice: how to fix a finding now and for good."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Then(Enum):
    """The way from the advice to a deploy that succeeds."""

    REPLACE = "replace"
    """The rejected image stands in the way of a new build: free its tag, and remove its copy from the builder."""
    REBUILD = "rebuild"
    """A change of the build gives a new image. CDK gives it a new tag, so nothing has to be removed."""
    DEPLOY = "deploy"
    """The image stays as it is: deploy again."""


@dataclass(frozen=True)
class Advice:
    """The advice for one finding.

    :param now: the remedy now. `{platform}`, `{architecture}`, `{construct}`, `{expected}` and `{push}` are filled in:
        the fourth is the finding's own, the last says how to push an image that no deploy pushes. A second line that
        begins with `$ ` is a command for such an image.
    :param prevention: the remedy for good.
    :param then: the way from there to a deploy that succeeds.
    """

    now: str
    prevention: str
    then: Then = Then.REPLACE

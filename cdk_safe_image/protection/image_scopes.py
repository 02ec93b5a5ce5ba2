"""The scopes whose images are protected or reported, with the settings for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar, Final

from constructs import Construct, IConstruct

from ..options import Options
from ..synthesis.facts import scopes_of
from ..synthesis.identity import address

_ID: Final = "SafeImages"


class Unverified(str, Enum):
    """How an unverified image is reported at synth: as an error or as a warning."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True)
class ScopeSettings:
    """The settings for the images below a scope.

    :param options: the user's options, without a platform, since each image has its own.
    :param identity: what the options resolve to. Settings with the same identity are equal.
    :param report: how unverified images are reported; None if the images are protected instead.
    """

    options: Options = field(default=Options(), compare=False)
    identity: tuple[Any, ...] = ()
    report: Unverified | None = None


class ImageScope(Construct):
    """Applies settings to all images below its scope. For each image, the nearest scope above it counts."""

    # By the address of the scope.
    _of_scopes: ClassVar[dict[str, ImageScope]] = {}

    def __init__(self, scope: Construct, *, settings: ScopeSettings) -> None:
        """
        :param scope: the scope.
        :param settings: the settings for its images.
        """
        super().__init__(scope, _ID)
        self._of_scopes[address(scope)] = self
        self.settings = settings

    @staticmethod
    def at(scope: IConstruct) -> ImageScope | None:
        """The image scope of exactly this construct; None if it has none."""
        return ImageScope._of_scopes.get(address(scope))

    @classmethod
    def above(cls, construct: IConstruct) -> ImageScope | None:
        """The nearest image scope above a construct; None if there is none."""
        return next((found for scope in reversed(scopes_of(construct)) if (found := cls.at(scope))), None)

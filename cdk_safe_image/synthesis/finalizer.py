"""The moment when all of a stage is made and every aspect has had its turn: what must see everything is called then.

Before that moment nothing may be resolved, since CDK keeps what a `Lazy` said when it was first asked: a container
that an aspect adds to a task definition afterwards would be lost. After it, CDK resolves by itself, and it is too late
to make constructs. https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/core/lib/lazy.ts
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, cast

import jsii
from aws_cdk import Aspects, IAspect, Stage
from constructs import Construct, IConstruct, IValidation

from .snapshot import StageSnapshot

_ID: Final = "CdkSafeImageEnding"
Called = Callable[[StageSnapshot], None]


class StageFinalizer(Construct):
    """The one construct of ours in an app or stage, each of which CDK synthesizes by itself."""

    def __init__(self, stage: Stage) -> None:
        """
        :param stage: the stage, or the app.
        """
        super().__init__(stage, _ID)
        self._stage = stage
        self._waiting: dict[Called, list[str]] = {}
        self._ends = 0
        self._has_begun = False
        self.begin_at(self)
        self.node.add_validation(_NothingIsLate(self))

    @classmethod
    def of(cls, scope: IConstruct) -> StageFinalizer:
        """The one of the stage that the scope is, or is in."""
        # CDK's own answer for a stage is the stage around it.
        stage = scope if isinstance(scope, Stage) else Stage.of(scope)
        assert isinstance(stage, Stage)
        there = stage.node.try_find_child(_ID)
        return there if isinstance(there, StageFinalizer) else cls(stage)

    def call(self, function: Called, path: str) -> None:
        """Have a function called at the end, once for all who ask for it.

        :param function: what to call with all that is made.
        :param path: construct path of who asks, for the message where it is too late.
        """
        self._waiting.setdefault(function, []).append(path)

    def begin_at(self, construct: Construct) -> None:
        """Let the first of such constructs that CDK's aspects come to find the place that they come to last.

        CDK visits depth first. Without `@aws-cdk/core:aspectStabilization` it lists a construct's children when it
        gets to it, and does not visit what is made behind its back: so the end must be made on the way.
        https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/core/lib/private/synthesis.ts
        """
        Aspects.of(construct).add(_At(construct, self._begin))

    @property
    def late(self) -> list[str]:
        """Paths of those who asked to be called when the end was over."""
        return [path for paths in self._waiting.values() for path in paths]

    def _begin(self) -> None:
        if self._has_begun:
            return
        self._has_begun = True
        self._ends += 1
        last = [child for child in self._stage.node.children if not isinstance(child, Stage)][-1]
        end = Construct(cast(Construct, last), f"{_ID}{self._ends}")
        Aspects.of(end).add(_At(end, self._end))

    def _end(self) -> None:
        # CDK may synthesize once more, when there is more.
        self._has_begun = False
        made = StageSnapshot(self._stage)
        while self._waiting:
            function = next(iter(self._waiting))
            del self._waiting[function]
            function(made)


@jsii.implements(IAspect)
class _At:
    """Calls a function when CDK visits one construct; an aspect is called for every construct below, too."""

    def __init__(self, construct: Construct, function: Callable[[], None]) -> None:
        self._construct, self._function = construct, function

    def visit(self, node: IConstruct) -> None:
        if node is self._construct:
            self._function()


@jsii.implements(IValidation)
class _NothingIsLate:
    """Fails the synth where something would stay unverified or ungated."""

    def __init__(self, ending: StageFinalizer) -> None:
        self._ending = ending

    def validate(self) -> list[str]:
        return [
            f"{path} is made by an aspect, after all others have had their turn: make it before the synth, or in an "
            "aspect of the stack's own"
            for path in self._ending.late
        ]

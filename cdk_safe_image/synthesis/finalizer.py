"""Calls functions when a stage is complete: all constructs exist, and every aspect has run.

Before that moment nothing may be resolved, because CDK keeps the first value of a `Lazy`: a container that an aspect
adds to a task definition later would be lost. After that moment CDK itself resolves, and no construct can be added.
https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/core/lib/lazy.ts
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final, cast

import jsii
from aws_cdk import Aspects, IAspect, Stage
from constructs import Construct, IConstruct, IValidation

from .facts import node_of, stage_of
from .identity import address
from .snapshot import StageSnapshot

_ID: Final = "CdkSafeImageFinalizer"
FinalizeFunction = Callable[[StageSnapshot], None]


class StageFinalizer(Construct):
    """Our one construct in an app or a stage. CDK synthesizes each stage separately."""

    # By the address of the stage: to look for the construct is two calls to Node.js for each image.
    _of_stages: ClassVar[dict[str, StageFinalizer]] = {}

    def __init__(self, stage: Stage) -> None:
        """
        :param stage: the stage, or the app.
        """
        super().__init__(stage, _ID)
        self._of_stages[address(stage)] = self
        self._stage = stage
        self._pending: dict[FinalizeFunction, list[str]] = {}
        self._checks: list[FinalizeFunction] = []
        self._runs = 0
        self._has_started = False
        self.start_at(self)
        self.node.add_validation(_NothingIsMissed(self))

    @classmethod
    def of(cls, scope: IConstruct) -> StageFinalizer:
        """The finalizer of the stage that contains a scope, or that the scope is; made on first use."""
        # For a stage, `Stage.of` returns the stage around it.
        stage = scope if isinstance(scope, Stage) else stage_of(scope)
        assert isinstance(stage, Stage)
        return cls._of_stages.get(address(stage)) or cls(stage)

    def on_finalize(self, function: FinalizeFunction, path: str) -> None:
        """Call a function when the stage is complete, once for all constructs that request it.

        :param function: called with the snapshot of the stage.
        :param path: path of the construct that requests it, for the message if it is too late.
        """
        self._pending.setdefault(function, []).append(path)

    def on_validate(self, function: FinalizeFunction) -> None:
        """Call a function when CDK validates the stage: it has resolved every reference, and may still annotate.

        :param function: called once in each synth, with the snapshot of the stage. It may add another one.
        """
        if function not in self._checks:
            self._checks.append(function)

    def validate(self) -> None:
        """Call the functions of `on_validate`."""
        snapshot = StageSnapshot(self._stage)
        for function in self._checks:
            function(snapshot)

    def is_requested_again(self, function: FinalizeFunction) -> bool:
        """Whether a construct requested a call of a function that is running. The request counts as done then.

        :param function: the function, which then takes another snapshot of the stage.
        """
        return self._pending.pop(function, None) is not None

    def start_at(self, construct: Construct) -> None:
        """Add a construct at which the finalizer may start. It starts at the first one that CDK's aspects visit.

        There it adds a construct at the end of the tree, whose visit is the last one. CDK visits depth first. Without
        `@aws-cdk/core:aspectStabilization` it lists the children of a construct when it visits that construct, and
        never visits children that are added later: so the last construct must be added during the visits.
        https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/core/lib/private/synthesis.ts
        """
        Aspects.of(construct).add(_VisitOf(construct, self._start))

    @property
    def missed(self) -> list[str]:
        """The paths of the constructs that requested a call too late."""
        return [path for paths in self._pending.values() for path in paths]

    def _start(self) -> None:
        if self._has_started:
            return
        self._has_started = True
        self._runs += 1
        last = [child for child in node_of(self._stage).children if not isinstance(child, Stage)][-1]
        end = Construct(cast(Construct, last), f"{_ID}{self._runs}")
        Aspects.of(end).add(_VisitOf(end, self._finalize))

    def _finalize(self) -> None:
        # CDK may synthesize the stage again, with more constructs.
        self._has_started = False
        snapshot = StageSnapshot(self._stage)
        while self._pending:
            function = next(iter(self._pending))
            del self._pending[function]
            function(snapshot)


@jsii.implements(IAspect)
class _VisitOf:
    """Calls a function when CDK visits one construct. CDK calls the aspect for every construct below it, too."""

    def __init__(self, construct: Construct, function: Callable[[], None]) -> None:
        self._construct, self._function = construct, function

    def visit(self, node: IConstruct) -> None:
        # Python made this construct, so that jsii knows it. To compare addresses would be two calls for each construct.
        if node is self._construct:
            self._function()


@jsii.implements(IValidation)
class _NothingIsMissed:
    """Fails the synth if an image would stay unverified, or a service would not wait; runs the stage's last checks."""

    def __init__(self, finalizer: StageFinalizer) -> None:
        self._finalizer = finalizer

    def validate(self) -> list[str]:
        self._finalizer.validate()
        return [
            f"{path} was made by an aspect, after all other aspects ran, or while CDK wrote the templates: make it "
            "before the synth, or in an aspect of the stack itself"
            for path in self._finalizer.missed
        ]

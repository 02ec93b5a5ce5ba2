"""`SafeImages`: one line that builds and verifies every image of an app, a stage, a stack or any other scope.

CDK calls a property injector for each `DockerImageAsset`, whoever makes it, right before it is made. There its build
is set; at the end, when all of the app is there, each image gets its verification, and each resource that names it
waits. https://docs.aws.amazon.com/cdk/v2/guide/blueprints.html
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

import jsii
from aws_cdk import CfnResource, IPropertyInjector, PropertyInjectors, Size, Stack
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct

from .. import build
from ..asset import SafeDockerImageAsset
from ..consumers import Consumer, consumer_at
from ..options import (
    FailOnValue,
    GateValue,
    OnFailureValue,
    Options,
    RequireValue,
    RunsOnValue,
    enum_member,
    runtime_names,
    with_defaults,
)
from ..stack_resources import StackResources
from ..synthesis.finalizer import StageFinalizer
from ..verification import is_switched_on
from ..verifier import ImageVerifier
from .image_scopes import Build, ImageScope, ScopeSettings, Unverified, default_platform, finish

_TYPE: Final = ecr_assets.DockerImageAsset.PROPERTY_INJECTION_ID
_TASKS: Final = (ecs.TaskDefinition, ecs.CfnTaskDefinition)


class SafeImages(ImageScope):
    """Every image that is made below a scope is built so that it does not break, and verified before it is used.

    Make one with `SafeImages.protect` or `SafeImages.report`. The one that is nearest above an image decides; so
    another further down overrides it.
    """

    @classmethod
    def protect(
        cls,
        scope: Construct,
        *,
        runs_on: RunsOnValue | Sequence[RunsOnValue] | None = None,
        min_size: Size | None = None,
        max_size: Size | None = None,
        verify_layers: bool | None = None,
        fail_on: FailOnValue | None = None,
        require: Sequence[RequireValue] | None = None,
        acknowledge: Mapping[str, str] | None = None,
        on_failure: OnFailureValue | None = None,
        notify: sns.ITopic | None = None,
        gate: GateValue | None = None,
        verifier: ImageVerifier | None = None,
    ) -> SafeImages:
        """Build and verify every image below a scope, and let every resource that names one wait.

        The platform is the one that the image's consumer says (a task definition's `runtime_platform`, a function's
        architecture), and linux/amd64 where nothing does. Images that say their own platform or outputs keep them. A
        `SafeDockerImageAsset`, and an image that an `ImageVerification` of its stack names, are left alone.

        Call it before the images are made: CDK's property injectors do not reach what is there already. The first
        deploy afterwards builds and pushes every image once more, under a new tag.

        :param scope: an app, a stage, a stack, or any other construct in which no image is made yet.
        :param runs_on: the runtimes that must be able to run the images. Default: those of the resources that name the
            image; Fargate where none does
        :param min_size: least compressed size of an image. Default: no bound
        :param max_size: largest compressed size of an image. Default: no bound
        :param verify_layers: read every layer's bytes too. Default: False
        :param fail_on: from which severity on a finding refuses an image, or never. Default: an error
        :param require: conditions beyond what the runtimes ask for. Default: none
        :param acknowledge: reasons for which findings are waived, by the finding's id. Default: none
        :param on_failure: whether the verifier may remove the tag of an image that it refuses and that none of the
            runtimes can pull (docs/policy.md). Default: the tag is kept
        :param notify: the topic that gets the report of a refusal or of a doubt. Default: none
        :param gate: whether every ECS service of an image's stack waits for it, or only what uses it.
            Default: the services of the stack
        :param verifier: the Lambda that verifies. Default: one for each stack
        :returns: the construct, which is the same where the scope is protected in the same way already.
        :raises ValueError: if an image is made already, or for a policy that no image can meet.
        """
        options = Options(
            runs_on=runs_on,
            min_size=min_size,
            max_size=max_size,
            verify_layers=verify_layers,
            fail_on=fail_on,
            require=require,
            acknowledge=acknowledge,
            on_failure=on_failure,
            notify=notify,
            gate=gate,
            verifier=verifier,
        )
        path = _name(scope)
        # Tells what no image can meet; of which platform an image is, is known when there is one.
        asked = with_defaults(scope, options)
        settled = replace(asked, platform=default_platform(asked)).settled(path)
        coverage = ScopeSettings(options=options, meaning=(settled, runtime_names(runs_on), notify, verifier))
        if (there := cls._same(scope, coverage)) is not None:
            return there
        early = [found.node.path for found in scope.node.find_all() if _is_out_of_reach(found)]
        if early:
            names = ", ".join(early[:3]) + (f" and {len(early) - 3} more" if len(early) > 3 else "")
            raise ValueError(
                f"SafeImages.protect{_caller()} comes after the image {names}, which it cannot reach any more: move "
                f"that line up, to right behind the one that makes {path}"
            )
        return cls(scope, coverage=coverage)

    @classmethod
    def report(
        cls, scope: Construct, *, unverified: Unverified | Literal["error", "warning"] = Unverified.ERROR
    ) -> SafeImages:
        """Only tell of images below a scope that nothing verifies, and change none.

        Those are assets, and images of ECR that CDK does not build and a resource of a known kind runs.

        :param scope: an app, a stage, a stack, or any other construct.
        :param unverified: whether the synth fails for them, or warns. Default: it fails
        """
        coverage = ScopeSettings(reports=enum_member(_name(scope), "unverified", Unverified, unverified))
        return cls._same(scope, coverage) or cls(scope, coverage=coverage)

    def __init__(self, scope: Construct, *, coverage: ScopeSettings) -> None:
        """Use `protect` or `report`."""
        super().__init__(scope, coverage=coverage)
        PropertyInjectors.of(scope).add(_Injector(coverage, _injector_above(scope)))
        StageFinalizer.of(scope).call(finish, self.node.path)

    @classmethod
    def _same(cls, scope: Construct, coverage: ScopeSettings) -> SafeImages | None:
        there = ImageScope.at(scope)
        if there is None:
            return None
        if isinstance(there, SafeImages) and there.coverage == coverage:
            return there
        raise ValueError(f"SafeImages of {_name(scope)} is there already, with other settings: write one of the two")


@jsii.implements(IPropertyInjector)
class _Injector:
    """Sets how an image is built, and takes note of it."""

    def __init__(self, coverage: ScopeSettings, above: Any) -> None:
        """
        :param coverage: what is asked of the image.
        :param above: the injector that this one hides; None where there is none.
        """
        self._coverage = coverage
        self.above = above

    @property
    def construct_unique_id(self) -> str:
        return _TYPE

    def inject(self, original_props: Any, *, id: str, scope: Construct) -> Any:
        props = self.above.inject(original_props, id=id, scope=scope) if self.above else original_props
        if build.is_ours(props.get("extraHash")):
            return props
        parts, path = StackResources.of(Stack.of(scope)), f"{scope.node.path}/{id}"
        StageFinalizer.of(scope).call(finish, path)
        if self._coverage.reports:
            return props
        consumer, options = _consumer_around(scope), with_defaults(scope, self._coverage.options)
        platform = props.get("platform") or default_platform(options, [consumer] if consumer else _beside(scope))
        defaults = build.default_outputs(runtime_names(options.runs_on) or (consumer.runs_on if consumer else ()))
        own = props.get("outputs")
        parts.builds[path] = Build(platform.platform, tuple(defaults if own is None else own), own is not None)
        if is_switched_on(scope) and options.verifier is None:
            # Now, and not at the end, so that the app's aspects reach it: tags, permissions boundaries.
            parts.verifier()
        return _built(props, platform, defaults)


def _built(props: Mapping[str, Any], platform: ecr_assets.Platform, defaults: list[str]) -> Mapping[str, Any]:
    """The properties of an asset with a build that does not break; what they say already stays."""
    outputs = props.get("outputs")
    invalidation = dict(props.get("invalidation") or {})
    hashed = build.extra_hash(
        None if invalidation.get("outputs") is False else defaults if outputs is None else list(outputs),
        None if invalidation.get("extraHash") is False else props.get("extraHash"),
    )
    passed = build.passed_outputs(defaults) if outputs is None else outputs
    return {
        **props,
        "platform": platform,
        "invalidation": {**invalidation, "outputs": False, "extraHash": True},
        "extraHash": hashed,
        **({"outputs": passed} if passed else {}),
    }


def _consumer_around(scope: Construct) -> Consumer | None:
    """What will run an image that is made in this scope, where it is made by that or within it."""
    for above in reversed(scope.node.scopes):
        if isinstance(above, Stack):
            return None
        if isinstance(above, lambda_.Function):
            # It is being made, and has no resource yet; CDK itself takes the platform from its architecture.
            return Consumer(above.node.path, ("lambda",), None, "", {})
        if consumer := _consumer_of(above):
            return consumer
    return None


def _beside(scope: Construct) -> list[Consumer]:
    """The task definitions that are in the scope already, each of which runs an image."""
    found = (_consumer_of(child) for child in scope.node.children if isinstance(child, _TASKS))
    return [consumer for consumer in found if consumer]


def _consumer_of(construct: IConstruct) -> Consumer | None:
    resource = construct if isinstance(construct, CfnResource) else construct.node.default_child
    return consumer_at(resource) if isinstance(resource, CfnResource) else None


def _injector_above(scope: Construct) -> Any:
    """The user's own injector that CDK would call for an image in this scope, and now calls ours instead."""
    for above in reversed(scope.node.scopes):
        if PropertyInjectors.has_property_injectors(above):
            injector = PropertyInjectors.of(above).for_(_TYPE)
            if injector is not None:
                return injector.above if isinstance(injector, _Injector) else injector
    return None


def _is_out_of_reach(construct: IConstruct) -> bool:
    return isinstance(construct, ecr_assets.DockerImageAsset) and not isinstance(construct, SafeDockerImageAsset)


def _name(scope: Construct) -> str:
    return scope.node.path or "the app"


def _caller() -> str:
    """Where the user's code called, for a message."""
    here = Path(__file__).parent
    for frame in reversed(traceback.extract_stack(limit=10)):
        if Path(frame.filename).parent != here:
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""

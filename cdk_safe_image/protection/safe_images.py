"""`SafeImages`: one line that pins the build of every image of an app or any other scope, and verifies the images.

CDK calls a property injector for each `DockerImageAsset` right before it is made, and the injector sets the build. When
the stage is complete, each image gets its verification, and each resource that references the image waits for it.
https://docs.aws.amazon.com/cdk/v2/guide/blueprints.html
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import jsii
from aws_cdk import IPropertyInjector, PropertyInjectors, Size
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_sns as sns
from constructs import Construct, IConstruct

from .. import build
from ..argument_types import check_types
from ..asset import SafeDockerImageAsset
from ..build import BuildRecord
from ..image_references import with_capacity
from ..options import (
    FailOnValue,
    GateValue,
    OnFailureValue,
    Options,
    RequireValue,
    RunsOnValue,
    enum_member,
    platform_name,
    runtime_names,
    with_defaults,
)
from ..stack_resources import StackResources
from ..switch import is_verification_on
from ..synthesis.facts import child_path, scopes_of, stack_of
from ..synthesis.finalizer import StageFinalizer
from ..tokens import is_dummy
from ..verifier import ImageVerifier
from .early_consumers import READERS, EarlyConsumers, PropertyReader
from .image_scopes import ImageScope, ScopeSettings, Unverified
from .scoped_images import default_platform
from .stage_images import verify_or_report

_TYPE: Final = ecr_assets.DockerImageAsset.PROPERTY_INJECTION_ID


class SafeImages(ImageScope):
    """Pins the build of every image below a scope, and verifies each image before a resource uses it.

    Make one with `SafeImages.protect` or `SafeImages.report`. For each image, the nearest one above it counts.
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
        """Pin the build of every image below a scope, and verify each image before a resource that references it.

        The platform is that of the resource that runs the image (a task definition's `runtime_platform`, a function's
        architecture), or else linux/amd64. An image with its own platform or outputs keeps them. A
        `SafeDockerImageAsset`, and an image that an `ImageVerification` of its stack verifies, are left alone.

        Call it before the images are made, because CDK's property injectors do not reach existing ones. The next
        deploy builds and pushes every image again, with a new tag.

        :param scope: an app, a stage, a stack, or any other construct that does not contain an image yet.
        :param runs_on: the runtimes that must be able to pull and start the images. Default: the runtimes of the
            resources that reference the image; Fargate if there are none
        :param min_size: the smallest compressed size that is accepted. Default: no limit
        :param max_size: the largest compressed size that is accepted. Default: no limit
        :param verify_layers: read every layer's bytes too. Default: False
        :param fail_on: the lowest severity of a finding that fails the deploy, or never. Default: an error
        :param require: conditions beyond those of the runtimes. Default: none
        :param acknowledge: the findings to waive: each finding's id with the reason. Default: none
        :param on_failure: whether the verifier may remove the tag of a refused image that none of the runtimes can
            pull (docs/policy.md). Default: the tag is kept
        :param notify: the SNS topic that gets a report of every refusal and every fault. Default: none
        :param gate: whether every ECS service of an image's stack waits for its verification, or only the resources
            that use the image. Default: the services of the stack
        :param verifier: the Lambda that verifies the images. Default: one for each stack
        :returns: the construct; the existing one if the scope is already protected with the same settings.
        :raises ValueError: if the scope already contains an image, or no image can meet the policy.
        """
        check_types("SafeImages.protect", scope=scope)
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
        # Fails if no image can meet the options. The platform is only known when there is an image.
        completed = with_defaults(scope, options)
        resolved = replace(completed, platform=default_platform(completed)).resolve(path)
        settings = ScopeSettings(options=options, identity=(resolved, runtime_names(runs_on), notify, verifier))
        if (existing := cls._existing(scope, settings)) is not None:
            return existing
        early = [found.node.path for found in scope.node.find_all() if _is_too_early(found)]
        if early:
            names = ", ".join(early[:3]) + (f" and {len(early) - 3} more" if len(early) > 3 else "")
            raise ValueError(
                f"SafeImages.protect{_caller()} is called after the image {names} was made, which it cannot change "
                f"any more: move that line up, right after the line that makes {path}"
            )
        return cls(scope, settings=settings)

    @classmethod
    def report(
        cls, scope: Construct, *, unverified: Unverified | Literal["error", "warning"] = Unverified.ERROR
    ) -> SafeImages:
        """Only report the unverified images below a scope, without changing any.

        It reports assets, and images of ECR that CDK does not build if a resource of a known type runs them.

        :param scope: an app, a stage, a stack, or any other construct.
        :param unverified: whether an unverified image is an error, which fails the synth, or a warning.
            Default: an error
        :returns: the construct; the existing one if the scope already has the same settings.
        :raises ValueError: if the scope has other settings.
        """
        check_types("SafeImages.report", scope=scope)
        level = (
            Unverified.ERROR
            if is_dummy(unverified)
            else enum_member(_name(scope), "unverified", Unverified, unverified)
        )
        settings = ScopeSettings(report=level)
        return cls._existing(scope, settings) or cls(scope, settings=settings)

    def __init__(self, scope: Construct, *, settings: ScopeSettings | None = None) -> None:
        """Use `protect` or `report` instead."""
        if settings is None:
            raise ValueError(
                f"SafeImages of {_name(scope)} says neither to protect nor to report images: use "
                "SafeImages.protect(…) or SafeImages.report(…)"
            )
        super().__init__(scope, settings=settings)
        consumers = EarlyConsumers()
        injectors: list[Any] = [_Injector(settings, _injector_above(scope, _TYPE), consumers)]
        if settings.report is None:
            injectors += [
                PropertyReader(type_id, read, _injector_above(scope, type_id), consumers)
                for type_id, read in READERS.items()
            ]
        PropertyInjectors.of(scope).add(*injectors)
        StageFinalizer.of(scope).on_finalize(verify_or_report, self.node.path)

    @classmethod
    def _existing(cls, scope: Construct, settings: ScopeSettings) -> SafeImages | None:
        existing = ImageScope.at(scope)
        if existing is None:
            return None
        if isinstance(existing, SafeImages) and existing.settings == settings:
            return existing
        raise ValueError(f"{_name(scope)} already has SafeImages with other settings: keep one of the two")


@jsii.implements(IPropertyInjector)
class _Injector:
    """Sets the build of each image, and records it for the end of the synth."""

    def __init__(self, settings: ScopeSettings, above: Any, consumers: EarlyConsumers) -> None:
        """
        :param settings: the settings of the scope.
        :param above: the user's injector that this one hides, and therefore calls; None if there is none.
        :param consumers: the consumers that exist before their image.
        """
        self._settings, self._consumers = settings, consumers
        self.above = above

    @property
    def construct_unique_id(self) -> str:
        return _TYPE

    def inject(self, original_props: Any, *, id: str, scope: Construct) -> Any:
        props = self.above.inject(original_props, id=id, scope=scope) if self.above else original_props
        if build.is_ours(props.get("extraHash")):
            return props
        stack, path = stack_of(scope), child_path(scope, id)
        stack_resources = StackResources.of(stack)
        StageFinalizer.of(stack).on_finalize(verify_or_report, path)
        if self._settings.report:
            return props
        consumer, options = self._consumers.around(scope), with_defaults(scope, self._settings.options)
        found = [consumer] if consumer else self._consumers.task_definitions_in(scope)
        # The instances that run it may say its platform, if the app made them before the image.
        instances = partial(self._consumers.platform_of_instances, stack, is_around=consumer is not None)
        consumers = found if props.get("platform") else [with_capacity(it, instances) for it in found]
        platform = props.get("platform") or default_platform(options, consumers)
        is_said = bool(props.get("platform") or options.platform or any(it.platform for it in consumers))
        defaults = build.default_outputs(runtime_names(options.runs_on) or (consumer.runs_on if consumer else ()))
        own = props.get("outputs")
        outputs = tuple(defaults if own is None else own)
        pinned, name = _pinned(props, platform, defaults), platform_name(platform)
        set_by = build.set_by(own, are_hashed=(props.get("invalidation") or {}).get("outputs") is not False)
        stack_resources.builds[path] = BuildRecord(name, outputs, set_by, is_said, pinned, scope)
        if is_verification_on(scope) and options.verifier is None:
            # Make the verifier now instead of at the end, so that the app's aspects reach it: tags, permissions
            # boundaries.
            stack_resources.verifier()
        return pinned


def _pinned(props: Mapping[str, Any], platform: ecr_assets.Platform, defaults: list[str]) -> Mapping[str, Any]:
    """The properties of an asset with a pinned build. Platform and outputs that the user set are kept."""
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


def _injector_above(scope: Construct, type_id: str) -> Any:
    """The user's own injector that CDK would call for a type in this scope if ours did not hide it."""
    for above in reversed(scopes_of(scope)):
        if PropertyInjectors.has_property_injectors(above):
            injector = PropertyInjectors.of(above).for_(type_id)
            if injector is not None:
                return injector.above if isinstance(injector, _Injector | PropertyReader) else injector
    return None


def _is_too_early(construct: IConstruct) -> bool:
    return isinstance(construct, ecr_assets.DockerImageAsset) and not isinstance(construct, SafeDockerImageAsset)


def _name(scope: Construct) -> str:
    return scope.node.path or "the app"


def _caller() -> str:
    """The file and line of the user's call, for a message."""
    here = Path(__file__).parent
    for frame in reversed(traceback.extract_stack(limit=10)):
        if Path(frame.filename).parent != here:
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""

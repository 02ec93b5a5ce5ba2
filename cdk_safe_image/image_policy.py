"""`ImagePolicy`: default options for every image of an app, a stage, a stack or any other scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Size
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_sns as sns
from constructs import Construct

from .argument_types import check_types
from .options import (
    Defaults,
    FailOnValue,
    GateValue,
    OnFailureValue,
    Options,
    PinValue,
    RequireValue,
    RunsOnValue,
    with_defaults,
)
from .verification import ImageVerification
from .verifier import ImageVerifier


class ImagePolicy:
    """Default options for the images of an app, a stage, a stack or any other scope."""

    @staticmethod
    def defaults(
        scope: Construct,
        *,
        runs_on: RunsOnValue | Sequence[RunsOnValue] | None = None,
        platform: ecr_assets.Platform | None = None,
        min_size: Size | None = None,
        max_size: Size | None = None,
        verify_layers: bool | None = None,
        fail_on: FailOnValue | None = None,
        require: Sequence[RequireValue] | None = None,
        acknowledge: Mapping[str, str] | None = None,
        on_failure: OnFailureValue | None = None,
        notify: sns.ITopic | None = None,
        pin: PinValue | None = None,
        gate: GateValue | None = None,
        verifier: ImageVerifier | None = None,
    ) -> None:
        """Set default options for every image below a scope. An image's own options override them.

        If several scopes above an image set the same option, the nearest scope counts. A list or a map replaces that of
        the farther scope as a whole. `ImageVerification` documents each option. An option that is left out is not set.

        :param scope: an app, a stage, a stack or any construct, before there are images below it.
        :param runs_on: the runtimes that must be able to pull and start the images.
        :param platform: the platform that the images must be for.
        :param min_size: the smallest compressed size that is accepted.
        :param max_size: the largest compressed size that is accepted.
        :param verify_layers: read every layer's bytes.
        :param fail_on: the lowest severity of a finding that fails the deploy.
        :param require: conditions beyond those of the runtimes.
        :param acknowledge: the findings to waive: each finding's id with the reason.
        :param on_failure: whether the tag of a refused image is kept or removed.
        :param notify: the SNS topic that gets a report of every refusal and every fault.
        :param pin: whether `image_uri` contains the verified digest or the tag.
        :param gate: whether all ECS services of the stack wait for the verifications, or only users of the images.
        :param verifier: the Lambda that verifies the images.
        :raises ValueError: if the scope already has defaults, or already contains images, or if no image can meet the
            policy; the message says what to do instead.
        """
        check_types("ImagePolicy.defaults", scope=scope)
        options = Options(
            runs_on=runs_on,
            platform=platform,
            min_size=min_size,
            max_size=max_size,
            verify_layers=verify_layers,
            fail_on=fail_on,
            require=require,
            acknowledge=acknowledge,
            on_failure=on_failure,
            notify=notify,
            pin=pin,
            gate=gate,
            verifier=verifier,
        )
        where = f"ImagePolicy.defaults of {scope.node.path or 'the app'}"
        if Defaults.of(scope):
            raise ValueError(f"{where} is called twice: pass all options in one call")
        late = next((found for found in scope.node.find_all() if isinstance(found, ImageVerification)), None)
        if late is not None:
            raise ValueError(f"{where} is called after the image {late.user_path} was made: move the call up")
        with_defaults(scope, options).resolve(where)
        Defaults(scope, options)

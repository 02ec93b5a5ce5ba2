"""`ImagePolicy`: what is asked of every image of an app, a stage or any other scope that says nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Size
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_sns as sns
from constructs import Construct

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
    """What is asked of images, for a whole app, a stage, a stack or any other scope."""

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
        """Set what is asked of every image that is made below a scope, where it says nothing itself.

        Of several scopes above an image, the nearest that says something counts, keyword by keyword; a list or a map
        takes the place of the farther one's as a whole. `ImageVerification` documents each keyword. One that is left
        out here is not set.

        :param scope: an app, a stage, a stack or any construct, before there are images below it.
        :param runs_on: the runtimes that must be able to pull and start the images.
        :param platform: the platform that the images are for.
        :param min_size: least compressed size of an image.
        :param max_size: largest compressed size of an image.
        :param verify_layers: read every layer's bytes.
        :param fail_on: from which severity on a finding refuses an image.
        :param require: conditions beyond what the runtimes ask for.
        :param acknowledge: reasons for which findings are waived, by the finding's id.
        :param on_failure: what becomes of a rejected tag.
        :param notify: the topic that is told of refusals and doubts.
        :param pin: whether `image_uri` names the verified digest or the tag.
        :param gate: what waits for the verifications.
        :param verifier: the Lambda that verifies.
        :raises ValueError: if the scope has defaults already, or images that they would come too late for, or for
            what cannot be met; the message says what to write instead.
        """
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
            raise ValueError(f"{where} is called twice: write all keywords into one call")
        late = next((found for found in scope.node.find_all() if isinstance(found, ImageVerification)), None)
        if late is not None:
            raise ValueError(f"{where} comes after the image {late.user_path} was made: move it up, before that line")
        with_defaults(scope, options).settled(where)
        Defaults(scope, options)

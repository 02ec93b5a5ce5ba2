"""The resources that all verifications of a stack share: the verifier, its permissions, the gate, the outputs."""

from __future__ import annotations

import hashlib
import json
from typing import ClassVar, Final, Protocol

from aws_cdk import Annotations, CfnOutput, CfnResource, Stack
from aws_cdk import aws_ecr as ecr
from constructs import Construct, IConstruct
from image_verifier.custom_resource.schema import Attribute

from .build import BuildRecord
from .consumers import Consumer
from .gate import GatedVerification, close_gate
from .permissions import Permissions
from .synthesis.facts import node_of, path_of, place, scopes_of
from .synthesis.finalizer import StageFinalizer
from .synthesis.identity import address, is_same
from .synthesis.nesting import top_level
from .synthesis.snapshot import StageSnapshot
from .verifier import ImageVerifier

_ID: Final = "CdkSafeImage"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/outputs-section-structure.html
_MAX_DESCRIPTION: Final = 1024


class StackVerification(GatedVerification, Protocol):
    """The part of a verification that the stack's resources use."""

    @property
    def user_path(self) -> str:
        """The path of the construct that the user made."""
        ...

    @property
    def unverified_uri(self) -> str:
        """The image's URI as it was given."""
        ...

    @property
    def needs(self) -> list[IConstruct]:
        """The constructs that the verification calls, uses or reads."""
        ...

    def add_dependent(self, resource: CfnResource, consumer: Consumer | None) -> None:
        """Make a resource wait for the verification."""
        ...

    def verifies(self, repository: ecr.IRepository, tag: str) -> bool:
        """Whether this verifies an image."""
        ...


class StackResources(Construct):
    """Our one construct at the root of a stack. It makes each part on first use."""

    # By the address of the stack: to look for the construct is two calls to Node.js for each image.
    _of_stacks: ClassVar[dict[str, StackResources]] = {}

    def __init__(self, stack: Stack) -> None:
        """
        :param stack: the stack, which may be a nested one.
        """
        super().__init__(stack, _ID)
        place(self, stack, _ID)
        self._of_stacks[address(stack)] = self
        self._stack = stack
        self._root = top_level(stack)
        self._root_prefix = f"{path_of(self._root)}/"
        self._verifier: ImageVerifier | None = None
        self._permissions: dict[str, Permissions] = {}
        self._gated: list[StackVerification] = []
        self.verifications: list[StackVerification] = []
        # By construct path: the platforms of images whose platform is not set.
        self._assumed: dict[str, str] = {}
        # By construct path: the assets whose build SafeImages set.
        self.builds: dict[str, BuildRecord] = {}
        self._finalizer = StageFinalizer.of(stack)
        # CDK would call an aspect of this construct for each verification in it, too.
        self._finalizer.start_at(Construct(self, "Start"))

    @classmethod
    def of(cls, stack: Stack) -> StackResources:
        """The resources of a stack, made on first use."""
        return cls._of_stacks.get(address(stack)) or cls(stack)

    @classmethod
    def build_of(cls, stack: Stack, path: str) -> BuildRecord | None:
        """How `SafeImages` set the build of an image; None if it did not.

        :param stack: the stack of the asset.
        :param path: construct path of the asset.
        """
        found = cls._of_stacks.get(address(stack))
        return found.builds.get(path) if found else None

    def verifier(self) -> ImageVerifier:
        """The default verifier of this stack. Nested stacks use the verifier of their top-level stack."""
        if self._verifier is None:
            is_root = is_same(self._stack, self._root)
            self._verifier = ImageVerifier(self, "Verifier") if is_root else StackResources.of(self._root).verifier()
        return self._verifier

    def permissions(
        self, verifier_name: str, verifier: ImageVerifier, repository_arn: str, resolved_arn: object
    ) -> Permissions:
        """The permissions of a verifier for one repository in this stack.

        They are a policy of this stack even if the verifier belongs to another: a grant on the other stack's role
        would make that stack depend on this one. Each repository has its own policy, so that no image waits for the
        repository of another image.

        :param verifier_name: what `verifier_name` returns for the verifier.
        :param verifier: the verifier.
        :param repository_arn: ARN of the repository.
        :param resolved_arn: the same ARN, resolved.
        """
        key = json.dumps([verifier_name, resolved_arn], sort_keys=True)
        if key not in self._permissions:
            name = f"Permissions{hashlib.sha256(key.encode()).hexdigest()[:8]}"
            self._permissions[key] = Permissions(self, name, verifier=verifier, repository_arn=repository_arn)
        return self._permissions[key]

    def verifier_name(self, verifier: ImageVerifier) -> str:
        """The verifier's path in this stack, or in the app if the verifier belongs to another stack."""
        return path_of(verifier).removeprefix(self._root_prefix)

    def assume_platform(self, image_path: str, platform: str) -> None:
        """Remember an image whose platform nobody set, and whose consumers may run on another one.

        :param image_path: path of the construct that the user made.
        :param platform: the platform for which it is built.
        """
        self._assumed[image_path] = platform
        self._finalizer.on_validate(self._warn_of_assumed_platforms)

    def _warn_of_assumed_platforms(self, _snapshot: StageSnapshot) -> None:
        images = ", ".join(sorted(self._assumed))
        platforms = " and ".join(sorted(set(self._assumed.values())))
        Annotations.of(self._stack).add_warning_v2(
            "cdk-safe-image:platform-assumed",
            f"Nothing says on which platform these images run, so that they are built for {platforms}: {images}. On "
            "instances of another architecture, such as Graviton, they cannot start. Set platform= for the image, "
            "ImagePolicy.defaults(…, platform=…) for all images of a scope, or the runtime_platform of the task "
            "definition.",
        )

    def gate(self, verification: StackVerification) -> None:
        """Make the stack's ECS services wait for a verification."""
        self._gated.append(verification)
        self._finalizer.on_finalize(self._close_gate, path_of(verification))

    def show_findings(self, verification: StackVerification) -> None:
        """Add an output with the findings of an image whose findings never fail the deploy.

        The output belongs to the top-level stack, because the CLI does not show the outputs of nested stacks.
        """
        name = f"Findings{verification.user_path.removeprefix(self._root_prefix)}"
        CfnOutput(
            StackResources.of(self._root),
            name,
            value=verification.resource.get_att(Attribute.WARNINGS).to_string(),
            description=f"Findings in the image {verification.user_path}"[:_MAX_DESCRIPTION],
        )

    def _close_gate(self, snapshot: StageSnapshot) -> None:
        present = set(map(address, snapshot.constructs))
        close_gate(self, [it for it in self._gated if address(it) in present or self._was_added(it)], snapshot)

    def _was_added(self, verification: StackVerification) -> bool:
        """Whether a verification that a snapshot lacks was made after it. Else the user removed the image."""
        if isinstance(scopes_of(verification)[-2], VerificationHolder):
            return True
        return address(verification) in set(map(address, node_of(self._stack).find_all()))


class VerificationHolder(Construct):
    """Contains the verification of an image, outside of the constructs that contain the image.

    The image is pushed before the deploy, so its verification needs none of the dependencies of those constructs. Such
    a dependency may even be a resource that runs the same image.
    """

    def __init__(self, image: IConstruct, stack: Stack) -> None:
        """
        :param image: the asset that is verified.
        :param stack: the stack in which it is verified: the asset's own, or one around it.
        """
        scope, id = StackResources.of(stack), f"Image/{path_of(image).removeprefix(f'{path_of(stack)}/')}"
        super().__init__(scope, id)
        place(self, scope, id)
        self.image = image

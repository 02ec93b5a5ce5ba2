"""References of the command line, and the targets that they stand for. Clients are created at their first use."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from image_verifier.image.ecr_hosts import ECR_HOST, ecr_host
from image_verifier.image.model import Platform
from image_verifier.image.references import Reference
from image_verifier.policy import Policy
from image_verifier.rules.names import Names

from ..errors import UsageError
from .local_images import ASSEMBLY, DOCUMENTS, LOCAL_IMAGES, forms_of_path, probably_meant
from .regular_files import file_kind

if TYPE_CHECKING:
    from image_verifier.retry import RetryBudget
    from image_verifier.sources import Source

    from .aws_sessions import AwsSessions
    from .cloud_assembly import AssetImage
    from .distribution import Distribution
    from .docker_push import Push
    from .place import Place

REFERENCES: Final = (
    "an image in ECR (through its API), in any other registry (with Docker's own credentials), in the local Docker: "
    "docker-daemon:NAME, in a folder: oci-layout:PATH[:NAME|@DIGEST], or in a file: "
    "docker-archive:PATH[:NAME|@DIGEST], oci-archive:PATH[:NAME|@DIGEST]; or every image that a cloud assembly "
    "publishes: cdk.out:PATH; or every image that a file names: cloudformation:FILE, task-definition:FILE, "
    "terraform:FILE (of terraform show -json), kubernetes:FILE, compose:FILE, with - for standard input"
)
# For how long transient errors are retried, for each image, in seconds.
_RETRY_SECONDS: Final = 30.0

# A digest alone, which would read as an image `sha256` of Docker Hub; and what Docker refuses as a repository's name.
_BARE_DIGEST: Final = re.compile(r"@|sha(256|384|512):|[a-f0-9]{64}$")
# Prefixes of other tools, and what to do with them.
_OTHERS: Final = {
    "https://": "remove https://",
    "http://": "remove http://",
    "docker://": "remove docker://",
    "oci:": "use oci-layout:PATH[:NAME] for a folder, or oci-archive:PATH for a file",
    "containers-storage:": "push the image to a registry first",
}


@dataclass(frozen=True)
class Target:
    """One image of the command line.

    :param reference: the reference as it was written.
    :param names: the image's names, for the commands of remedies.
    :param open: opens its source; raises `Fault` if it cannot be reached.
    :param open_pushes: for an archive, the images that Docker pushes of it, first the one that `open` opens; raises
        `Fault` if it cannot be read. None for every other target.
    :param policy: the policy of its verification in a cloud assembly; None where it has none.
    :param stack: the ARN of the stack that refused it; empty where it is not known.
    :param construct: the path of the construct that builds it; empty for an image that no assembly publishes.
    :param places: the places in files that name it; empty where the user passed the reference.
    :param skipped: the user's reason not to check it; empty where it is checked.
    """

    reference: str
    names: Names
    open: Callable[[], Source]
    policy: Policy | None = None
    open_pushes: Callable[[], tuple[Push, ...]] | None = None
    stack: str = ""
    construct: str = ""
    places: tuple[Place, ...] = ()
    skipped: str = ""

    @property
    def called_names(self) -> tuple[str, ...]:
        """The image's names, for the patterns of a configuration file."""
        return (self.reference, self.construct) if self.construct else (self.reference,)


class TargetResolver:
    """Resolves the references of one run of the command, which share sessions and connections.

    :param sessions: the AWS sessions; None for those of the environment.
    """

    def __init__(self, sessions: AwsSessions | None = None) -> None:
        self._sessions = sessions
        self._lock = Lock()
        self._distribution: Distribution | None = None

    @property
    def sessions(self) -> AwsSessions:
        """The AWS sessions."""
        with self._lock:
            if self._sessions is None:
                # Imported here: not every run calls AWS, and the command must start fast.
                from .aws_sessions import AwsSessions

                self._sessions = AwsSessions()
            return self._sessions

    def targets(self, text: str, platform: str) -> Sequence[Target]:
        """The targets of a reference. No image is read yet.

        :param text: the reference as it was written. A cloud assembly stands for all images that it publishes, every
            other reference for one image.
        :param platform: the requested platform, for the commands of remedies.
        :raises UsageError: if it is not a reference; the message says what to use instead.
        :raises Fault: if an assembly needs an environment, and none is configured.
        """
        return self.assembly_targets(text) if text.startswith(ASSEMBLY) else (self.target(text, platform),)

    def target(self, text: str, platform: str) -> Target:
        """The target of a reference to one image. The image is not read yet.

        :param text: the reference as it was written.
        :param platform: the requested platform, for the commands of remedies.
        :raises UsageError: if it is not a reference, or a cloud assembly; the message says what to use instead.
        """
        if text.startswith(DOCUMENTS):
            raise UsageError(f"{text!r} stands for all images that a file names: only check reads it")
        if text.startswith(ASSEMBLY):
            raise UsageError(
                f"{text!r} stands for all images of an assembly: use one of the references that check prints"
            )
        scheme = next((scheme for scheme in LOCAL_IMAGES if text.startswith(scheme)), None)
        if scheme:
            image = LOCAL_IMAGES[scheme](text.removeprefix(scheme), Platform.parse(platform))
            return Target(text, Names(reference=text, platform=platform), image.open, open_pushes=image.open_pushes)
        other = next((scheme for scheme in _OTHERS if text.startswith(scheme)), None)
        if other:
            raise UsageError(f"{text!r}: {_OTHERS[other]}")
        if not text.strip():
            raise UsageError("a reference is empty: pass the name of an image")
        if _BARE_DIGEST.match(text):
            raise UsageError(f"{text!r} names no repository: use REPOSITORY@DIGEST, or docker-daemon:ID")
        if text.startswith((".", "/", "~")) or "\\" in text:
            raise UsageError(f"{text!r} is not an image reference: use {forms_of_path(text)}")
        try:
            reference = Reference.parse(text)
        except ValueError as e:
            if (kind := file_kind(Path(text))) in ("folder", "file") and Path(text).name != "Dockerfile":
                raise UsageError(f"{text!r} is not an image reference, but a {kind}: use {forms_of_path(text)}") from e
            meant = probably_meant(text)
            raise UsageError(f"{e}: did you mean {meant}?" if meant else str(e)) from e
        ecr = ECR_HOST.fullmatch(reference.registry)
        return self._in_ecr(text, platform, reference, ecr) if ecr else self._in_registry(text, platform, reference)

    def assembly_targets(self, text: str) -> Sequence[Target]:
        """The targets of the images that a cloud assembly publishes: one for each image and policy.

        :param text: `cdk.out:PATH`.
        :raises UsageError: if it is not an assembly.
        :raises Fault: if an image needs an environment, and none is configured.
        """
        folder = text.removeprefix(ASSEMBLY) or "cdk.out"
        return [
            replace(target, policy=policy, names=replace(target.names, assembly=folder))
            for image in self.assets(Path(folder))
            for target in (self.asset_target(image),)
            for policy in image.policies or (None,)
        ]

    def assets(self, folder: Path) -> Sequence[AssetImage]:
        """The images of a cloud assembly, each at its place in its stacks' environments.

        :param folder: such as `cdk.out`.
        :raises UsageError: if it is not an assembly.
        :raises Fault: if an image needs an environment, and none is configured.
        """
        # Imported here: most runs have no assembly, and must start fast.
        from .cloud_assembly import assembly_images, merge_places

        found = assembly_images(folder)
        if any(image.needs_environment for image in found):
            # A stack that is bound to this environment and one that is bound to none share their places in it.
            found = merge_places(image.at(self.sessions.environment()) for image in found)
        return found

    def asset_target(self, image: AssetImage) -> Target:
        """The target of an asset, whose image is read with the role that publishes it.

        :param image: an image in its environment.
        """
        partition = self.sessions.partition(image.region)
        uri = f"{ecr_host(image.account, image.region, partition)}/{image.repository}"
        names = Names(
            reference=f"{uri}:{image.tag}",
            region=image.region,
            registry_id=image.account,
            repository=image.repository,
            tag=image.tag,
            local_image=image.local_image,
            platform=image.platform or "linux/amd64",
            outputs=image.outputs,
            construct=image.construct,
        )

        def open_() -> Source:
            from image_verifier.sources.ecr_image import EcrImage

            from .aws_sessions import Endpoint

            return EcrImage(
                self.sessions.client("ecr", Endpoint(image.region), self.sessions.publisher(image)),
                repository_arn=f"arn:{partition}:ecr:{image.region}:{image.account}:repository/{image.repository}",
                repository_uri=uri,
                tag=image.tag,
                digest="",
                retry_budget=_retry_budget(),
            )

        return Target(names.reference, names, open_, construct=image.construct or image.name)

    def _in_registry(self, text: str, platform: str, reference: Reference) -> Target:
        names = Names(reference=text, tag=reference.tag, digest=reference.digest, platform=platform)

        def open_() -> Source:
            from .bare_names import BareNameImage, is_bare
            from .distribution import Distribution
            from .registry_image import RegistryImage

            with self._lock:
                self._distribution = self._distribution or Distribution()
            kind = BareNameImage if is_bare(text, reference) else RegistryImage
            return kind(self._distribution, reference, text, _retry_budget())

        return Target(text, names, open_)

    def _in_ecr(self, text: str, platform: str, reference: Reference, host: re.Match[str]) -> Target:
        # Imported here: an image in a folder has no such names, and the command must start fast.
        from image_verifier.rules.ecr_names import names_in_ecr

        names = names_in_ecr(text, platform)

        def open_() -> Source:
            from image_verifier.sources.ecr_image import EcrImage

            from .aws_sessions import Endpoint

            endpoint = Endpoint(names.region, bool(host["fips"]), bool(host["dual"]))
            partition = self.sessions.partition(names.region)
            return EcrImage(
                self.sessions.client("ecr", endpoint),
                repository_arn=f"arn:{partition}:ecr:{names.region}:{names.registry_id}:repository/{names.repository}",
                repository_uri=f"{reference.registry}/{reference.repository}",
                tag=reference.tag,
                digest=reference.digest,
                retry_budget=_retry_budget(),
            )

        return Target(text, names, open_)


def _retry_budget() -> RetryBudget:
    # Imported here: an image in a folder needs none, and the command must start fast.
    from image_verifier.retry import RetryBudget

    return RetryBudget.of(_RETRY_SECONDS)

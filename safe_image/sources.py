"""What the references on the command line point at, and the clients that reach it, made when they are needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from image_verifier.findings import Fault
from image_verifier.references import Reference
from image_verifier.remedies import Names
from image_verifier.retry import Patience

from .errors import UsageError

if TYPE_CHECKING:
    from image_verifier.sources import Source
    from image_verifier.sources.distribution import Distribution

REFERENCES: Final = (
    "an image in ECR (through its API), in any other registry (with Docker's own credentials), or in a folder: "
    "oci-layout:PATH[:tag]"
)
# For how long what may pass by itself is asked again, for each image, in seconds.
_PATIENCE: Final = 30.0

# Every partition's suffix, FIPS and dual-stack hosts included:
# https://github.com/awslabs/amazon-ecr-credential-helper/blob/main/ecr-login/api/client.go
_ECR: Final = re.compile(
    r"(?P<account>\d{12})\.dkr[.-]ecr(?P<fips>-fips)?\.(?P<region>[a-z0-9-]+)\."
    r"(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|(?P<dual>on\.aws|on\.amazonwebservices\.com\.cn)"
    r"|c2s\.ic\.gov|sc2s\.sgov\.gov|cloud\.adc-e\.uk|csp\.hci\.ic\.gov)"
)
# CDK's bootstrap repository, whose images have a twin on the machine that built them.
_CDK_ASSETS: Final = re.compile(r"cdk-[a-z0-9]+-container-assets-.+")
_LAYOUT: Final = "oci-layout:"
# What other tools write, and what to write here.
_OTHERS: Final = {
    "https://": "write the name without https://",
    "http://": "write the name without http://",
    "docker://": "write the name without docker://",
    "oci:": f"write {_LAYOUT}PATH[:tag] for a folder",
    "docker-archive:": "an archive is not read: push the image, or make an OCI layout of it",
    "oci-archive:": f"unpack the archive, and write {_LAYOUT}PATH[:tag]",
    "docker-daemon:": "push the image to a registry first",
    "containers-storage:": "push the image to a registry first",
    "cdk.out:": "a cloud assembly is not read: write the images that it published",
}


@dataclass(frozen=True)
class Target:
    """One image that was asked for.

    :param reference: as it was written.
    :param names: with what a finding's commands are filled in.
    :param open: makes its source; raises `Fault` if there is no way to it.
    """

    reference: str
    names: Names
    open: Callable[[], Source]


class Sources:
    """Everything that images come from in one run of the command."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ecr: dict[tuple[str, bool, bool], tuple[str, Any]] = {}
        self._distribution: Distribution | None = None

    def target(self, text: str, platform: str) -> Target:
        """The image that a reference names; nothing is asked of it yet.

        :param text: the reference as it was written.
        :param platform: the platform that is asked for, for the commands.
        :raises UsageError: if it names none; the message says what to write.
        """
        if text.startswith(_LAYOUT):
            return self._layout(text, platform)
        other = next((scheme for scheme in _OTHERS if text.startswith(scheme)), None)
        if other:
            raise UsageError(f"{text!r}: {_OTHERS[other]}")
        if text.startswith((".", "/", "~")) or "\\" in text:
            raise UsageError(f"{text!r} is not an image reference: write {_LAYOUT}{text} for a folder")
        try:
            reference = Reference.parse(text)
        except ValueError as e:
            raise UsageError(str(e)) from e
        ecr = _ECR.fullmatch(reference.registry)
        return self._in_ecr(text, platform, reference, ecr) if ecr else self._in_registry(text, platform, reference)

    def _layout(self, text: str, platform: str) -> Target:
        path, tag = text.removeprefix(_LAYOUT), ""
        if not Path(path).is_dir() and ":" in path:
            path, _, tag = path.rpartition(":")
        if not path:
            raise UsageError(f"{text!r} names no folder: write {_LAYOUT}PATH[:tag]")

        def open_() -> Source:
            from image_verifier.sources.oci_layout import OciLayout

            return OciLayout(Path(path), tag or None)

        return Target(text, Names(reference=text, platform=platform), open_)

    def _in_registry(self, text: str, platform: str, reference: Reference) -> Target:
        names = Names(reference=text, tag=reference.tag, digest=reference.digest, platform=platform)

        def open_() -> Source:
            from image_verifier.sources.distribution import Distribution
            from image_verifier.sources.registry import RegistryImage

            with self._lock:
                self._distribution = self._distribution or Distribution()
            return RegistryImage(self._distribution, reference, text, Patience.of(_PATIENCE))

        return Target(text, names, open_)

    def _in_ecr(self, text: str, platform: str, reference: Reference, host: re.Match[str]) -> Target:
        cdk = _CDK_ASSETS.fullmatch(reference.repository) and reference.tag
        names = Names(
            reference=text,
            region=host["region"],
            registry_id=host["account"],
            repository=reference.repository,
            tag=reference.tag,
            digest=reference.digest,
            local_image=f"cdkasset-{reference.tag}" if cdk else "",
            platform=platform,
        )

        def open_() -> Source:
            from image_verifier.sources.ecr import EcrImage

            partition, client = self._ecr_client(host["region"], bool(host["fips"]), bool(host["dual"]))
            return EcrImage(
                client,
                repository_arn=f"arn:{partition}:ecr:{names.region}:{names.registry_id}:repository/{names.repository}",
                repository_uri=f"{reference.registry}/{reference.repository}",
                tag=reference.tag,
                digest=reference.digest,
                patience=Patience.of(_PATIENCE),
            )

        return Target(text, names, open_)

    def _ecr_client(self, region: str, fips: bool, dual_stack: bool) -> tuple[str, Any]:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
        from image_verifier.aws import CLIENT_CONFIG

        key = (region, fips, dual_stack)
        # Making a client is not thread-safe; using one is.
        with self._lock:
            try:
                if key not in self._ecr:
                    session = boto3.Session()
                    config = Config(use_fips_endpoint=fips, use_dualstack_endpoint=dual_stack)
                    client = session.client("ecr", region_name=region, config=CLIENT_CONFIG.merge(config))
                    self._ecr[key] = (session.get_partition_for_region(region), client)
            except BotoCoreError as e:
                raise Fault(f"the ECR API in {region} cannot be asked: {e}", "Look at AWS_PROFILE.") from e
            return self._ecr[key]

"""The images of a cloud assembly, which `cdk synth` writes to cdk.out, and where each is published. AWS is not called.

https://github.com/aws/aws-cdk-cli/tree/main/packages/%40aws-cdk/cloud-assembly-schema
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from image_verifier.custom_resource.properties import build_outputs_of, policy_of
from image_verifier.custom_resource.schema import RESOURCE_TYPE, Property
from image_verifier.faults import Fault
from image_verifier.policy import Policy
from image_verifier.rules.names import BuildOutputs

from ..errors import UsageError
from .json_limits import MAX_JSON_BYTES, exceeded_limit
from .regular_files import file_kind, open_regular

# The placeholders for the environment of a stack that is not bound to one.
# https://github.com/aws/aws-cdk/blob/main/packages/aws-cdk-lib/cx-api/lib/placeholders.ts
_PLACEHOLDER: Final = re.compile(r"\$\{AWS::(AccountId|Region|Partition)\}")
# A destination names the account of its repository only in its role.
_ROLE_ACCOUNT: Final = re.compile(r":iam::(\d{12}):")
_MAX_DEPTH: Final = 10


@dataclass(frozen=True)
class Environment:
    """The account and region that a stack without an environment of its own is deployed to."""

    account: str
    region: str
    partition: str = "aws"

    def fill(self, text: str) -> str:
        """The text with CDK's placeholders replaced."""
        values = {"AccountId": self.account, "Region": self.region, "Partition": self.partition}
        return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


@dataclass(frozen=True)
class AssetImage:
    """One image that an assembly publishes to one place.

    :param hash: the asset's hash, CDK's name for it.
    :param name: its display name: the construct's path.
    :param stacks: the stacks that publish it.
    :param account: the account of its repository; empty for the account of the deploy.
    :param region: the region of its repository; empty for the region of the deploy.
    :param repository: its repository's name.
    :param tag: its tag.
    :param role_arn: the role with which CDK publishes it; empty for none.
    :param external_id: the external ID for the role; empty for none.
    :param role_options: further parameters of sts:AssumeRole for the role, such as session tags.
    :param platform: the platform that it is built for; empty where the build decides.
    :param is_built: whether CDK builds it from a Dockerfile, or another program provides it.
    :param policies: the policies of every `Custom::ImageVerification` of its place and tag, in any stack.
    :param outputs: who set the outputs of its build, as its verifications say.
    :param construct: the path of the construct that builds it; empty where it has no verification.
    """

    hash: str
    name: str
    stacks: tuple[str, ...]
    account: str
    region: str
    repository: str
    tag: str
    role_arn: str = ""
    external_id: str = ""
    role_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    platform: str = ""
    is_built: bool = True
    policies: tuple[Policy, ...] = ()
    outputs: BuildOutputs = BuildOutputs.UNKNOWN
    construct: str = ""

    @property
    def local_image(self) -> str:
        """The name under which CDK keeps the built image, and pushes it again without a build.

        Empty for an image that another program provides, which CDK runs each time.

        https://github.com/aws/aws-cdk-cli/blob/main/packages/%40aws-cdk/cdk-assets-lib/lib/private/handlers/container-images.ts
        """
        return f"cdkasset-{self.hash.lower()}" if self.is_built else ""

    @property
    def needs_environment(self) -> bool:
        """Whether its place is only known with the environment of the deploy."""
        places = (self.account, self.region)
        return not all(places) or any(_PLACEHOLDER.search(text) for text in (*places, self.repository, self.role_arn))

    def at(self, environment: Environment) -> AssetImage:
        """The image, at its place in an environment."""
        fill = environment.fill
        return replace(
            self,
            account=fill(self.account) or environment.account,
            region=fill(self.region) or environment.region,
            repository=fill(self.repository),
            tag=fill(self.tag),
            role_arn=fill(self.role_arn),
            external_id=fill(self.external_id),
        )


def assembly_images(folder: Path) -> tuple[AssetImage, ...]:
    """Every image of an assembly and of its nested assemblies (stages), once for each place.

    :param folder: such as `cdk.out`.
    :raises UsageError: if it is not a cloud assembly.
    """
    return merge_places(_images(folder, 0, set()))


def merge_places(images: Iterable[AssetImage]) -> tuple[AssetImage, ...]:
    """The images, those of the same place and tag as one, with the stacks and the policies of all."""
    found: dict[tuple[str, ...], AssetImage] = {}
    for image in images:
        key = (image.account, image.region, image.repository, image.tag)
        known = found.get(key, image)
        found[key] = replace(
            known,
            stacks=tuple(dict.fromkeys((*known.stacks, *image.stacks))),
            policies=_distinct((*known.policies, *image.policies)),
        )
    return tuple(found.values())


def _distinct(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    # A policy has a mapping, so it cannot be hashed.
    found: list[Policy] = []
    for policy in policies:
        if policy not in found:
            found.append(policy)
    return tuple(found)


def _images(folder: Path, depth: int, read: set[str]) -> Iterator[AssetImage]:
    place = os.path.realpath(folder)
    if place in read:
        # An assembly that is its own stage, or several stages, is read once.
        return
    read.add(place)
    artifacts = _objects(_document(folder / "manifest.json", folder).get("artifacts"))
    stacks = list(_stacks(artifacts))
    verifications = {stack.name: list(_verifications(folder, stack.template, set())) for stack in stacks}
    for name, artifact in sorted(artifacts.items()):
        kind, properties = artifact.get("type"), _object(artifact.get("properties"))
        if kind == "cdk:asset-manifest":
            publishers = [stack for stack in stacks if name in stack.assets]
            account, region = next((s.environment for s in publishers if any(s.environment)), ("", ""))
            for image in _manifest_images(_document(folder / str(properties.get("file")), folder)):
                own = [
                    verification
                    for stack in stacks
                    for verification in verifications[stack.name]
                    if verification.tag == image.tag
                    and (stack in publishers or (stack.environment == (account, region) and verification.names(image)))
                ]
                yield replace(
                    image,
                    account=image.account or account,
                    region=image.region or region,
                    stacks=tuple(stack.name for stack in publishers),
                    policies=_distinct(verification.policy for verification in own),
                    outputs=next((verification.outputs for verification in own), BuildOutputs.UNKNOWN),
                    construct=next((verification.construct for verification in own), ""),
                )
        elif kind == "cdk:cloud-assembly":
            if depth >= _MAX_DEPTH:
                raise UsageError(f"{folder} has assemblies nested more than {_MAX_DEPTH} deep: run cdk synth again")
            yield from _images(folder / str(properties.get("directoryName")), depth + 1, read)


@dataclass(frozen=True)
class _Stack:
    name: str
    environment: tuple[str, str]
    template: str
    assets: frozenset[str]


def _stacks(artifacts: Mapping[str, Any]) -> Iterator[_Stack]:
    for name, artifact in artifacts.items():
        if artifact.get("type") == "aws:cloudformation:stack":
            properties = _object(artifact.get("properties"))
            yield _Stack(
                str(artifact.get("displayName") or properties.get("stackName") or name),
                _environment(str(artifact.get("environment") or "")),
                str(properties.get("templateFile") or ""),
                frozenset(map(str, _list(artifact.get("dependencies")))),
            )


def _environment(text: str) -> tuple[str, str]:
    """Account and region of a text such as `aws://123456789012/eu-west-1`; empty where they are unknown."""
    account, _, region = text.removeprefix("aws://").partition("/")
    return ("" if account == "unknown-account" else account, "" if region == "unknown-region" else region)


def _manifest_images(document: Mapping[str, Any]) -> Iterator[AssetImage]:
    for asset, entry in sorted(_objects(document.get("dockerImages")).items()):
        source = _object(entry.get("source"))
        for destination in _objects(entry.get("destinations")).values():
            yield AssetImage(
                hash=str(asset),
                name=str(entry.get("displayName") or asset),
                stacks=(),
                account=_account(str(destination.get("assumeRoleArn") or "")),
                region=str(destination.get("region") or ""),
                repository=str(destination.get("repositoryName") or ""),
                tag=str(destination.get("imageTag") or ""),
                role_arn=str(destination.get("assumeRoleArn") or ""),
                external_id=str(destination.get("assumeRoleExternalId") or ""),
                role_options=_object(destination.get("assumeRoleAdditionalOptions")),
                platform=str(source.get("platform") or ""),
                is_built="directory" in source,
            )


def _account(role_arn: str) -> str:
    match = _ROLE_ACCOUNT.search(role_arn)
    return match[1] if match else ""


@dataclass(frozen=True)
class _Verification:
    """A verification in a template.

    :param tag: the image's tag.
    :param places: the properties that name the image's repository, as JSON.
    :param policy: its policy.
    :param outputs: who set the outputs of the image's build.
    :param construct: the path of the construct.
    """

    tag: str
    places: str
    policy: Policy
    outputs: BuildOutputs
    construct: str

    def names(self, image: AssetImage) -> bool:
        """Whether it references the repository of an image."""
        return bool(image.repository) and image.repository in self.places


def _verifications(folder: Path, template: str, read: set[Path]) -> Iterator[_Verification]:
    """The verifications in a stack and its nested stacks.

    :param read: the templates that were read. Each is read once, also where it references itself.
    """
    file = folder / template
    if file in read or file_kind(file) != "file":
        return
    read.add(file)
    for resource in _objects(_document(file, folder).get("Resources")).values():
        properties = _object(resource.get("Properties"))
        if resource.get("Type") == "AWS::CloudFormation::Stack":
            # CDK writes the file of a nested stack's template here.
            path = str(_object(resource.get("Metadata")).get("aws:asset:path") or "")
            yield from _verifications(folder, path, read)
        elif resource.get("Type") == RESOURCE_TYPE and isinstance(properties.get(Property.IMAGE_TAG), str):
            places = [properties.get(name) for name in (Property.REPOSITORY_ARN, Property.REPOSITORY_URI)]
            try:
                policy, outputs = policy_of(properties), build_outputs_of(properties)
            except ValueError as e:
                raise UsageError(f"{file} has a verification that this release of safe-image does not know: {e}") from e
            construct = str(properties.get(Property.CONSTRUCT_PATH) or "")
            yield _Verification(properties[Property.IMAGE_TAG], json.dumps(places), policy, outputs, construct)


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> Mapping[str, Mapping[str, Any]]:
    return {name: one for name, one in _object(value).items() if isinstance(one, dict)}


def _document(file: Path, folder: Path) -> dict[str, Any]:
    try:
        opened = open_regular(file)
        if opened is None:
            raise UsageError(
                f"{folder} is not a cloud assembly (it has no {file.name}): run cdk synth, and pass the folder that it "
                "writes"
            )
        with opened:
            content = opened.read(MAX_JSON_BYTES + 1)
        if limit := exceeded_limit(content):
            raise UsageError(f"{file} is not a document of a cloud assembly: {limit}: run cdk synth again")
        document = json.loads(content)
    except Fault as e:
        raise UsageError(f"{e.message}: run cdk synth again") from e
    except (OSError, ValueError, RecursionError) as e:
        raise UsageError(f"{file} cannot be read: {getattr(e, 'strerror', None) or e}: run cdk synth again") from e
    if not isinstance(document, dict):
        raise UsageError(f"{file} is not a document of a cloud assembly: run cdk synth again")
    return document

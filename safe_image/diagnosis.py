"""What can make broken images: one small probe for each thing, and what is known of it, with its source."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from image_verifier import aws
from image_verifier.findings import Fault
from image_verifier.image import Platform
from image_verifier.policy import Policy
from image_verifier.remedies import Names
from image_verifier.retry import Patience
from image_verifier.sources.ecr import EcrImage
from image_verifier.verify import verify

from .accounts import Accounts, Endpoint
from .docker import Docker, LocalImage, run
from .mending import RemoveLocal, Step, Untag

_RACE: Final = "https://github.com/moby/moby/pull/49949"
_CDK_ATTESTATIONS: Final = "https://github.com/aws/aws-cdk/issues/30258"
_ZSTD: Final = "https://github.com/containerd/containerd/commit/d651cb743"
# Docker's containerd image store pushes every manifest of a build to the tag before these.
_RACE_FREE: Final = ((25, 0, 16), (28, 2, 0))
_CDK_CLI: Final = (2, 179, 0)
_CDK_ASSETS: Final = {2: (2, 155, 113), 3: (3, 0, 0, 143)}
# No image of an application is smaller; what is, is looked at. An attestation has some ten KB.
_SMALL: Final = 1 << 20
_MOST_LOOKED_AT: Final = 200
_AT_ONCE: Final = 8
_LISTED: Final = 5
_RELEASE: Final = 1 << 30
_ANY: Final = Policy(("ecs-ec2",), Platform.parse("linux/amd64"))


class Status(str, Enum):
    """What a probe comes to."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Line:
    """What is known of one thing.

    :param subject: the thing.
    :param status: whether it can make broken images.
    :param said: why, in words.
    :param source: where that is known from.
    :param commands: what a person can do about it.
    :param steps: what `--fix` does about it.
    """

    subject: str
    status: Status
    said: str
    source: str = ""
    commands: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class _Engine:
    """The engine as far as it is known: None where no engine answers."""

    docker: Docker
    version: tuple[int, ...] | None
    is_containerd_store: bool

    @property
    def races(self) -> bool:
        """Whether it pushes an image's attestation to the image's own tag."""
        return self.version is not None and self.is_containerd_store and not _is_race_free(self.version)


def diagnose(docker: Docker, accounts: Accounts | None, qualifier: str) -> list[Line]:
    """Everything that is known of this machine and this account.

    :param docker: the engine that builds.
    :param accounts: who asks AWS; None asks nothing of it.
    :param qualifier: of the CDK bootstrap.
    """
    lines, engine = _engine(docker)
    probes: list[tuple[str, Callable[[], Iterable[Line]]]] = [
        ("buildx", lambda: _buildx(docker)),
        ("environment", lambda: _environment(os.environ, engine)),
        ("CDK CLI", _cdk_cli),
        ("cdk-assets", _cdk_assets),
        ("images that CDK keeps here", lambda: _kept(engine)),
    ]
    if accounts:
        probes.append(("bootstrap repository", lambda: _repository(accounts, qualifier, engine)))
    with ThreadPoolExecutor(len(probes)) as pool:
        for found in pool.map(lambda probe: _safely(*probe), probes):
            lines += found
    return lines


def _safely(subject: str, probe: Callable[[], Iterable[Line]]) -> list[Line]:
    try:
        return list(probe())
    except Fault as fault:
        return [Line(subject, Status.UNKNOWN, f"{fault.message.rstrip('.')}. {fault.advice}".rstrip())]


def _engine(docker: Docker) -> tuple[list[Line], _Engine]:
    none = _Engine(docker, None, False)
    if Path(docker.command).name == "podman":
        return [Line("engine", Status.OK, "podman attaches no attestations, and knows no Docker zstd layers")], none
    try:
        info = docker.info()
    except Fault as fault:
        return [Line("engine", Status.UNKNOWN, f"{fault.message}. {fault.advice}".rstrip())], none
    version, said = version_of(str(info["ServerVersion"])), str(info["ServerVersion"])
    containerd = "io.containerd.snapshotter" in str(info.get("DriverStatus"))
    engine = _Engine(docker, version, containerd)
    store = "containerd's image store" if containerd else "the classic image store"
    if engine.races:
        return [
            Line(
                "engine",
                Status.ERROR,
                f"Docker {said} with {store} pushes the attestation of a build to the image's own tag; in a repository "
                "with immutable tags the image may lose",
                _RACE,
                ("Upgrade to Docker 28.2.0 or later, or to 25.0.16",),
            )
        ], engine
    return [Line("engine", Status.OK, f"Docker {said} with {store}")], engine


def _is_race_free(version: tuple[int, ...]) -> bool:
    backport, fixed = _RACE_FREE
    return version >= fixed or (version[:2] == backport[:2] and version >= backport)


def _buildx(docker: Docker) -> Iterator[Line]:
    try:
        said = docker.run("buildx", "version").split()
    except Fault:
        yield Line(
            "buildx",
            Status.WARNING,
            "there is none, so that the legacy builder builds: it knows no --output, and attaches no attestation",
        )
        return
    version = next((word for word in said if re.match(r"v?\d", word)), "of an unknown version")
    shown = docker.run("buildx", "inspect")
    driver = next((line.split(":")[1].strip() for line in shown.splitlines() if line.startswith("Driver:")), "")
    if driver in ("docker", ""):
        yield Line("buildx", Status.OK, f"buildx {version} builds in the engine itself")
        return
    yield Line(
        "buildx",
        Status.WARNING,
        f"buildx {version} builds with the driver {driver}, which does not leave its images in the engine: CDK finds "
        "nothing to push unless the build says --output=type=docker, as SafeDockerImageAsset's does",
        "https://docs.docker.com/build/builders/drivers/",
        ("docker buildx use default",),
    )


def _environment(environment: Mapping[str, str], engine: _Engine) -> Iterator[Line]:
    found = False
    for name, value in sorted(environment.items()):
        if name == "BUILDX_NO_DEFAULT_ATTESTATIONS" and engine.is_containerd_store and value not in ("0", "false"):
            found = True
            yield Line(
                name,
                Status.WARNING,
                "with containerd's image store and a base image that has zstd layers, a build then pushes layers that "
                "containerd before 2.0 does not know (diffIDs mismatch)",
                _ZSTD,
                ("docker build --output=type=docker,attestation-inline=false,oci-mediatypes=true",),
            )
        elif name == "DOCKER_BUILDKIT" and value in ("0", "false"):
            found = True
            said = "the legacy builder builds, which knows no --output"
            yield Line(name, Status.WARNING, said, commands=(f"unset {name}",))
        elif name == "DOCKER_DEFAULT_PLATFORM":
            found = True
            yield Line(
                name,
                Status.WARNING,
                f"a build that names no platform is one for {value}, whatever the service needs",
                "https://docs.docker.com/reference/cli/docker/#environment-variables",
                (f"unset {name}",),
            )
        elif name == "CDK_DOCKER":
            found = True
            yield Line(name, Status.OK, f"CDK builds with {value}")
        elif name in ("BUILDX_BUILDER", "BUILDX_GIT_INFO", "BUILDX_METADATA_PROVENANCE"):
            found = True
            yield Line(name, Status.OK, f"is {value}, which changes no image")
    if not found:
        yield Line("environment", Status.OK, "nothing in it changes what is built")


def _cdk_cli() -> Iterator[Line]:
    local = Path("node_modules/.bin/cdk")
    program = str(local) if local.exists() else shutil.which("cdk")
    if program is None:
        yield Line("CDK CLI", Status.OK, "none is installed here")
        return
    said = run([program, "--version"], seconds=60).strip().splitlines()[-1]
    version = version_of(said)
    if version is not None and version < _CDK_CLI:
        yield Line(
            "CDK CLI",
            Status.ERROR,
            f"{said} lets docker attach an attestation to each image, which can take the image's tag",
            _CDK_ATTESTATIONS,
            ("npm install aws-cdk@2",),
        )
        return
    yield Line("CDK CLI", Status.OK if version else Status.UNKNOWN, f"{said} builds without attestations")


def _cdk_assets() -> Iterator[Line]:
    package = Path("node_modules/cdk-assets/package.json")
    program = shutil.which("cdk-assets")
    if package.is_file():
        said = str(json.loads(package.read_text()).get("version", ""))
    elif program:
        said = run([program, "--version"], seconds=60).strip().splitlines()[-1]
    else:
        return
    version = version_of(said)
    least = _CDK_ASSETS.get(version[0]) if version else None
    if version and (version[0] < 2 or (least and version < least)):
        yield Line(
            "cdk-assets",
            Status.ERROR,
            f"{said} lets docker attach an attestation to each image, which can take the image's tag",
            _CDK_ATTESTATIONS,
            ("npm install cdk-assets@3",),
        )
        return
    yield Line("cdk-assets", Status.OK, f"{said} builds without attestations")


def _kept(engine: _Engine) -> Iterator[Line]:
    if engine.version is None:
        return
    images = engine.docker.cdk_images()
    stale = [image for image in images if image.is_index]
    if not stale:
        yield Line("images that CDK keeps here", Status.OK, f"{len(images)}, none with an attestation")
        return
    yield Line(
        "images that CDK keeps here",
        Status.ERROR if engine.races else Status.WARNING,
        f"{len(stale)} of {len(images)} have an attestation; CDK pushes them again without building them: "
        + _some(stale),
        "https://github.com/aws/aws-cdk/issues/33264",
        (f"{engine.docker.command} image rm {stale[0].name}",) if len(stale) == 1 else (),
        tuple(RemoveLocal(engine.docker, image.name) for image in stale),
    )


def _some(images: list[LocalImage]) -> str:
    names = [f"{image.name[:21]}…" for image in images[:_LISTED]]
    return ", ".join(names) + (f" and {len(images) - _LISTED} more" if len(images) > _LISTED else "")


def _repository(accounts: Accounts, qualifier: str, engine: _Engine) -> Iterator[Line]:
    here = accounts.environment()
    name = f"cdk-{qualifier}-container-assets-{here.account}-{here.region}"
    client = accounts.client("ecr", Endpoint(here.region))
    names = {"RepositoryNotFoundException"}
    answer = aws.call(client, "describe_repositories", name, Patience.of(10), names, repositoryNames=[name])
    if not answer:
        yield Line("bootstrap repository", Status.OK, f"{name} is not there: cdk bootstrap has not run here")
        return
    (repository,) = answer["repositories"]
    immutable = str(repository.get("imageTagMutability", "")).startswith("IMMUTABLE")
    if immutable and engine.races:
        yield Line(
            "bootstrap repository",
            Status.ERROR,
            f"{name} has immutable tags, and this machine's Docker pushes more than one manifest to a tag",
            _RACE,
        )
    else:
        yield Line("bootstrap repository", Status.OK, f"{name} has {'im' * immutable}mutable tags")
    yield _poisoned(accounts, repository)


def _poisoned(accounts: Accounts, repository: Mapping[str, Any]) -> Line:
    """Which tags are on what is no image. Only what is too small for one is looked at."""
    name, arn = repository["repositoryName"], repository["repositoryArn"]
    _, _, _, region, account, _ = arn.split(":", 5)
    client = accounts.client("ecr", Endpoint(region))
    small = list(_small_tags(client, name, account))

    def look(tag: str) -> Step | None:
        names = Names(f"{repository['repositoryUri']}:{tag}", region, account, name, tag)
        source = EcrImage(
            client,
            repository_arn=arn,
            repository_uri=repository["repositoryUri"],
            tag=tag,
            digest="",
            patience=Patience.of(30),
        )
        report = verify(source, _ANY, names)
        top = report.image.top
        wrong = top and any(finding.id == "not-an-image" for finding in report.errors)
        return Untag(accounts, names, top.digest) if top and wrong else None

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        steps = tuple(step for step in pool.map(look, small[:_MOST_LOOKED_AT]) if step)
    more = f" (of {len(small)} small ones, the first {_MOST_LOOKED_AT})" if len(small) > _MOST_LOOKED_AT else ""
    if not steps:
        return Line("tags", Status.OK, f"none of {name} is on an attestation{more}; safe-image audit looks at them all")
    return Line(
        "tags",
        Status.ERROR,
        f"{len(steps)} of {name} are on what is no image, and CDK takes them for published{more}",
        "https://github.com/aws/aws-cdk/issues/33264",
        tuple(step.command for step in steps[:_LISTED]),
        steps,
    )


def _small_tags(client: Any, name: str, account: str) -> Iterator[str]:
    more: dict[str, str] = {}
    while True:
        page = aws.call(
            client,
            "describe_images",
            f"the repository {name}",
            Patience.of(30),
            registryId=account,
            repositoryName=name,
            maxResults=1000,
            filter={"tagStatus": "TAGGED"},
            **more,
        )
        for image in page["imageDetails"]:
            if image.get("imageSizeInBytes", 0) < _SMALL:
                yield from image.get("imageTags", ())[:1]
        if not page.get("nextToken"):
            return
        more = {"nextToken": page["nextToken"]}


def version_of(text: str) -> tuple[int, ...] | None:
    """The numbers of a version, that of a release candidate behind them; None where there are none.

    :param text: such as `2.179.0 (build abc)`, `28.5.2+dfsg4` or `3.0.0-rc.143`.
    """
    match = re.search(r"(\d+)\.(\d+)\.(\d+)(?:-rc\.(\d+))?", text)
    # A release comes behind all of its candidates.
    return tuple(_RELEASE if number is None else int(number) for number in match.groups()) if match else None

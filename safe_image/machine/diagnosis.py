"""What can make broken images: one small probe for each thing, and what is known of it, with its source."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from image_verifier import aws
from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.pool import Pool
from image_verifier.retry import RetryBudget
from image_verifier.rules.remedies import Names
from image_verifier.sources.ecr_image import EcrImage
from image_verifier.verify import verify

from ..sources.aws_sessions import AwsSessions, Endpoint
from .docker import Docker, Engine, LocalImage, run
from .fixes import RemoveLocal, Step, Untag
from .versions import Version

_RACE: Final = "https://github.com/moby/moby/pull/49949"
_CDK_ATTESTATIONS: Final = "https://github.com/aws/aws-cdk/issues/30258"
_NEVER_REPAIRED: Final = "https://github.com/aws/aws-cdk/issues/33264"
_ZSTD: Final = "https://github.com/containerd/containerd/commit/d651cb743"
_BUILDERS: Final = "https://docs.docker.com/build/builders/"
_DOCKER_VARIABLES: Final = "https://docs.docker.com/reference/cli/docker/#environment-variables"

_ZSTD_BASE: Final = (
    "with containerd's image store, builds on a base image that has zstd layers then push layers that containerd "
    "before 2.0 does not know (number of layers and diffIDs don't match)"
)
_OCI_BUILD: Final = "docker build --output=type=docker,attestation-inline=false,oci-mediatypes=true"
# A program in Node takes its time to say its version.
_SECONDS_FOR_NODE: Final = 60
# No image of an application is smaller; what is, is looked at. An attestation has some ten KB.
_SMALL: Final = 1 << 20
_MOST_LOOKED_AT: Final = 200
_AT_ONCE: Final = 8
_LISTED: Final = 5
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
class _Variable:
    """An environment variable that a build reads.

    :param name: its name.
    :param said: what a value of it comes to, in words.
    :param status: whether that can make broken images.
    :param source: where that is known from.
    :param commands: what a person can do about it.
    :param matters: whether a value comes to that, with an engine (None where none answers).
    """

    name: str
    said: str
    status: Status = Status.OK
    source: str = ""
    commands: tuple[str, ...] = ()
    matters: Callable[[str, Engine | None], bool] = lambda value, engine: True


# https://pkg.go.dev/strconv#ParseBool
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")

_VARIABLES: Final = (
    _Variable(
        "BUILDX_NO_DEFAULT_ATTESTATIONS",
        f"drops attestations; {_ZSTD_BASE}",
        Status.WARNING,
        _ZSTD,
        ("unset BUILDX_NO_DEFAULT_ATTESTATIONS", _OCI_BUILD),
        lambda value, engine: value not in _FALSE and (engine is None or engine.is_containerd_store),
    ),
    _Variable(
        "DOCKER_BUILDKIT",
        "the legacy builder builds: it attaches no attestation, knows no --output, and is deprecated",
        Status.WARNING,
        "https://docs.docker.com/build/buildkit/",
        ("unset DOCKER_BUILDKIT",),
        lambda value, engine: value in _FALSE,
    ),
    _Variable(
        "DOCKER_DEFAULT_PLATFORM",
        "a build that names no platform is one for {value}, whatever the service needs",
        Status.WARNING,
        _DOCKER_VARIABLES,
        ("unset DOCKER_DEFAULT_PLATFORM",),
    ),
    _Variable("CDK_DOCKER", "CDK builds and pushes with {value}"),
    _Variable("BUILDX_BUILDER", "docker build takes the builder {value}"),
)


@dataclass(frozen=True)
class _Tool:
    """A program that runs `docker build` for CDK.

    :param name: of the program.
    :param package: of npm.
    :param since: from which version on it asks for no attestation, by major version; later ones do not either.
    """

    name: str
    package: str
    since: Mapping[int, Version]

    def attests(self, version: Version) -> bool:
        """Whether a version lets docker attach an attestation to each image."""
        least = self.since.get(version.major)
        return version.major < min(self.since) or (least is not None and version < least)


_TOOLS: Final = (
    _Tool("cdk", "aws-cdk", {2: Version(2, 179, 0)}),
    _Tool("cdk-assets", "cdk-assets", {2: Version(2, 155, 113), 3: Version(3, 0, 0, 143)}),
)


def diagnose(docker: Docker, accounts: AwsSessions | None, qualifier: str, folder: Path) -> list[Line]:
    """Everything that is known of this machine and this account.

    :param docker: the engine that builds.
    :param accounts: who asks AWS; None asks nothing of it.
    :param qualifier: of the CDK bootstrap.
    :param folder: the folder of the CDK app, where its CLI may be installed.
    """
    lines, engine = _engine(docker)
    probes: list[tuple[str, Iterator[Line]]] = [
        ("buildx", _builder(docker, os.environ)),
        ("environment", _environment(os.environ, engine)),
        *((tool.name, _tool(tool, folder, engine)) for tool in _TOOLS),
        ("images that CDK keeps here", _kept(docker, engine)),
    ]
    if accounts:
        probes.append(("bootstrap repository", _repository(accounts, qualifier, engine)))
    with Pool(len(probes)) as pool:
        for found in pool.results(lambda probe: _safely(*probe), probes):
            lines += found
    return lines


def _safely(subject: str, probe: Iterable[Line]) -> list[Line]:
    """What a probe says; one that cannot tell keeps nobody from theirs, and loses nothing of what it has said."""
    lines: list[Line] = []
    try:
        lines.extend(probe)
    except Fault as fault:
        lines.append(_unknown(subject, fault))
    return lines


def _unknown(subject: str, fault: Fault) -> Line:
    return Line(subject, Status.UNKNOWN, fault.text)


def _engine(docker: Docker) -> tuple[list[Line], Engine | None]:
    subject = "engine"
    if not docker.is_installed:
        said = f"{docker.command} is not installed, so that nothing is built here"
        return [Line(subject, Status.OK, said)], None
    if docker.name == "podman":
        said = "podman attaches no attestation; it takes no --output that SafeDockerImageAsset would pass"
        return [Line(subject, Status.OK, said, "https://docs.podman.io/en/latest/markdown/podman-build.1.html")], None
    if docker.name != "docker":
        return [Line(subject, Status.WARNING, f"what {docker.command} builds and pushes has not been measured")], None
    try:
        engine = docker.engine()
    except Fault as fault:
        return [_unknown(subject, fault)], None
    store = "containerd's image store" if engine.is_containerd_store else "the classic image store"
    said = f"Docker {engine.version} with {store}"
    if engine.races is None:
        return [Line(subject, Status.UNKNOWN, f"{said} is of a version that is not known")], engine
    if engine.races:
        said += (
            " pushes the attestation of a build to the image's own tag; where tags are immutable, the first to arrive "
            "keeps it, and that is not always the image"
        )
        return [Line(subject, Status.ERROR, said, _RACE, ("Upgrade to Docker 28.2.0 or later, or to 25.0.16",))], engine
    return [Line(subject, Status.OK, said)], engine


def _builder(docker: Docker, environment: Mapping[str, str]) -> Iterator[Line]:
    if docker.name != "docker" or not docker.is_installed:
        return
    try:
        words = docker.run("buildx", "version").split()
    except Fault:
        said = "there is none, so that the legacy builder builds: it attaches no attestation, and knows no --output"
        yield Line("buildx", Status.WARNING, said, "https://docs.docker.com/build/buildkit/")
        return
    version = next((word for word in words if Version.parse(word)), "of an unknown version")
    # `docker build` takes the engine's own builder, whatever `docker buildx use` has selected, but for these two.
    chosen = environment.get("BUILDX_BUILDER", "")
    if not chosen and not _is_alias(environment):
        yield Line("buildx", Status.OK, f"docker build builds in the engine itself, by buildx {version}")
        return
    shown = docker.run("buildx", "inspect", *(("--", chosen) if chosen else ()))
    driver = next((line.partition(":")[2].strip() for line in shown.splitlines() if line.startswith("Driver:")), "")
    if driver in ("docker", ""):
        yield Line("buildx", Status.OK, f"docker build builds in the engine itself, by buildx {version}")
        return
    yield Line(
        "buildx",
        Status.WARNING,
        f"docker build builds with the driver {driver}, by buildx {version}, which leaves images in the engine only "
        "where it is told to: CDK finds nothing to push unless the build says --output=type=docker, as "
        "SafeDockerImageAsset's does",
        _BUILDERS,
        ("unset BUILDX_BUILDER",) if chosen else ("docker buildx uninstall",),
    )


def _is_alias(environment: Mapping[str, str]) -> bool:
    """Whether `docker buildx install` has made `docker build` one of buildx's own commands."""
    folder = Path(environment.get("DOCKER_CONFIG") or Path.home() / ".docker")
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    aliases = config.get("aliases") if isinstance(config, dict) else None
    return isinstance(aliases, dict) and aliases.get("builder") == "buildx"


def _environment(environment: Mapping[str, str], engine: Engine | None) -> Iterator[Line]:
    found = False
    for variable in _VARIABLES:
        value = environment.get(variable.name, "")
        if value and variable.matters(value, engine):
            found = True
            said = variable.said.format(value=value)
            yield Line(variable.name, variable.status, said, variable.source, variable.commands)
    if not found:
        yield Line("environment", Status.OK, "nothing in it changes what is built")


def _tool(tool: _Tool, folder: Path, engine: Engine | None) -> Iterator[Line]:
    said = _said_version(tool, folder)
    if not said:
        yield Line(tool.name, Status.OK, "is not installed here")
        return
    version = Version.parse(said)
    if version is None:
        yield Line(tool.name, Status.UNKNOWN, f"says of its version only {said!r}")
    elif not tool.attests(version):
        yield _without_attestation(tool, version, engine)
    elif engine and not engine.is_containerd_store:
        said = f"{version} lets docker attach an attestation to each image, which the classic image store does not keep"
        yield Line(tool.name, Status.OK, said, _CDK_ATTESTATIONS)
    else:
        yield Line(
            tool.name,
            Status.ERROR if engine and engine.races else Status.WARNING,
            f"{version} lets docker attach an attestation to each image: Lambda refuses such an image, and Docker "
            "before 28.2.0 can leave its tag on the attestation",
            _CDK_ATTESTATIONS,
            (f"npm install {tool.package}@{max(tool.since)}",),
        )


def _without_attestation(tool: _Tool, version: Version, engine: Engine | None) -> Line:
    said = f"{version} asks for no attestation"
    if engine is None or not engine.is_containerd_store:
        return Line(tool.name, Status.OK, said)
    # Then it sets BUILDX_NO_DEFAULT_ATTESTATIONS itself.
    said += f"; {_ZSTD_BASE}. SafeDockerImageAsset's builds do not"
    return Line(tool.name, Status.WARNING, said, _ZSTD, (_OCI_BUILD,))


def _said_version(tool: _Tool, folder: Path) -> str:
    """The version of the program that an app's folder has, else of the one on PATH; empty where there is neither."""
    # Read, not run: what lies in a folder is not to be started by looking at it.
    package = folder / "node_modules" / tool.package / "package.json"
    try:
        return str(json.loads(package.read_bytes())["version"])
    except FileNotFoundError:
        program = shutil.which(tool.name)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise Fault(f"{package} cannot be read: {type(e).__name__}", "Install it again.") from e
    if program is None:
        return ""
    lines = run([program, "--version"], seconds=_SECONDS_FOR_NODE).strip().splitlines()
    return lines[-1] if lines else "nothing"


def _kept(docker: Docker, engine: Engine | None) -> Iterator[Line]:
    subject = "images that CDK keeps here"
    if engine is None:
        return
    images = docker.cdk_images()
    doubtful = [i for i in images if i.is_index or (engine.is_containerd_store and not i.media_type)]
    if not doubtful:
        yield Line(subject, Status.OK, f"{len(images)}, none with an attestation")
        return
    what = "have an attestation" if all(i.is_index for i in doubtful) else "may have an attestation"
    yield Line(
        subject,
        Status.WARNING if engine.races is False else Status.ERROR,
        f"{len(doubtful)} of {len(images)} {what}, and CDK pushes them again without building them: {_some(doubtful)}",
        _NEVER_REPAIRED,
        steps=tuple(RemoveLocal(docker, image.name) for image in doubtful),
    )


def _some(images: list[LocalImage]) -> str:
    names = [f"{image.name[:21]}…" for image in images[:_LISTED]]
    return ", ".join(names) + (f" and {len(images) - _LISTED} more" if len(images) > _LISTED else "")


def _repository(accounts: AwsSessions, qualifier: str, engine: Engine | None) -> Iterator[Line]:
    here = accounts.environment()
    name = f"cdk-{qualifier}-container-assets-{here.account}-{here.region}"
    client = accounts.client("ecr", Endpoint(here.region))
    missing = ("RepositoryNotFoundException",)
    answer = aws.call(client, "describe_repositories", name, RetryBudget.of(10), missing, repositoryNames=[name])
    if not answer:
        yield Line("bootstrap repository", Status.OK, f"{name} is not there: cdk bootstrap has not run here")
        return
    (repository,) = answer["repositories"]
    immutable = str(repository.get("imageTagMutability", "")).startswith("IMMUTABLE")
    if immutable and engine and engine.races:
        said = f"{name} has immutable tags, and this machine's Docker pushes more than one manifest to a tag"
        yield Line("bootstrap repository", Status.ERROR, said, _RACE)
    else:
        yield Line("bootstrap repository", Status.OK, f"{name} has {'im' * immutable}mutable tags")
    yield _poisoned(accounts, repository)


def _poisoned(accounts: AwsSessions, repository: Mapping[str, Any]) -> Line:
    """Which tags are on what is no image. Only what is too small for one is looked at."""
    name, arn, uri = repository["repositoryName"], repository["repositoryArn"], repository["repositoryUri"]
    _, _, _, region, account, _ = arn.split(":", 5)
    client = accounts.client("ecr", Endpoint(region))
    small = list(_small_tags(client, name, account))

    def look(tag: str) -> Step | None:
        names = Names(f"{uri}:{tag}", region, account, name, tag)
        source = EcrImage(client, repository_arn=arn, repository_uri=uri, tag=tag, retry_budget=RetryBudget.of(30))
        report = verify(source, _ANY, names)
        top = report.image.top
        wrong = top and any(finding.id == "not-an-image" for finding in report.errors)
        return Untag(accounts, names, top.digest) if top and wrong else None

    with Pool(_AT_ONCE) as pool:
        steps = tuple(step for step in pool.results(look, small[:_MOST_LOOKED_AT]) if step)
    more = f" (of {len(small)} small ones, the first {_MOST_LOOKED_AT})" if len(small) > _MOST_LOOKED_AT else ""
    if not steps:
        return Line("tags", Status.OK, f"none of {name} is on an attestation{more}")
    return Line(
        "tags",
        Status.ERROR,
        f"{len(steps)} of {name} {'is' if len(steps) == 1 else 'are'} on what is no image, and CDK takes "
        f"{'it' if len(steps) == 1 else 'them'} for published{more}",
        _NEVER_REPAIRED,
        steps=steps,
    )


def _small_tags(client: Any, name: str, account: str) -> Iterator[str]:
    more: dict[str, str] = {}
    while True:
        page = aws.call(
            client,
            "describe_images",
            f"the repository {name}",
            RetryBudget.of(30),
            registryId=account,
            repositoryName=name,
            maxResults=1000,
            filter={"tagStatus": "TAGGED"},
            **more,
        )
        for image in page["imageDetails"]:
            if image.get("imageSizeInBytes", 0) < _SMALL:
                yield from image.get("imageTags", ())
        if not page.get("nextToken"):
            return
        more = {"nextToken": page["nextToken"]}

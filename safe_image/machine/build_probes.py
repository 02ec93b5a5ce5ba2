"""What builds and pushes images here: the engine, its builder, the environment, and the tools that CDK runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image_verifier.faults import Fault

from .diagnosis import Diagnosis, Status
from .docker import Docker, DockerEngine, run
from .versions import Version

RACE: Final = "https://github.com/moby/moby/pull/49949"
_CDK_ATTESTATIONS: Final = "https://github.com/aws/aws-cdk/issues/30258"
_ZSTD: Final = "https://github.com/containerd/containerd/commit/d651cb743"
_BUILDERS: Final = "https://docs.docker.com/build/builders/"
_PODMAN_BUILD: Final = "https://docs.podman.io/en/latest/markdown/podman-build.1.html"
_DOCKER_VARIABLES: Final = "https://docs.docker.com/reference/cli/docker/#environment-variables"

_ZSTD_BASE: Final = (
    "with containerd's image store, builds on a base image that has zstd layers then push layers that containerd "
    "before 2.0 does not know (number of layers and diffIDs don't match)"
)
_OCI_BUILD: Final = "docker build --output=type=docker,attestation-inline=false,oci-mediatypes=true"
# A program in Node takes its time to say its version.
_SECONDS_FOR_NODE: Final = 60


@dataclass(frozen=True)
class _Variable:
    """An environment variable that a build reads.

    :param name: its name.
    :param message: what a value of it comes to, in words.
    :param status: whether that can make broken images.
    :param source: where that is known from.
    :param commands: what a person can do about it.
    :param matters: whether a value comes to that, with an engine (None where none answers).
    """

    name: str
    message: str
    status: Status = Status.OK
    source: str = ""
    commands: tuple[str, ...] = ()
    matters: Callable[[str, DockerEngine | None], bool] = lambda value, engine: True


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
class Tool:
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


TOOLS: Final = (
    Tool("cdk", "aws-cdk", {2: Version(2, 179, 0)}),
    Tool("cdk-assets", "cdk-assets", {2: Version(2, 155, 113), 3: Version(3, 0, 0, 143)}),
)


def probe_engine(docker: Docker) -> tuple[Diagnosis, DockerEngine | None]:
    """The engine that builds here; None for one that is not Docker or does not answer.

    :param docker: the engine's command.
    """
    subject = "engine"
    if not docker.is_installed:
        said = f"{docker.command} is not installed, so that nothing is built here"
        return Diagnosis(subject, Status.OK, said), None
    if docker.name == "podman":
        said = "podman attaches no attestation; it takes no --output that SafeDockerImageAsset would pass"
        return Diagnosis(subject, Status.OK, said, _PODMAN_BUILD), None
    if docker.name != "docker":
        said = f"what {docker.command} builds and pushes has not been measured"
        return Diagnosis(subject, Status.WARNING, said), None
    try:
        engine = docker.engine()
    except Fault as fault:
        return Diagnosis.unknown(subject, fault), None
    store = "containerd's image store" if engine.is_containerd_store else "the classic image store"
    said = f"Docker {engine.version} with {store}"
    if engine.races is None:
        return Diagnosis(subject, Status.UNKNOWN, f"{said} is of a version that is not known"), engine
    if engine.races:
        said += (
            " pushes the attestation of a build to the image's own tag; where tags are immutable, the first to arrive "
            "keeps it, and that is not always the image"
        )
        upgrade = "Upgrade to Docker 28.2.0 or later, or to 25.0.16"
        return Diagnosis(subject, Status.ERROR, said, RACE, (upgrade,)), engine
    return Diagnosis(subject, Status.OK, said), engine


def probe_builder(docker: Docker, environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    if docker.name != "docker" or not docker.is_installed:
        return
    try:
        words = docker.run("buildx", "version").split()
    except Fault:
        said = "there is none, so that the legacy builder builds: it attaches no attestation, and knows no --output"
        yield Diagnosis("buildx", Status.WARNING, said, "https://docs.docker.com/build/buildkit/")
        return
    version = next((word for word in words if Version.parse(word)), "of an unknown version")
    # `docker build` takes the engine's own builder, whatever `docker buildx use` has selected, but for these two.
    chosen = environment.get("BUILDX_BUILDER", "")
    if not chosen and not _is_alias(environment):
        yield Diagnosis("buildx", Status.OK, f"docker build builds in the engine itself, by buildx {version}")
        return
    shown = docker.run("buildx", "inspect", *(("--", chosen) if chosen else ()))
    driver = next((line.partition(":")[2].strip() for line in shown.splitlines() if line.startswith("Driver:")), "")
    if driver in ("docker", ""):
        yield Diagnosis("buildx", Status.OK, f"docker build builds in the engine itself, by buildx {version}")
        return
    yield Diagnosis(
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


def probe_environment(environment: Mapping[str, str], engine: DockerEngine | None) -> Iterator[Diagnosis]:
    found = False
    for variable in _VARIABLES:
        value = environment.get(variable.name, "")
        if value and variable.matters(value, engine):
            found = True
            said = variable.message.format(value=value)
            yield Diagnosis(variable.name, variable.status, said, variable.source, variable.commands)
    if not found:
        yield Diagnosis("environment", Status.OK, "nothing in it changes what is built")


def probe_tool(tool: Tool, folder: Path, engine: DockerEngine | None) -> Iterator[Diagnosis]:
    said = _said_version(tool, folder)
    if not said:
        yield Diagnosis(tool.name, Status.OK, "is not installed here")
        return
    version = Version.parse(said)
    if version is None:
        yield Diagnosis(tool.name, Status.UNKNOWN, f"says of its version only {said!r}")
    elif not tool.attests(version):
        yield _without_attestation(tool, version, engine)
    elif engine and not engine.is_containerd_store:
        said = f"{version} lets docker attach an attestation to each image, which the classic image store does not keep"
        yield Diagnosis(tool.name, Status.OK, said, _CDK_ATTESTATIONS)
    else:
        yield Diagnosis(
            tool.name,
            Status.ERROR if engine and engine.races else Status.WARNING,
            f"{version} lets docker attach an attestation to each image: Lambda refuses such an image, and Docker "
            "before 28.2.0 can leave its tag on the attestation",
            _CDK_ATTESTATIONS,
            (f"npm install {tool.package}@{max(tool.since)}",),
        )


def _without_attestation(tool: Tool, version: Version, engine: DockerEngine | None) -> Diagnosis:
    said = f"{version} asks for no attestation"
    if engine is None or not engine.is_containerd_store:
        return Diagnosis(tool.name, Status.OK, said)
    # Then it sets BUILDX_NO_DEFAULT_ATTESTATIONS itself.
    said += f"; {_ZSTD_BASE}. SafeDockerImageAsset's builds do not"
    return Diagnosis(tool.name, Status.WARNING, said, _ZSTD, (_OCI_BUILD,))


def _said_version(tool: Tool, folder: Path) -> str:
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

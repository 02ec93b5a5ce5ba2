"""Probes of the programs that build and push images: the engine, its builder, the environment, and CDK's tools."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from image_verifier.faults import Fault

from ..sources.docker_credentials import docker_config_folder
from .diagnosis import Diagnosis, Status
from .docker import BuildEngine, Docker, run
from .versions import Version

RACE: Final = "https://github.com/moby/moby/pull/49949"
_CDK_ATTESTATIONS: Final = "https://github.com/aws/aws-cdk/issues/30258"
_ZSTD: Final = "https://github.com/containerd/containerd/commit/d651cb743"
_BUILDERS: Final = "https://docs.docker.com/build/builders/"
_PODMAN_BUILD: Final = "https://docs.podman.io/en/latest/markdown/podman-build.1.html"
_DOCKER_VARIABLES: Final = "https://docs.docker.com/reference/cli/docker/#environment-variables"

_ZSTD_BASE: Final = (
    "with containerd's image store, a build on a base image with zstd layers then pushes layers that containerd "
    "before 2.0 cannot unpack (number of layers and diffIDs don't match)"
)
_OCI_BUILD: Final = "docker build --output=type=docker,attestation-inline=false,oci-mediatypes=true"
# Node starts slowly, also just to print a version.
_SECONDS_FOR_NODE: Final = 60


@dataclass(frozen=True)
class _Variable:
    """An environment variable that a build reads.

    :param name: the variable's name.
    :param message: the effect of its value, as a clause about the variable.
    :param status: whether that effect can make broken images.
    :param source: a link to the evidence.
    :param commands: the commands that a person can run against it.
    :param matters: whether a value has that effect with an engine (None where no engine answers).
    """

    name: str
    message: str
    status: Status = Status.OK
    source: str = ""
    commands: tuple[str, ...] = ()
    matters: Callable[[str, BuildEngine | None], bool] = lambda value, engine: True


# https://pkg.go.dev/strconv#ParseBool
_FALSE: Final = ("0", "f", "F", "false", "FALSE", "False")

_VARIABLES: Final = (
    _Variable(
        "BUILDX_NO_DEFAULT_ATTESTATIONS",
        f"switches attestations off; {_ZSTD_BASE}",
        Status.WARNING,
        _ZSTD,
        ("unset BUILDX_NO_DEFAULT_ATTESTATIONS", _OCI_BUILD),
        lambda value, engine: value not in _FALSE and (engine is None or engine.is_containerd_store),
    ),
    _Variable(
        "DOCKER_BUILDKIT",
        "selects the legacy builder, which attaches no attestation, does not support --output, and is deprecated",
        Status.WARNING,
        "https://docs.docker.com/build/buildkit/",
        ("unset DOCKER_BUILDKIT",),
        lambda value, engine: value in _FALSE,
    ),
    _Variable(
        "DOCKER_DEFAULT_PLATFORM",
        "a build without --platform is for {value}, also where the service needs another platform",
        Status.WARNING,
        _DOCKER_VARIABLES,
        ("unset DOCKER_DEFAULT_PLATFORM",),
    ),
    _Variable("CDK_DOCKER", "makes CDK build and push with {value}"),
    _Variable("BUILDX_BUILDER", "makes docker build use the builder {value}"),
)


@dataclass(frozen=True)
class Tool:
    """A program that runs `docker build` for CDK.

    :param name: the program's name.
    :param package: its npm package.
    :param since: for each major version, the first version that disables attestations; later majors do too.
    """

    name: str
    package: str
    since: Mapping[int, Version]

    def attests(self, version: Version) -> bool:
        """Whether a version lets Docker attach an attestation to each image."""
        least = self.since.get(version.major)
        return version.major < min(self.since) or (least is not None and version < least)


TOOLS: Final = (
    Tool("cdk", "aws-cdk", {2: Version(2, 179, 0)}),
    Tool("cdk-assets", "cdk-assets", {2: Version(2, 155, 113), 3: Version(3, 0, 0, 143)}),
)


def probe_engine(docker: Docker) -> tuple[Diagnosis, BuildEngine | None]:
    """The engine that builds on this machine; None for an engine that is not Docker, or does not answer.

    :param docker: the engine's command.
    """
    subject = "engine"
    if not docker.is_installed:
        message = f"{docker.command} is not installed, so this machine builds no images"
        return Diagnosis(subject, Status.OK, message), None
    if docker.name == "podman":
        message = "podman attaches no attestation, and SafeDockerImageAsset passes no --output to it"
        return Diagnosis(subject, Status.OK, message, _PODMAN_BUILD), None
    if docker.name != "docker":
        message = f"the images that {docker.command} builds and pushes have not been measured"
        return Diagnosis(subject, Status.WARNING, message), None
    try:
        engine = docker.engine()
    except Fault as fault:
        return Diagnosis.unknown(subject, fault), None
    store = "containerd's image store" if engine.is_containerd_store else "the classic image store"
    message = f"Docker {engine.version} with {store}"
    if engine.races is None:
        return Diagnosis(subject, Status.UNKNOWN, f"{message}: the version is unknown"), engine
    if engine.races:
        message += (
            " pushes a build's attestation to the image's own tag; in a repository with immutable tags, the tag stays "
            "on the one that arrives first, which is not always the image"
        )
        upgrade = "Upgrade to Docker 28.2.0 or later, or to 25.0.16"
        return Diagnosis(subject, Status.ERROR, message, RACE, (upgrade,)), engine
    return Diagnosis(subject, Status.OK, message), engine


def probe_builder(docker: Docker, environment: Mapping[str, str]) -> Iterator[Diagnosis]:
    """The builder that `docker build` uses.

    :param docker: the engine's command.
    :param environment: the environment variables.
    """
    if docker.name != "docker" or not docker.is_installed:
        return
    try:
        words = docker.run("buildx", "version").split()
    except Fault:
        message = (
            "is not installed, so the legacy builder builds: it attaches no attestation and does not support --output"
        )
        yield Diagnosis("buildx", Status.WARNING, message, "https://docs.docker.com/build/buildkit/")
        return
    version = next((word for word in words if Version.parse(word)), "of an unknown version")
    # `docker build` ignores the builder that `docker buildx use` has selected, and uses the engine's own one unless one
    # of these two is set.
    chosen = environment.get("BUILDX_BUILDER", "")
    if not chosen and not _is_alias(environment):
        yield Diagnosis("buildx", Status.OK, f"docker build uses the engine's own builder (buildx {version})")
        return
    shown = docker.run("buildx", "inspect", *(("--", chosen) if chosen else ()))
    driver = next((line.partition(":")[2].strip() for line in shown.splitlines() if line.startswith("Driver:")), "")
    if driver in ("docker", ""):
        yield Diagnosis("buildx", Status.OK, f"docker build uses the engine's own builder (buildx {version})")
        return
    yield Diagnosis(
        "buildx",
        Status.WARNING,
        f"docker build uses a builder with the driver {driver} (buildx {version}), which does not load the image into "
        "the engine by default: CDK then finds no image to push, unless the build has --output=type=docker, as "
        "SafeDockerImageAsset's builds have",
        _BUILDERS,
        ("unset BUILDX_BUILDER",) if chosen else ("docker buildx uninstall",),
    )


def _is_alias(environment: Mapping[str, str]) -> bool:
    """Whether `docker buildx install` has made `docker build` an alias of `docker buildx build`."""
    try:
        config = json.loads((docker_config_folder(environment) / "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    aliases = config.get("aliases") if isinstance(config, dict) else None
    return isinstance(aliases, dict) and aliases.get("builder") == "buildx"


def probe_environment(environment: Mapping[str, str], engine: BuildEngine | None) -> Iterator[Diagnosis]:
    """The environment variables that change the images that are built.

    :param environment: the environment variables.
    :param engine: the engine; None where no engine answers.
    """
    found = False
    for variable in _VARIABLES:
        value = environment.get(variable.name, "")
        if value and variable.matters(value, engine):
            found = True
            message = variable.message.format(value=value)
            yield Diagnosis(variable.name, variable.status, message, variable.source, variable.commands)
    if not found:
        yield Diagnosis("environment", Status.OK, "no variable changes the images that are built")


def probe_tool(tool: Tool, folder: Path, engine: BuildEngine | None) -> Iterator[Diagnosis]:
    """Whether one of CDK's tools lets Docker attach an attestation.

    :param tool: the tool.
    :param folder: the folder of the CDK app, which may have its own version.
    :param engine: the engine; None where no engine answers.
    """
    text = _version_text(tool, folder)
    if not text:
        yield Diagnosis(tool.name, Status.OK, "is not installed")
        return
    version = Version.parse(text)
    if version is None:
        yield Diagnosis(tool.name, Status.UNKNOWN, f"answers {text!r} to --version")
    elif not tool.attests(version):
        yield _without_attestation(tool, version, engine)
    elif engine and not engine.is_containerd_store:
        message = f"{version} lets Docker attach an attestation to each image; the classic image store does not keep it"
        yield Diagnosis(tool.name, Status.OK, message, _CDK_ATTESTATIONS)
    else:
        yield Diagnosis(
            tool.name,
            Status.ERROR if engine and engine.races else Status.WARNING,
            f"{version} lets Docker attach an attestation to each image: Lambda refuses such an image, and Docker "
            "before 28.2.0 can leave the image's tag on the attestation",
            _CDK_ATTESTATIONS,
            (f"npm install {tool.package}@{max(tool.since)}",),
        )


def _without_attestation(tool: Tool, version: Version, engine: BuildEngine | None) -> Diagnosis:
    message = f"{version} disables attestations"
    if engine is None or not engine.is_containerd_store:
        return Diagnosis(tool.name, Status.OK, message)
    # The tool itself sets BUILDX_NO_DEFAULT_ATTESTATIONS.
    message += f"; {_ZSTD_BASE}. SafeDockerImageAsset's builds avoid this"
    return Diagnosis(tool.name, Status.WARNING, message, _ZSTD, (_OCI_BUILD,))


def _version_text(tool: Tool, folder: Path) -> str:
    """The version of the tool in the app's folder, else of the one on PATH; empty where there is neither."""
    # Read, not run: a diagnosis of a folder must not start a program that lies in it.
    package = folder / "node_modules" / tool.package / "package.json"
    try:
        return str(json.loads(package.read_bytes())["version"])
    except FileNotFoundError:
        program = shutil.which(tool.name)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise Fault(f"{package} cannot be read: {type(e).__name__}", "Reinstall it: npm ci") from e
    if program is None:
        return ""
    lines = run([program, "--version"], seconds=_SECONDS_FOR_NODE).strip().splitlines()
    return lines[-1] if lines else "nothing"

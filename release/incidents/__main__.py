"""`make incidents`: the two incidents with real tools, `DockerImageAsset` beside `SafeDockerImageAsset`.

1. Docker 26.1 with the containerd image store pushes a build's attestation to the image's own tag. In a repository with
   immutable tags, such as CDK's, the registry accepts one of the two and answers 400 to the other. Where it accepts the
   attestation, no engine can pull that tag any longer. https://github.com/aws/aws-cdk/issues/30258
2. Docker 28 with the same store and without attestations, as CDK configures it to avoid the first incident, pushes the
   zstd layers of a base image in a Docker manifest, which containerd before 2.0 cannot unpack.
   https://vrnithinkumar.github.io/2025/02/17/aws-ecs-docker-pull-error

Exit 0: both incidents went as expected. 1: one did not. 2: this machine cannot run the engines.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import subprocess
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from local_aws import ACCOUNT, REGION, LocalAws, LocalAwsError
from local_engines import base_images
from local_engines.base_images import BaseImage, BaseImageError
from local_engines.containerd import Containerd, PullError, Release, StartError
from local_engines.debian import DebianError
from local_engines.dockerd import DockerEngine, EngineError

_APP: Final = Path(__file__).with_name("app.py")
_HOST: Final = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
_REPOSITORY: Final = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"
_BASE: Final = BaseImage(name="busybox", packages=("busybox-static",), command="busybox")
_GREETING: Final = "hello from the image"
_RELEASES: Final[tuple[Release, ...]] = ("1.6", "1.7")
# Incident 1 is a race: these are the minimum of rounds, and the maximum until the attestation gets the tag once.
_MIN_ROUNDS: Final = 4
_MAX_ROUNDS: Final = 16
# The CDK CLI sets this variable for `docker build` since 2.179.0. Older CLIs and other pipelines do not.
_WITH_ATTESTATIONS: Final = '#!/bin/sh\nunset BUILDX_NO_DEFAULT_ATTESTATIONS\nexec "{docker}" "$@"\n'


@dataclass(frozen=True)
class Row:
    """One row of the table: what was tried, and the result for either construct."""

    what: str
    plain: str
    safe: str
    as_expected: bool


@dataclass
class Incident:
    """One incident: its tools, and the rows so far."""

    aws: LocalAws
    engine: DockerEngine
    folder: Path
    base: str
    cdk_docker: str = ""
    rows: list[Row] = field(default_factory=list)
    tags: dict[tuple[str, int], str] = field(default_factory=dict)

    def deploy(self, stack: str, round_: int) -> subprocess.CompletedProcess[str]:
        """Run `cdk deploy` for one of the app's stacks. The app is synthesized once for each round."""
        assembly = self.folder / f"round-{round_}"
        app = str(assembly) if assembly.exists() else f"{sys.executable} {_APP}"
        context = [f"--context=base={self.base}", f"--context=round={self.engine.version}-{round_}"]
        command = ("deploy", stack, "--require-approval=never", f"--app={app}", *context)
        if not assembly.exists():
            command += (f"--output={assembly}",)
        env = {**self.engine.env(), **({"CDK_DOCKER": self.cdk_docker} if self.cdk_docker else {})}
        done = self.aws.cdk(*command, cwd=self.folder, env=env)
        if not assembly.exists():
            raise LocalAwsError(f"cdk deploy did not synthesize the app:\n{done.stdout}")
        assets = json.loads((assembly / f"{stack}.assets.json").read_text())
        (image,) = assets["dockerImages"].values()
        (destination,) = image["destinations"].values()
        self.tags[stack, round_] = destination["imageTag"]
        return done

    def at_tag(self, stack: str, round_: int) -> str:
        """The kind of document at the tag of a deployed image."""
        answer = self.aws.client("ecr").batch_get_image(
            repositoryName=_REPOSITORY,
            imageIds=[{"imageTag": self.tags[stack, round_]}],
            acceptedMediaTypes=[
                f"application/vnd.oci.image.{kind}.v1+json" for kind in ("manifest", "index")
            ] + ["application/vnd.docker.distribution.manifest.v2+json"],
        )  # fmt: skip
        if not answer["images"]:
            return "nothing"
        manifest = json.loads(answer["images"][0]["imageManifest"])
        if "manifests" in manifest:
            return "an index"
        types = {layer["mediaType"] for layer in manifest["layers"]}
        return "the attestation" if "application/vnd.in-toto+json" in types else "the image"

    def reference(self, stack: str, round_: int) -> str:
        """The image's reference, as ECS uses it."""
        return f"{_HOST}/{_REPOSITORY}:{self.tags[stack, round_]}"

    def row(self, what: str, plain: str, safe: str, as_expected: bool) -> None:
        """Add a row to the table, and print it."""
        self.rows.append(Row(what, plain, safe, as_expected))
        say(f"{what}: {plain} | {safe}" + ("" if as_expected else "   <- NOT as expected"))

    def run(self, round_: int, errors: Mapping[Release, str]) -> None:
        """Pull and start both images with Fargate's releases of containerd.

        :param errors: part of the expected message about the plain image, by release.
        """
        for release in _RELEASES:
            with Containerd.start(release, {_HOST: self.aws.endpoint}) as containerd:
                plain, safe = (_runs(containerd, self.aws, self.reference(s, round_)) for s in ("Plain", "Safe"))
            expected = errors[release] in plain and safe == "runs"
            self.row(f"containerd {release}", _short(plain), safe, expected)

    def verify(self, round_: int, finding: str) -> None:
        """Verify the plain image with an `ImageVerification`.

        :param finding: id of the expected finding.
        """
        done = self.deploy("Verified", round_)
        refused = done.returncode != 0 and finding in done.stdout
        result = f"refused: {finding}" if refused else f"exit {done.returncode}"
        resources = self.aws.client("cloudformation").describe_stack_resources(StackName="Safe")["StackResources"]
        own = [r["ResourceStatus"] for r in resources if r["ResourceType"] == "Custom::ImageVerification"]
        passed = own in (["CREATE_COMPLETE"], ["UPDATE_COMPLETE"])
        self.row("ImageVerification on it", result, "passed" if passed else str(own), refused and passed)


_started = time.monotonic()


def say(text: str) -> None:
    """Print one line of progress."""
    print(f"{time.monotonic() - _started:7.1f}s  {text}", flush=True)


def _short(error: str) -> str:
    """containerd's message without the image's name, and with short digests."""
    message = re.sub(
        r'^failed to pull and unpack image "[^"]*": (failed to unpack image on snapshotter overlayfs: )?', "", error
    )
    return re.sub(r"(sha256:[0-9a-f]{6})[0-9a-f]{58}", r"\1…", message)


def _runs(containerd: Containerd, aws: LocalAws, reference: str) -> str:
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    try:
        containerd.pull(reference, user, password)
        with containerd.run(reference) as container:
            ended = container.ends_within(seconds=20)
            output = container.output()
    except (PullError, StartError) as error:
        return str(error)
    return "runs" if ended and output == _GREETING else f"prints {output!r}"


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="csi-incident-") as folder:
        yield Path(folder)


def the_tag_race(aws: LocalAws) -> Incident:
    """Reproduce incident 1."""
    say("Incident 1: Docker 26.1 with the containerd image store, and a repository with immutable tags")
    with DockerEngine.start(suites=("trixie",), own=True) as engine, _folder() as folder:
        wrapper = folder / "docker"
        wrapper.write_text(_WITH_ATTESTATIONS.format(docker=engine.client))
        wrapper.chmod(0o755)
        base = base_images.provide(engine, _BASE)
        incident = Incident(aws, engine, folder, base, str(wrapper))
        repository = aws.client("ecr").describe_repositories(repositoryNames=[_REPOSITORY])["repositories"][0]
        say(f"  Docker {engine.version} from {engine.origin}")
        say(f"  Repository {_REPOSITORY}: tags are {repository['imageTagMutability']}")
        plain, safe = Counter[str](), Counter[str]()
        poisoned = 0  # the last round in which the attestation got the tag
        for round_ in range(1, _MAX_ROUNDS + 1):
            done = incident.deploy("Plain", round_)
            pushed = "pushed" if done.returncode == 0 else "400" if "400 Bad Request" in done.stdout else "failed"
            plain[pushed] += 1
            at_tag = incident.at_tag("Plain", round_)
            plain[at_tag] += 1
            poisoned = round_ if at_tag == "the attestation" else poisoned
            done = incident.deploy("Safe", round_)
            safe["deployed" if done.returncode == 0 else "failed"] += 1
            safe[incident.at_tag("Safe", round_)] += 1
            say(f"  round {round_}: plain {pushed}, its tag is on {at_tag}; safe exit {done.returncode}")
            if round_ >= _MIN_ROUNDS and poisoned:
                break
        rounds = safe.total() // 2
        incident.row(
            f"cdk deploy, {rounds} times",
            f"{plain['400']} failed with 400 Bad Request",
            f"{safe['deployed']} succeeded",
            plain["400"] > 0 and safe["deployed"] == rounds,
        )
        incident.row(
            "the tag is on",
            ", ".join(f"{what} {plain[what]}x" for what in sorted(plain) if what.startswith(("the", "an ", "noth"))),
            f"the image {safe['the image']}x",
            plain["the attestation"] > 0 and safe["the image"] == rounds,
        )
        if poisoned:
            again = incident.deploy("Plain", poisoned)
            skipped = again.returncode == 0 and incident.at_tag("Plain", poisoned) == "the attestation"
            incident.row(
                "cdk deploy again",
                "succeeds, and fixes nothing" if skipped else f"exit {again.returncode}",
                "-",
                skipped,
            )
            errors: dict[Release, str] = {
                "1.6": "failed to get stream processor for application/vnd.in-toto+json",
                "1.7": "mismatched image rootfs and manifest layers",
            }
            incident.run(poisoned, errors)
            incident.verify(poisoned, "not-an-image")
        _forget(engine)
    return incident


def the_zstd_base(aws: LocalAws) -> Incident:
    """Reproduce incident 2."""
    say("Incident 2: Docker 28 with the containerd image store, and a base image with a zstd layer")
    with DockerEngine.start(suites=("sid",), own=True) as engine, _folder() as folder:
        base = base_images.provide(engine, _BASE)
        incident = Incident(aws, engine, folder, base)
        say(f"  Docker {engine.version} from {engine.origin}")
        done = {stack: incident.deploy(stack, 1) for stack in ("Plain", "Safe")}
        codes = {stack: d.returncode for stack, d in done.items()}
        incident.row(
            "cdk deploy",
            "succeeds without a warning" if codes["Plain"] == 0 else f"exit {codes['Plain']}",
            "succeeds" if codes["Safe"] == 0 else f"exit {codes['Safe']}",
            not any(codes.values()),
        )
        message = "number of layers and diffIDs don't match"
        incident.run(1, {"1.6": message, "1.7": message})
        incident.verify(1, "layer-type-unsupported")
        _forget(engine)
    return incident


def _forget(engine: DockerEngine) -> None:
    """Remove the built images, so that the next run builds them again."""
    names = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    built = [name for name in names if name.startswith("cdkasset-") or _REPOSITORY in name]
    if built:
        engine.docker("image", "rm", "--force", *built)


def _table(incidents: Mapping[str, Incident]) -> str:
    lines: list[str] = []
    for title, incident in incidents.items():
        lines += ["", f"{title} ({incident.engine.version}, containerd image store)"]
        lines.append(f"  {'':<26}{'DockerImageAsset':<60}{'SafeDockerImageAsset':<24}")
        for row in incident.rows:
            mark = "ok" if row.as_expected else "NOT as expected"
            first, *rest = textwrap.wrap(row.plain, 58) or [""]
            lines.append(f"  {row.what:<26}{first:<60}{row.safe[:40]:<24}{mark}")
            lines += [f"  {'':<26}{line}" for line in rest]
    rows: list[Any] = [row for incident in incidents.values() for row in incident.rows]
    return "\n".join([*lines, "", f"{sum(row.as_expected for row in rows)} of {len(rows)} as expected"])


def main() -> int:
    """Reproduce both incidents, and return the exit code."""
    try:
        with LocalAws.start() as aws:
            say("Local AWS: cdk bootstrap")
            aws.bootstrap()
            incidents = {"Incident 1, the tag race": the_tag_race(aws), "Incident 2, a zstd base": the_zstd_base(aws)}
    except (EngineError, BaseImageError, DebianError, LocalAwsError) as error:
        print(f"The incidents cannot be reproduced on this machine: {error}", file=sys.stderr)
        return 2
    print(_table(incidents))
    complete = len(incidents["Incident 1, the tag race"].rows) == 6
    return 0 if complete and all(row.as_expected for i in incidents.values() for row in i.rows) else 1


if __name__ == "__main__":
    sys.exit(main())

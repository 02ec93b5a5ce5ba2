"""`make incidents`: the two incidents with real tools, `DockerImageAsset` beside `SafeDockerImageAsset`.

1. Docker 26.1 with the containerd image store pushes the attestation of a build to the image's own tag. On a
   repository with immutable tags, such as CDK's, one of the two wins and the other is answered 400; where the
   attestation wins, nothing can be pulled by that tag any more. https://github.com/aws/aws-cdk/issues/30258
2. Docker 28 with the same store and no attestation, which is CDK's cure for the first, pushes zstd layers of a base
   image in a Docker manifest, which containerd before 2.0 cannot unpack.
   https://vrnithinkumar.github.io/2025/02/17/aws-ecs-docker-pull-error

Exit 0: both went as expected. 1: something did not. 2: they cannot be shown here.
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
# It is a race: so many rounds at least, and more until the attestation has won once.
_ROUNDS: Final = 4
_MOST_ROUNDS: Final = 16
# What the CLI sets for `docker build` since 2.179.0. Older ones, pinned cdk-assets and other pipelines do not.
_WITH_ATTESTATIONS: Final = '#!/bin/sh\nunset BUILDX_NO_DEFAULT_ATTESTATIONS\nexec "{docker}" "$@"\n'


@dataclass(frozen=True)
class Row:
    """One line of the table: what was looked at, and what came of it on either side."""

    what: str
    plain: str
    safe: str
    as_expected: bool


@dataclass
class Incident:
    """One incident as it goes on."""

    aws: LocalAws
    engine: DockerEngine
    folder: Path
    base: str
    cdk_docker: str = ""
    rows: list[Row] = field(default_factory=list)
    tags: dict[tuple[str, int], str] = field(default_factory=dict)

    def deploy(self, stack: str, round_: int) -> subprocess.CompletedProcess[str]:
        """`cdk deploy` one of the app's stacks; the app itself is run once for each round."""
        assembly = self.folder / f"round-{round_}"
        app = str(assembly) if assembly.exists() else f"{sys.executable} {_APP}"
        context = [f"--context=base={self.base}", f"--context=round={self.engine.version}-{round_}"]
        command = ("deploy", stack, "--require-approval=never", f"--app={app}", *context)
        if not assembly.exists():
            command += (f"--output={assembly}",)
        env = {**self.engine.env(), **({"CDK_DOCKER": self.cdk_docker} if self.cdk_docker else {})}
        done = self.aws.cdk(*command, cwd=self.folder, env=env)
        if not assembly.exists():
            raise LocalAwsError(f"the app could not be synthesized:\n{done.stdout}")
        assets = json.loads((assembly / f"{stack}.assets.json").read_text())
        (image,) = assets["dockerImages"].values()
        (destination,) = image["destinations"].values()
        self.tags[stack, round_] = destination["imageTag"]
        return done

    def at_tag(self, stack: str, round_: int) -> str:
        """What the tag of a deployed image points at."""
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
        """The image as ECS names it."""
        return f"{_HOST}/{_REPOSITORY}:{self.tags[stack, round_]}"

    def row(self, what: str, plain: str, safe: str, as_expected: bool) -> None:
        """Add a line to the table, and say it."""
        self.rows.append(Row(what, plain, safe, as_expected))
        say(f"{what}: {plain} | {safe}" + ("" if as_expected else "   <- NOT as expected"))

    def run(self, round_: int, errors: Mapping[Release, str]) -> None:
        """Pull and start both images with the containerds of Fargate's kind."""
        for release in _RELEASES:
            with Containerd.start(release, {_HOST: self.aws.endpoint}) as containerd:
                plain, safe = (_runs(containerd, self.aws, self.reference(s, round_)) for s in ("Plain", "Safe"))
            expected = errors[release] in plain and safe == "runs"
            self.row(f"containerd {release}", _short(plain), safe, expected)

    def verify(self, round_: int, finding: str) -> None:
        """Put an `ImageVerification` on the plain image."""
        done = self.deploy("Verified", round_)
        refused = done.returncode != 0 and finding in done.stdout
        said = f"refused: {finding}" if refused else f"exit {done.returncode}"
        resources = self.aws.client("cloudformation").describe_stack_resources(StackName="Safe")["StackResources"]
        own = [r["ResourceStatus"] for r in resources if r["ResourceType"] == "Custom::ImageVerification"]
        passed = own in (["CREATE_COMPLETE"], ["UPDATE_COMPLETE"])
        self.row("ImageVerification on it", said, "passed" if passed else str(own), refused and passed)


_started = time.monotonic()


def say(text: str) -> None:
    """One line of progress."""
    print(f"{time.monotonic() - _started:7.1f}s  {text}", flush=True)


def _short(error: str) -> str:
    """What containerd says, without the image's name and with digests cut short."""
    said = re.sub(
        r'^failed to pull and unpack image "[^"]*": (failed to unpack image on snapshotter overlayfs: )?', "", error
    )
    return re.sub(r"(sha256:[0-9a-f]{6})[0-9a-f]{58}", r"\1…", said)


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
    return "runs" if ended and output == _GREETING else f"says {output!r}"


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="csi-incident-") as folder:
        yield Path(folder)


def the_tag_race(aws: LocalAws) -> Incident:
    """Incident 1."""
    say("Incident 1: Docker 26.1 with the containerd image store, a repository with immutable tags")
    with DockerEngine.start(suites=("trixie",), own=True) as engine, _folder() as folder:
        wrapper = folder / "docker"
        wrapper.write_text(_WITH_ATTESTATIONS.format(docker=engine.client))
        wrapper.chmod(0o755)
        base = base_images.provide(engine, _BASE)
        incident = Incident(aws, engine, folder, base, str(wrapper))
        mutability = aws.client("ecr").describe_repositories(repositoryNames=[_REPOSITORY])["repositories"][0]
        say(f"  Docker {engine.version} from {engine.origin}; {_REPOSITORY} is {mutability['imageTagMutability']}")
        plain, safe = Counter[str](), Counter[str]()
        poisoned = 0
        for round_ in range(1, _MOST_ROUNDS + 1):
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
            if round_ >= _ROUNDS and poisoned:
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
                "cdk deploy once more",
                "succeeds, and mends nothing" if skipped else f"exit {again.returncode}",
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
    """Incident 2."""
    say("Incident 2: Docker 28 with the containerd image store, a base image with a zstd layer")
    with DockerEngine.start(suites=("sid",), own=True) as engine, _folder() as folder:
        base = base_images.provide(engine, _BASE)
        incident = Incident(aws, engine, folder, base)
        say(f"  Docker {engine.version} from {engine.origin}")
        done = {stack: incident.deploy(stack, 1) for stack in ("Plain", "Safe")}
        codes = {stack: d.returncode for stack, d in done.items()}
        incident.row(
            "cdk deploy",
            "succeeds, and nobody warns" if codes["Plain"] == 0 else f"exit {codes['Plain']}",
            "succeeds" if codes["Safe"] == 0 else f"exit {codes['Safe']}",
            not any(codes.values()),
        )
        said = "number of layers and diffIDs don't match"
        incident.run(1, {"1.6": said, "1.7": said})
        incident.verify(1, "layer-type-unsupported")
        _forget(engine)
    return incident


def _forget(engine: DockerEngine) -> None:
    """Remove what was built, so that the next run builds it again."""
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
    """Show both incidents."""
    try:
        with LocalAws.start() as aws:
            say("A local AWS; cdk bootstrap")
            aws.bootstrap()
            incidents = {"Incident 1, the tag race": the_tag_race(aws), "Incident 2, a zstd base": the_zstd_base(aws)}
    except (EngineError, BaseImageError, DebianError, LocalAwsError) as error:
        print(f"The incidents cannot be shown here: {error}", file=sys.stderr)
        return 2
    print(_table(incidents))
    complete = len(incidents["Incident 1, the tag race"].rows) == 6
    return 0 if complete and all(row.as_expected for i in incidents.values() for row in i.rows) else 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m local_aws.demo`: the main job on an AWS on this machine, with real engines.

The example is deployed with healthy images, then with three that are broken as users met them. What was expected
and what happened stands in a table at the end; the exit code is 0 only if all was as expected.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import textwrap
import time
import urllib.request
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_aws.account import ACCOUNT, REGION
from local_aws.process import LocalAws, LocalAwsError
from local_engines import base_images
from local_engines.base_images import BaseImageError
from local_engines.checkout import LOCAL, ROOT
from local_engines.containerd import Containerd, PullError, StartError
from local_engines.debian import DebianError
from local_engines.dockerd import DockerEngine, EngineError

STACK = "Example"
ECR = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
WIDTH = 118
_LOGS = LOCAL / "demo"
# The lines of the CDK CLI that say how far it is; everything it says is in the log.
_TELLING = re.compile(r"success: |deploying\.\.\.|\| Custom::ImageVerification|\| AWS::ECS::Service|✅")
_PUSHED_AS_FOUND = "outputs=[],"  # a user's way to say: build it as docker does


@dataclass(frozen=True)
class Check:
    """One thing that was expected, and what happened."""

    deploy: str
    what: str
    expected: str
    happened: str

    @property
    def passed(self) -> bool:
        return self.expected == self.happened


@dataclass(frozen=True)
class Broken:
    """A deploy that must be refused.

    `prepare` edits the app and makes the broken image, and returns the arguments of `cdk deploy`; `finding` is the
    id of what the verifier must find; `engine_says` is part of what containerd 1.7 says of the same image.
    """

    title: str
    story: str
    prepare: Callable[[Demo, Path], list[str]]
    finding: str
    engine_says: str


@dataclass
class Demo:
    """What the steps share."""

    aws: LocalAws
    engine: DockerEngine
    context: list[str]
    python_base: str
    started: float
    checks: list[Check] = field(default_factory=list)

    def say(self, text: str) -> None:
        say(self.started, text)

    def cdk(self, *arguments: str, app: Path, log: str) -> subprocess.CompletedProcess[str]:
        """The CDK CLI in the app's folder, as a user calls it."""
        path = f"{Path(sys.executable).parent}:{self.aws.env()['PATH']}"
        with _Log((_LOGS / f"{log}.log").open("wb"), encoding="utf-8") as stream:
            return self.aws.cdk(
                *arguments, *self.context, cwd=app, env={**self.engine.env(), "PATH": path}, stream=stream
            )

    def synth(self, app: Path) -> None:
        """`cdk synth`. Raises `LocalAwsError` with what it said."""
        done = self.cdk("synth", "--quiet", app=app, log="synth")
        if done.returncode:
            raise LocalAwsError(f"cdk synth failed:\n{done.stdout}")

    def deploy(self, *arguments: str, app: Path, log: str) -> subprocess.CompletedProcess[str]:
        return self.cdk("deploy", STACK, "--require-approval=never", *arguments, app=app, log=log)

    def stack(self) -> dict[str, Any]:
        stacks: list[dict[str, Any]] = self.aws.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"]
        return stacks[0]

    def events(self) -> list[dict[str, Any]]:
        """The stack's events, the oldest first."""
        pages = self.aws.client("cloudformation").get_paginator("describe_stack_events").paginate(StackName=STACK)
        return [event for page in pages for event in page["StackEvents"]][::-1]

    def running(self) -> dict[str, str]:
        """The image of each service's task definition."""
        ecs = self.aws.client("ecs")
        images = {}
        for cluster in ecs.list_clusters()["clusterArns"]:
            arns = ecs.list_services(cluster=cluster)["serviceArns"]
            for service in ecs.describe_services(cluster=cluster, services=arns)["services"]:
                task = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
                images[service["serviceName"]] = task["containerDefinitions"][0]["image"]
        return images

    def image(self, app: Path, name: str) -> tuple[str, str]:
        """(repository, tag) of an image of the synthesized app."""
        manifest = json.loads((app / "cdk.out" / f"{STACK}.assets.json").read_text())
        image = next(image for image in manifest["dockerImages"].values() if image["displayName"] == name)
        destination = next(iter(image["destinations"].values()))
        repository = destination["repositoryName"].replace("${AWS::AccountId}", ACCOUNT)
        return repository.replace("${AWS::Region}", REGION), destination["imageTag"]

    def containerd(self) -> AbstractContextManager[Containerd]:
        """The containerd of Fargate's kind, for which ECR's host is the local AWS."""
        return Containerd.start("1.7", {ECR: self.aws.endpoint})

    def credentials(self) -> tuple[str, str]:
        """(user, password) of the registry."""
        token = self.aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        user, _, password = base64.b64decode(token).decode().partition(":")
        return user, password

    def expect(self, deploy: str, what: str, expected: str, happened: str) -> None:
        check = Check(deploy, what, expected, happened)
        self.checks.append(check)
        self.say(f"  {'ok ' if check.passed else 'NOT as expected'} {what}: {happened}")


class _Log(io.TextIOWrapper):
    """Keeps everything in a file, and shows the lines that tell how far it is."""

    def write(self, text: str) -> int:
        if _TELLING.search(text):
            columns = [column.strip() for column in text.split("|")][-3:]
            print("          | " + textwrap.shorten("  ".join(columns), WIDTH - 12), flush=True)
        return super().write(text)


def say(started: float, text: str) -> None:
    """One line of progress."""
    print(f"{time.monotonic() - started:7.1f}s  {text}", flush=True)


# Healthy images


def deploy_healthy(demo: Demo, app: Path) -> None:
    """Deploy the example and prove that its task definitions carry what was verified, and that it runs."""
    title = "Healthy images"
    demo.say("cdk deploy: two images are built, pushed, verified and put in front of ECS")
    done = demo.deploy(app=app, log="healthy")
    demo.expect(title, "deploy", "succeeds", "succeeds" if done.returncode == 0 else "fails")
    if done.returncode:
        print(_last_block(done.stdout))
        return
    demo.expect(title, "stack", "CREATE_COMPLETE", demo.stack()["StackStatus"])
    ecr = demo.aws.client("ecr")
    pushed = set()
    for name in ("AutotagImage", "AltTextImage"):
        repository, tag = demo.image(app, name)
        detail = ecr.describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}])["imageDetails"][0]
        demo.say(f"  {name}: {detail['imageSizeInBytes'] / 2**20:.0f} MiB, {detail['imageDigest']}")
        pushed.add(f"{ECR}/{repository}@{detail['imageDigest']}")
    carried = set(demo.running().values())
    demo.expect(title, "task definitions with the verified digest", "2", str(len(carried & pushed)))
    run_images(demo, title)


def run_images(demo: Demo, title: str) -> None:
    """Pull what the stack says that runs, as ECS would, start it, and ask each service something."""
    outputs = {output["OutputKey"]: output["OutputValue"] for output in demo.stack()["Outputs"]}
    text = b"Containers share a kernel. A container image is a stack of layers. Layers are shared."
    questions = {
        "AutotagImageUri": ("/tags", "text/plain", text, "container"),
        "AltTextImageUri": ("/alt-text", "image/png", _png(120, 40), "Wide PNG image, 120 by 40 pixels"),
    }
    with demo.containerd() as containerd:
        for key, (path, content_type, body, hoped) in questions.items():
            demo.say(f"containerd {containerd.version} pulls and starts {key.removesuffix('ImageUri')}")
            port = _free_port()
            try:
                containerd.pull(outputs[key], *demo.credentials())
                with containerd.run(outputs[key], env={"PORT": str(port)}):
                    answer = _ask(f"http://127.0.0.1:{port}{path}", content_type, body)
            except (PullError, StartError, OSError) as error:
                happened = str(error)
            else:
                demo.say(f"  POST {path}: {textwrap.shorten(answer, WIDTH)}")
                happened = "answers" if hoped in answer else answer
            demo.expect(title, f"{key.removesuffix('ImageUri')} over HTTP", "answers", happened)


# Broken images


def attestation_at_the_tag(demo: Demo, app: Path) -> list[str]:
    """Incident 1: the tag is on the attestation that a build with provenance pushed beside the image."""
    _edit(app / "example_app/autotag/autotag/tags.py", "MAX_TAGS = 8", "MAX_TAGS = 9")
    demo.synth(app)
    repository, tag = demo.image(app, "AutotagImage")
    reference = f"{demo.aws.registry}/{repository}:with-provenance"
    demo.engine.docker(
        "build", "--provenance=true", f"--build-arg=BASE_IMAGE={demo.python_base}", f"--tag={reference}",
        str(app / "example_app/autotag"),
    )  # fmt: skip
    user, password = demo.credentials()
    demo.engine.docker("login", f"--username={user}", "--password-stdin", demo.aws.registry, stdin=password.encode())
    demo.engine.docker("push", reference)
    ecr = demo.aws.client("ecr")
    index = _manifest(ecr, repository, imageTag="with-provenance")
    attestation = next(
        child["digest"] for child in json.loads(index)["manifests"] if child["platform"]["os"] == "unknown"
    )
    ecr.put_image(
        repositoryName=repository, imageManifest=_manifest(ecr, repository, imageDigest=attestation), imageTag=tag
    )
    # The tag is in use from here on: CDK takes it for pushed, as after the race that left it there.
    return ["--app=cdk.out"]


def zstd_in_a_docker_manifest(demo: Demo, app: Path) -> list[str]:
    """Incident 2: the containerd image store pushes a zstd base as Docker schema 2, since CDK asks for no
    attestations."""
    _edit(app / "example_app/autotag/autotag/tags.py", "MAX_TAGS = 8", "MAX_TAGS = 7")
    _edit(
        app / "example_app/stack.py",
        'build_args=self._base_image("python"),',
        f'build_args=self._base_image("python"),\n            {_PUSHED_AS_FOUND}',
    )
    return []


def arm64_in_the_local_store(demo: Demo, app: Path) -> list[str]:
    """CDK pushes the `cdkasset-…` image that it finds in the local store, here one that was built for arm64."""
    dockerfile = app / "example_app/autotag/Dockerfile"
    # The base brings the packages, and this machine could not run the arm64 one's.
    steps = [line for line in dockerfile.read_text().splitlines() if not line.startswith("RUN ")]
    dockerfile.write_text("\n".join(steps) + "\n")
    demo.synth(app)
    _, tag = demo.image(app, "AutotagImage")
    base = base_images.provide(demo.engine, base_images.PYTHON, "arm64")
    demo.engine.docker(
        "build", "--platform=linux/arm64", f"--build-arg=BASE_IMAGE={base}", f"--tag=cdkasset-{tag}",
        "--output=type=docker,attestation-inline=false,oci-mediatypes=true", str(app / "example_app/autotag"),
    )  # fmt: skip
    return []


BROKEN = (
    Broken(
        "Incident 1: the tag is on an attestation",
        "a build with provenance left its attestation at the image's tag",
        attestation_at_the_tag,
        "not-an-image",
        "mismatched image rootfs and manifest layers",
    ),
    Broken(
        "Incident 2: zstd layers in a Docker manifest",
        f"the user asks for {_PUSHED_AS_FOUND} and the base image has zstd layers",
        zstd_in_a_docker_manifest,
        "layer-type-unsupported",
        "number of layers and diffIDs don't match",
    ),
    Broken(
        "An arm64 image for an amd64 service",
        "a cdkasset-… image of an arm64 build lies in the local store",
        arm64_in_the_local_store,
        "platform-mismatch",
        "exec format error",
    ),
)


def deploy_broken(demo: Demo, app: Path, broken: Broken) -> None:
    """Deploy a broken image, and prove that the deploy is refused before anything of ECS moves."""
    demo.say(f"{broken.title}: {broken.story}")
    before, known = demo.running(), {event["EventId"] for event in demo.events()}
    arguments = broken.prepare(demo, app)
    demo.say("cdk deploy")
    done = demo.deploy(*arguments, app=app, log=broken.finding)
    print(_last_block(done.stdout), flush=True)

    title = broken.title
    new = [event for event in demo.events() if event["EventId"] not in known]
    demo.expect(title, "deploy", "refused", "refused" if done.returncode else "succeeds")
    found = broken.finding if broken.finding in done.stdout else "another"
    demo.expect(title, "finding in the terminal", broken.finding, found)
    demo.expect(title, "stack", "UPDATE_ROLLBACK_COMPLETE", demo.stack()["StackStatus"])
    moved = [event for event in new if event["ResourceType"] == "AWS::ECS::Service"]
    demo.expect(title, "events of ECS services", "0", str(len(moved)))
    demo.expect(title, "images in front of ECS", "as before", "as before" if demo.running() == before else "others")
    repository, tag = demo.image(app, "AutotagImage")
    said = _what_containerd_says(demo, f"{ECR}/{repository}:{tag}")
    demo.say(f"  containerd 1.7 on the same image: {said}")
    named = broken.engine_says if broken.engine_says in said else said
    demo.expect(title, "containerd 1.7 on the same image", broken.engine_says, named)


def _what_containerd_says(demo: Demo, reference: str) -> str:
    with demo.containerd() as containerd:
        try:
            containerd.pull(reference, *demo.credentials())
            with containerd.run(reference) as container:
                return container.output() if container.ended(seconds=10) else "nothing: it runs"
        except (PullError, StartError) as error:
            return str(error)


def _manifest(ecr: Any, repository: str, **image: str) -> str:
    found = ecr.batch_get_image(
        repositoryName=repository,
        imageIds=[image],
        acceptedMediaTypes=[
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.oci.image.manifest.v1+json",
        ],
    )
    manifest: str = found["images"][0]["imageManifest"]
    return manifest


def _edit(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    if content.count(old) != 1:
        raise ValueError(f"{path.name} holds {old!r} not just once: the demo and the example do not fit")
    path.write_text(content.replace(old, new))


def _last_block(output: str) -> str:
    """What the CLI says last of a refused deploy, as a person sees it."""
    start = output.rfind("❌")
    return textwrap.indent(output[start:] if start >= 0 else output[-4000:], "          | ")


def _png(width: int, height: int) -> bytes:
    """A grey image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _ask(url: str, content_type: str, body: bytes) -> str:
    """POST to a service that is just starting. Raises OSError when it does not answer in 30 seconds."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})  # noqa: S310 - the demo's own service
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 30
    while True:
        try:
            with opener.open(request, timeout=30) as response:
                answer: str = response.read().decode()
                return answer
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@contextmanager
def _app() -> Iterator[Path]:
    """A copy of the example as it is in this repository, to deploy and to change."""
    with tempfile.TemporaryDirectory(prefix="csi-app-") as folder:
        app = Path(folder)
        shutil.copy(ROOT / "cdk.json", app)
        shutil.copytree(ROOT / "example_app", app / "example_app", ignore=shutil.ignore_patterns("__pycache__"))
        yield app


def _table(checks: list[Check]) -> str:
    lines = []
    for title in dict.fromkeys(check.deploy for check in checks):
        lines += ["", title, f"  {'':<46}{'expected':<46}happened"]
        for check in checks:
            if check.deploy == title:
                mark = "ok" if check.passed else "NOT as expected"
                happened = textwrap.shorten(check.happened, 46)
                lines.append(f"  {check.what:<46}{check.expected:<46}{happened:<46}{mark}")
    passed = sum(check.passed for check in checks)
    return "\n".join([*lines, "", f"{passed} of {len(checks)} as expected"])


def _run(started: float) -> int:
    _LOGS.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        say(started, "Container engine: this machine's Docker, or Debian's packages")
        engine = stack.enter_context(DockerEngine.start(store="containerd"))
        say(started, f"  Docker {engine.version} from {engine.origin}")
        bases = {}
        for base in (base_images.PYTHON, base_images.NODE):
            say(started, f"Base image for {base.name}, from Debian's packages (fetched and packed once)")
            bases[base.name] = base_images.provide(engine, base)
        say(started, "Local AWS: ministack, Node and the CDK CLI (fetched once)")
        aws = stack.enter_context(LocalAws.start())
        say(started, f"  it answers at {aws.endpoint}; cdk bootstrap")
        aws.bootstrap()
        context = [f"--context=base-image:{name}={reference}" for name, reference in bases.items()]
        demo = Demo(aws, engine, context, bases["python"], started)
        stack.enter_context(forget_images(engine, aws.registry))
        with _app() as app:
            deploy_healthy(demo, app)
        if all(check.passed for check in demo.checks):
            for broken in BROKEN:
                with _app() as app:
                    deploy_broken(demo, app, broken)
        say(started, "Stopping everything")
    print(_table(demo.checks))
    print(f"{time.monotonic() - started:.0f} seconds; everything that the CDK CLI said is in {_LOGS}")
    return 0 if all(check.passed for check in demo.checks) else 1


@contextmanager
def forget_images(engine: DockerEngine, registry: str) -> Iterator[None]:
    """Remove what is built meanwhile, so that the next run builds it again; layers stay in the build cache.

    :param engine: may be this machine's own Docker, with images of other CDK apps.
    :param registry: of the local AWS.
    """

    def names() -> set[str]:
        there = engine.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
        return {name for name in there if name.startswith(("cdkasset-", f"{registry}/"))}

    before = names()
    try:
        yield
    finally:
        built = sorted(names() - before)
        if built:
            engine.docker("image", "rm", "--force", *built)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Run the demo. 0: all as expected; 1: something was not; 2: it could not be run."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(time.monotonic())
    except (EngineError, BaseImageError, DebianError, LocalAwsError, subprocess.CalledProcessError) as error:
        print(f"The demo cannot run here: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted; everything is stopped.", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""`safe-image audit` against the local ECR, ECS and Lambda: requests, report, and interruptions."""

from __future__ import annotations

import contextlib
import json
import math
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from image_verifier import aws as aws_call
from image_verifier.audit import batches, repository_audit
from image_verifier.audit.judging import by_policy
from image_verifier.audit.repository import Repository
from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.outcome import ImageOutcome
from image_verifier.outcome_json import outcome_as_json
from image_verifier.policy import Policy
from image_verifier.retry import RetryBudget
from image_verifier.sources.ecr_image import EcrImage, downloads
from image_verifier.verify import verify

from local_aws import ACCOUNT, REGION, LocalAws
from safe_image.sources.targets import TargetResolver
from tests.corpus.cases import unpack
from tests.pushing import push, push_many
from tests.unit.images import GZIP, Layout

HOST = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
NUMBER, INDEXES = 130, 30
POLICY = Policy(("fargate",), Platform.parse("linux/amd64"))


@pytest.fixture(scope="module")
def many(aws: LocalAws) -> tuple[str, int]:
    """A repository of healthy images, and the number of their distinct layers."""
    return "many", push_many(aws, "many", NUMBER, indexes=INDEXES)


@pytest.fixture
def client(aws: LocalAws) -> Any:
    """A client like the command's."""
    session: Any = boto3.Session(ACCOUNT, "local", region_name=REGION)
    return session.client("ecr", endpoint_url=aws.endpoint, config=aws_call.CLIENT_CONFIG)


def audited(client: Any, repository: str, policy: Policy = POLICY, *, own_platform: bool = False) -> list[ImageOutcome]:
    with ThreadPoolExecutor(8) as pool:
        place = Repository("aws", REGION, ACCOUNT, repository)
        judge = by_policy(policy, own_platform=own_platform)
        audit = repository_audit.RepositoryAudit(client, place, policy, judge, pool, downloads(), debug=True)
        return list(audit.run(batches.Batches(client, place).tagged(), lambda outcome, details: outcome))


def calls(aws: LocalAws) -> Counter[str]:
    return Counter(call["name"].removeprefix("ecr:") for call in aws.calls())


def run(aws: LocalAws, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "safe_image", "audit", *arguments]
    return subprocess.run(command, env=aws.env(), capture_output=True, text=True, check=False, timeout=120)


def images(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(done.stdout)["images"]
    return found


def test_an_audit_makes_one_call_per_hundred_images_or_layers(
    aws: LocalAws, client: Any, many: tuple[str, int]
) -> None:
    repository, layers = many
    aws.reset_calls()
    outcomes = audited(client, repository)
    assert Counter(outcome.verdict for outcome in outcomes) == {"pass": NUMBER}
    made = calls(aws)
    assert made["DescribeImages"] == math.ceil(NUMBER / 1000)
    assert made["BatchGetImage"] == math.ceil(NUMBER / 100) + math.ceil(INDEXES / 100)
    assert made["BatchCheckLayerAvailability"] == math.ceil(layers / 100)
    assert made["GetDownloadUrlForLayer"] == made["layer:GET"] == NUMBER


def test_more_pages_of_a_repository_do_not_add_other_calls(
    aws: LocalAws, client: Any, many: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "_PAGE", 40)
    repository, layers = many
    aws.reset_calls()
    assert len(audited(client, repository)) == NUMBER
    made = calls(aws)
    assert made["DescribeImages"] == math.ceil(NUMBER / 40)
    assert made["BatchGetImage"] + made["BatchCheckLayerAvailability"] == 3 + math.ceil(layers / 100)


def test_large_manifests_are_verified_before_their_batch_is_full(
    client: Any, many: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository_audit, "_MAX_WAITING_BYTES", 0)
    monkeypatch.setattr(repository_audit, "_MAX_LAYERS", 10)
    assert Counter(outcome.verdict for outcome in audited(client, many[0])) == {"pass": NUMBER}


def test_every_verdict_and_finding_equals_that_of_check(aws: LocalAws, client: Any, tmp_path: Path) -> None:
    client.create_repository(repositoryName="corpus")
    digests = set()
    for case in unpack(tmp_path):
        # ECR itself refuses the image, or the case lacks a blob on purpose.
        with contextlib.suppress(AssertionError, FileNotFoundError, KeyError, ValueError):
            digests.add(push(aws, case.folder, "corpus", case.name))
    assert len(digests) > 150
    policy = Policy(("fargate", "ecs-ec2", "eks", "lambda"), Platform.parse("linux/amd64"))
    outcomes = audited(client, "corpus", policy)

    def alone(outcome: ImageOutcome) -> ImageOutcome:
        target = TargetResolver().target(outcome.reference, str(policy.platform))
        source = EcrImage(
            client,
            repository_arn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/corpus",
            repository_uri=f"{HOST}/corpus",
            tag=target.names.tag,
            retry_budget=RetryBudget.of(5),
        )
        report = verify(source, policy)
        return ImageOutcome(target.reference, policy, report, names=target.names.with_digest_of(report.image.top))

    with ThreadPoolExecutor(8) as pool:
        differing = [
            (outcome_as_json(outcome), outcome_as_json(expected))
            for outcome, expected in zip(outcomes, pool.map(alone, outcomes), strict=True)
            if outcome_as_json(outcome) != outcome_as_json(expected)
        ]
    assert differing == []
    assert {outcome_as_json(outcome)["digest"] for outcome in outcomes} == digests


def test_an_image_for_another_platform_is_verified_for_that_platform_by_default(
    aws: LocalAws, client: Any, tmp_path: Path
) -> None:
    client.create_repository(repositoryName="platforms")
    arm = {"architecture": "arm64"}
    made: dict[str, Callable[[Layout], dict[str, Any]]] = {
        "amd64": lambda layout: layout.image(),
        "arm64": lambda layout: layout.image(config=arm),
        "arm64-index": lambda layout: layout.index(
            {**layout.image(config=arm, layer_types=(GZIP,) * 2), "platform": {"os": "linux", **arm}}
        ),
        "s390x": lambda layout: layout.image(config={"architecture": "s390x"}),
    }
    for tag, make in made.items():
        layout = Layout(tmp_path / tag)
        layout.path.mkdir()
        layout.source(make(layout))
        push(aws, layout.path, "platforms", tag)

    def verdicts(*, own_platform: bool) -> dict[str, tuple[str, str]]:
        outcomes = audited(client, "platforms", own_platform=own_platform)
        return {o.reference.rpartition(":")[2]: (o.verdict, str(o.policy.platform)) for o in outcomes}

    assert verdicts(own_platform=True) == {
        "amd64": ("pass", "linux/amd64"),
        "arm64": ("pass", "linux/arm64"),
        "arm64-index": ("pass", "linux/arm64"),
        "s390x": ("fail", "linux/amd64"),
    }
    assert [v for v, _ in verdicts(own_platform=False).values()].count("fail") == 3


def test_the_option_layers_reads_the_layers_bytes(aws: LocalAws, client: Any) -> None:
    push_many(aws, "deep", 3)
    manifest = client.batch_get_image(repositoryName="deep", imageIds=[{"imageTag": "1"}])["images"][0]["imageManifest"]
    aws.faults.content(json.loads(manifest)["layers"][-1]["digest"], "corrupt")
    done = run(aws, "deep", "--layers", "--format", "json")
    # None of these images contains its entrypoint.
    found = {one["reference"].rpartition(":")[2]: {f["id"] for f in one["findings"]} for one in images(done)}
    assert "layer-digest-mismatch" in found["1"]
    assert "layer-digest-mismatch" not in found["0"] | found["2"]


def test_an_image_is_judged_by_the_sections_of_the_configuration_as_check_judges_it(
    aws: LocalAws, client: Any, tmp_path: Path
) -> None:
    client.create_repository(repositoryName="sections")
    uri = f"{HOST}/sections"
    layers = {
        "plain": (GZIP,),
        "tagged": (GZIP,) * 2,
        "pinned": (GZIP,) * 3,
        "lambda-1": (media_types.DOCKER_LAYER_ZSTD,),
    }
    for tag, types in layers.items():
        layout = Layout(tmp_path / tag)
        layout.path.mkdir()
        layout.source(layout.image(layer_types=types))
        push(aws, layout.path, "sections", tag)
    ids = client.describe_images(repositoryName="sections", imageIds=[{"imageTag": "pinned"}])
    digest = ids["imageDetails"][0]["imageDigest"]
    configuration = tmp_path / "safe-image.toml"
    configuration.write_text(
        'require = ["max-layers:1"]\n'
        '[[images]]\nmatch = "sections:tagged"\nmin-size = "1GiB"\n'
        f'[[images]]\nmatch = "*/sections@{digest}"\nfail-on = "never"\n'
        '[[images]]\nmatch = "sections:lambda-*"\nruns-on = "lambda"\nlayers = true\n'
    )
    options = ("--config", str(configuration), "--format", "json")
    found = {one["reference"]: one for one in images(run(aws, "sections", *options))}
    references = [f"{uri}@{digest}" if tag == "pinned" else f"{uri}:{tag}" for tag in layers]
    command = [sys.executable, "-m", "safe_image", "check", *references, *options]
    checked = images(subprocess.run(command, env=aws.env(), capture_output=True, text=True, check=False, timeout=120))
    for tag, one in zip(layers, checked, strict=True):
        for key in ("verdict", "runs_on", "platform", "policy", "findings"):
            assert found[f"{uri}:{tag}"][key] == one[key], (tag, key)
    assert [one["verdict"] for one in checked] == ["pass", "fail", "pass", "fail"]
    assert [f["id"] for f in checked[1]["findings"]] == ["image-too-small", "layers-above-maximum"]


def test_throttled_calls_are_retried_until_every_image_has_a_verdict(aws: LocalAws, many: tuple[str, int]) -> None:
    aws.faults.throttle("ecr:GetDownloadUrlForLayer", per_second=60)
    aws.faults.throttle("ecr:GetDownloadUrlForLayer", times=20)
    aws.faults.throttle("ecr:BatchGetImage", times=2)
    done = run(aws, many[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{NUMBER} images: {NUMBER} passed" in done.stdout


def test_an_unknown_image_or_repository_does_not_affect_the_others(aws: LocalAws, client: Any, tmp_path: Path) -> None:
    push_many(aws, "mixed", 3)
    details = client.describe_images(repositoryName="mixed")["imageDetails"]
    by_tag = {detail["imageTags"][0]: detail["imageDigest"] for detail in details}
    aws.faults.content(by_tag["0"], "kms")
    client.update_image_storage_class(
        repositoryName="mixed", imageId={"imageDigest": by_tag["1"]}, targetStorageClass="ARCHIVE"
    )
    done = run(aws, "nowhere", f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/mixed", "--format", "json")
    assert done.returncode == 2
    verdicts = {one["reference"].removeprefix(HOST): one for one in images(done)}
    assert {name: one["verdict"] for name, one in verdicts.items()} == {
        "/nowhere": "unknown",
        "/mixed:0": "unknown",
        "/mixed:1": "fail",
        "/mixed:2": "pass",
    }
    assert "KmsError" in verdicts["/mixed:0"]["fault"]["message"]
    assert [f["id"] for f in verdicts["/mixed:1"]["findings"]] == ["image-archived"]
    assert "RepositoryNotFoundException" in verdicts["/nowhere"]["fault"]["message"]
    told = {one["repository"]: one for one in json.loads(done.stdout)["repositories"]}
    assert told[f"{HOST}/mixed"] == {
        "repository": f"{HOST}/mixed",
        "images": 3,
        "passed": 1,
        "refused": 1,
        "unknown": 1,
        "refused_in_use": 0,
    }


def test_an_interrupt_does_not_wait_for_running_downloads(aws: LocalAws, many: tuple[str, int], tmp_path: Path) -> None:
    aws.reset_calls()
    aws.faults.latency("layer:GET", 60)
    report = tmp_path / "report"
    report.write_text("the last one")
    command = [sys.executable, "-m", "safe_image", "audit", many[0], "-o", str(report)]
    process = subprocess.Popen(
        command,
        env=aws.env(),
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore SIGINT; so would the tests then, and their processes.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline = time.monotonic() + 60
        while not any(call["name"] == "ecr:GetDownloadUrlForLayer" for call in aws.calls()):
            assert process.poll() is None, "it ended before it could be interrupted"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        # Wait until the download itself has begun.
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
        aws.faults.clear()
    assert (process.returncode, said) == (130, "safe-image: interrupted\n")
    assert report.read_text() == "the last one"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_run_that_was_killed_resumes(aws: LocalAws, many: tuple[str, int], tmp_path: Path) -> None:
    state = tmp_path / "state"
    aws.faults.latency("layer:GET", 0.5)
    command = [sys.executable, "-m", "safe_image", "audit", many[0], "--resume", str(state)]
    process = subprocess.Popen(command, env=aws.env(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not state.exists() or state.read_bytes().count(b"\n") < 20:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    aws.faults.clear()
    with state.open("ab") as cut:
        cut.write(b'{"reference": "cut off in its mid')
    known = state.read_bytes().count(b"\n") - 1
    assert known < NUMBER
    # The last calls of the killed process may be answered after it has ended.
    began = time.time()
    done = run(aws, many[0], "--resume", str(state), "--format", "json")
    assert done.returncode == 0, done.stderr
    assert len({one["digest"] for one in images(done)}) == len(images(done)) == NUMBER
    made = [call for call in aws.calls() if call["name"] == "ecr:GetDownloadUrlForLayer" and call["time"] > began]
    assert len(made) == NUMBER - known
    again = run(aws, many[0], "--resume", str(state), "--runs-on", "lambda")
    assert again.returncode == 2
    assert "was written with another runs_on (('fargate',)): use the same settings" in again.stderr


@pytest.fixture
def in_use(aws: LocalAws, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """A repository `used` with two healthy and two broken images, a service that could roll back, and a function."""
    client = aws.client("ecr")
    client.create_repository(repositoryName="used")
    made: dict[str, Callable[[Layout], dict[str, Any]]] = {
        "good": lambda layout: layout.image(),
        "bad": lambda layout: layout.attestation(),
        "arm": lambda layout: layout.image(config={"architecture": "arm64"}, layer_types=(GZIP,) * 2),
        "idle": lambda layout: layout.image(manifest={"layers": []}, layer_types=(GZIP,) * 3),
    }
    for tag, make in made.items():
        layout = Layout(tmp_path / tag)
        layout.path.mkdir()
        layout.source(make(layout))
        push(aws, layout.path, "used", tag)
    ecs, functions = aws.client("ecs"), aws.client("lambda")
    ecs.create_cluster(clusterName="prod")
    for tag in ("bad", "good"):
        container = {"name": "web", "image": f"{HOST}/used:{tag}", "memory": 128}
        ecs.register_task_definition(family="web", containerDefinitions=[container])
    ecs.create_service(cluster="prod", serviceName="web", taskDefinition="web:2", launchType="FARGATE", desiredCount=1)
    for name, tag in (("graviton", "arm"), ("lost", "gone")):
        functions.create_function(
            FunctionName=name,
            PackageType="Image",
            Code={"ImageUri": f"{HOST}/used:{tag}"},
            Architectures=["arm64"],
            Role=f"arn:aws:iam::{ACCOUNT}:role/x",
        )
    yield lambda name: functions.delete_function(FunctionName=name)
    client.delete_repository(repositoryName="used", force=True)
    ecs.delete_service(cluster="prod", service="web", force=True)
    for name in ("graviton", "lost"):
        functions.delete_function(FunctionName=name)


def tags(found: Sequence[dict[str, Any]]) -> list[str]:
    return [one["reference"].rpartition(":")[2] for one in found]


@pytest.mark.usefixtures("in_use")
def test_images_in_use_come_first_and_are_verified_for_the_runtimes_of_their_users(aws: LocalAws) -> None:
    done = run(aws, "used", "--in-use", "--format", "json")
    assert done.returncode == 1, done.stderr
    found = {one["reference"].rpartition(":")[2]: one for one in images(done)}
    assert sorted(tags(images(done))[:4]) == ["arm", "bad", "gone", "good"]
    assert tags(images(done))[4:] == ["idle"]
    assert found["good"]["in_use_by"] == ["ECS service prod/web"]
    assert found["bad"]["in_use_by"] == ["ECS service prod/web, rolled back to web:1"]
    assert [f["id"] for f in found["bad"]["findings"]] == ["not-an-image"]
    assert (found["arm"]["verdict"], found["arm"]["runs_on"]) == ("pass", ["lambda"])
    assert found["arm"]["platform"] == "linux/arm64"
    assert [f["id"] for f in found["gone"]["findings"]] == ["image-missing"]
    assert found["gone"]["in_use_by"] == ["Lambda function lost"]
    (total,) = json.loads(done.stdout)["repositories"]
    assert (total["images"], total["refused"], total["refused_in_use"]) == (5, 3, 2)


@pytest.mark.usefixtures("in_use")
def test_the_runtime_and_the_platform_of_a_section_win_over_those_of_the_user(aws: LocalAws, tmp_path: Path) -> None:
    configuration = tmp_path / "safe-image.toml"
    configuration.write_text('[[images]]\nmatch = "used:arm"\nruns-on = "eks"\nplatform = "linux/amd64"\n')
    done = run(aws, "--in-use", "--config", str(configuration), "--format", "json")
    found = {one["reference"].rpartition(":")[2]: one for one in images(done)}
    assert (found["arm"]["runs_on"], found["arm"]["platform"]) == (["eks"], "linux/amd64")
    assert (found["gone"]["runs_on"], found["gone"]["platform"]) == (["lambda"], "linux/arm64")


@pytest.mark.usefixtures("in_use")
def test_without_a_repository_only_images_in_use_are_reported(aws: LocalAws) -> None:
    done = run(aws, "--in-use", "--runs-on", "fargate", "--format", "json")
    assert sorted(tags(images(done))) == ["arm", "bad", "gone", "good"]
    # An option of the command line overrides the runtimes of the users.
    assert {tuple(one["runs_on"]) for one in images(done)} == {("fargate",)}


@pytest.mark.usefixtures("in_use")
def test_a_denied_call_to_ecs_is_reported_beside_all_other_images(aws: LocalAws) -> None:
    aws.faults.deny("ecs:ListClusters")
    done = run(aws, "used", "--in-use")
    assert done.returncode == 2
    assert "UNKNOWN  images in use by ECS" in done.stdout
    assert "in use by Lambda function lost" in done.stdout
    assert "used:bad" in done.stdout


@pytest.mark.usefixtures("in_use")
def test_a_whole_registry_is_audited_and_summed_up(aws: LocalAws, many: tuple[str, int]) -> None:
    done = run(aws, "--registry")
    assert f"{HOST}/{many[0]}" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith(f"{HOST}/{many[0]} "))
    assert row.split()[1:] == [str(NUMBER), str(NUMBER), "0", "0", "0"]

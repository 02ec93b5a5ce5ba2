"""Each place that runs images is held to what is known of it, and warned about where nothing is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.report import Report, Severity
from image_verifier.rules.confirmations import EVIDENCE
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import remedy
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.verify import verify

from tests.unit.images import GZIP, Layout

NAMES = (
    "fargate",
    "ecs-ec2",
    "ecs-managed-instances",
    "ecs-anywhere",
    "lambda",
    "eks",
    "batch",
    "app-runner",
    "sagemaker",
    "agentcore",
)
DOCKER_GZIP = media_types.DOCKER_LAYER_GZIP
DOCKER_ZSTD = media_types.DOCKER_LAYER_ZSTD


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def report(layout: Layout, top: dict[str, Any], *runs_on: str, platform: str = "linux/amd64") -> Report:
    return verify(layout.source(top), Policy(runs_on, Platform.parse(platform)))


def errors(layout: Layout, top: dict[str, Any], *runs_on: str, platform: str = "linux/amd64") -> list[str]:
    return [f.id for f in report(layout, top, *runs_on, platform=platform).errors]


def warnings(layout: Layout, top: dict[str, Any], *runs_on: str, platform: str = "linux/amd64") -> list[str]:
    findings = report(layout, top, *runs_on, platform=platform).findings
    return [f.id for f in findings if f.severity is Severity.WARNING]


def test_the_runtimes_are_those_of_the_design() -> None:
    assert tuple(RUNTIMES) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_runtime_says_where_its_facts_come_from(name: str) -> None:
    runtime = RUNTIMES[name]
    assert runtime.name == name
    assert runtime.title
    assert runtime.engines
    assert runtime.platforms
    assert all(source.startswith("https://") for source in EVIDENCE[name].sources)
    assert EVIDENCE[name].sources
    assert set(EVIDENCE[name].engines) <= {host.engine for host in runtime.on_hosts}
    assert set(runtime.doubtful_platforms) < set(runtime.platforms)
    assert not set(runtime.refused_layers) & set(runtime.doubtful_layers)


@pytest.mark.parametrize("name", NAMES)
def test_a_healthy_schema_2_image_runs_everywhere(layout: Layout, name: str) -> None:
    platform = RUNTIMES[name].platforms[0]
    top = layout.image(
        schema_2=True, layer_types=(DOCKER_GZIP,), config={"architecture": platform.removeprefix("linux/")}
    )
    assert errors(layout, top, name, platform=platform) == []


@pytest.mark.parametrize("name", [n for n in NAMES if n != "sagemaker"])
def test_a_healthy_oci_image_runs_everywhere_else(layout: Layout, name: str) -> None:
    platform = RUNTIMES[name].platforms[0]
    top = layout.image(config={"architecture": platform.removeprefix("linux/")})
    assert errors(layout, top, name, platform=platform) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_attestation_runs_nowhere(layout: Layout, name: str) -> None:
    assert "not-an-image" in errors(layout, layout.attestation(), name, platform=RUNTIMES[name].platforms[0])


# Docker's zstd type: an error where containerd before 2.0 is known, a warning where nothing is


@pytest.mark.parametrize("name", ["fargate", "batch"])
def test_dockers_zstd_type_is_refused_where_containerd_may_not_know_it(layout: Layout, name: str) -> None:
    top = layout.image(schema_2=True, layer_types=(DOCKER_GZIP, DOCKER_ZSTD))
    assert errors(layout, top, name) == ["layer-type-unsupported"]


@pytest.mark.parametrize("name", ["ecs-ec2", "ecs-managed-instances", "ecs-anywhere"])
def test_dockers_zstd_type_runs_where_dockerd_does(layout: Layout, name: str) -> None:
    top = layout.image(schema_2=True, layer_types=(DOCKER_GZIP, DOCKER_ZSTD))
    assert report(layout, top, name).findings == ()


def test_dockers_zstd_type_is_a_warning_for_old_nodes_of_eks_that_names_them(layout: Layout) -> None:
    top = layout.image(schema_2=True, layer_types=(DOCKER_GZIP, DOCKER_ZSTD))
    (finding,) = report(layout, top, "eks").findings
    assert (finding.id, finding.severity) == ("layer-type-unsupported", Severity.WARNING)
    assert finding.message.endswith(
        "Affected are only nodes with containerd 1.7: AL2023 AMIs before v20251209 (Kubernetes 1.33: before "
        "v20251016), and Bottlerocket up to 1.62."
    )


@pytest.mark.parametrize("name", ["lambda", "app-runner", "sagemaker", "agentcore"])
def test_dockers_zstd_type_is_a_warning_where_nobody_knows(layout: Layout, name: str) -> None:
    platform = RUNTIMES[name].platforms[0]
    top = layout.image(
        schema_2=True,
        layer_types=(DOCKER_GZIP, DOCKER_ZSTD),
        config={"architecture": platform.removeprefix("linux/")},
    )
    assert errors(layout, top, name, platform=platform) == []
    assert warnings(layout, top, name, platform=platform) == ["layer-type-doubtful"]


# Where hosts differ: an error only for what all of them refuse


def test_what_only_bottlerocket_refuses_is_a_warning_for_ecs_on_ec2(layout: Layout) -> None:
    top = layout.image(layers={"size": 1})
    (finding,) = report(layout, top, "ecs-ec2").findings
    assert (finding.id, finding.severity) == ("layer-size-mismatch", Severity.WARNING)
    assert "Affected are only Bottlerocket (aws-ecs-3)" in finding.message
    assert errors(layout, top, "ecs-managed-instances") == ["layer-size-mismatch"]


def test_what_all_hosts_refuse_is_not_repeated_for_some(layout: Layout) -> None:
    top = layout.image(config={"rootfs": {"type": "layers", "diff_ids": []}})
    (finding,) = report(layout, top, "ecs-ec2").findings
    assert (finding.id, finding.severity) == ("diff-ids-count", Severity.ERROR)


@pytest.mark.parametrize("beside", [(), ("fargate",), ("lambda", "eks")])
def test_a_runtime_is_judged_the_same_whatever_is_beside_it(layout: Layout, beside: tuple[str, ...]) -> None:
    amd64 = {"os": "linux", "architecture": "amd64"}
    for platform in ({**amd64, "os.features": ["sse4"]}, {"os": "", "architecture": ""}):
        top = layout.index({**layout.image(), "platform": platform})
        found = {(name, f.id) for f in report(layout, top, "ecs-ec2", "eks", *beside).errors for name in f.runs_on}
        assert ("ecs-ec2", "platform-missing") not in found
        assert ("eks", "platform-missing") in found
        assert (("fargate", "platform-missing") in found) == ("fargate" in beside and "os.features" not in platform)


def test_ecs_anywhere_runs_any_platform_and_fargate_does_not(layout: Layout) -> None:
    top = layout.image(config={"architecture": "arm", "variant": "v7"})
    assert errors(layout, top, "ecs-anywhere", platform="linux/arm/v7") == []
    with pytest.raises(ValueError, match="ECS on Fargate cannot run linux/arm/v7"):
        Policy(("fargate",), Platform.parse("linux/arm/v7"))


def test_newer_engines_accept_no_manifest_that_requires_os_features_and_older_ones_do(layout: Layout) -> None:
    features = {"os": "linux", "architecture": "amd64", "os.features": ["sse4"]}
    top = layout.index({**layout.image(), "platform": features})
    for name in ("ecs-managed-instances", "eks"):
        assert errors(layout, top, name) == ["platform-missing"]
    # Docker 25.0.16 of the ECS-optimized AMIs, and containerd 1.7 and 2.2.
    for name in ("fargate", "batch"):
        assert report(layout, top, name).findings == ()
    (finding,) = report(layout, top, "ecs-ec2").findings
    assert (finding.id, finding.severity) == ("platform-missing", Severity.WARNING)
    assert "Affected are only Bottlerocket (aws-ecs-3)" in finding.message


# EKS and Fargate: several releases of containerd


def test_eks_is_held_to_every_release_of_containerd(layout: Layout) -> None:
    # 1.7 passes over the zstd layer and counts one, as the config does; 2.1 counts two.
    top = layout.image(schema_2=True, layer_types=(DOCKER_GZIP, DOCKER_ZSTD))
    both = layout.image(
        schema_2=True,
        layer_types=(DOCKER_GZIP, DOCKER_ZSTD),
        config={"rootfs": {"type": "layers", "diff_ids": _diff_ids(layout, top)[:1]}},
    )
    assert errors(layout, both, "fargate") == ["diff-ids-count"]
    assert errors(layout, both, "eks") == ["diff-ids-count"]


def _diff_ids(layout: Layout, top: dict[str, Any]) -> list[str]:
    config = report(layout, top, "ecs-ec2").image.config
    assert config
    return list(config.diff_ids)


def test_containerd_2_unpacks_nothing_of_another_kind_of_rootfs(layout: Layout) -> None:
    plain = layout.image()
    odd = layout.image(config={"rootfs": {"type": "layer", "diff_ids": _diff_ids(layout, plain)}})
    assert errors(layout, odd, "eks") == ["rootfs-type-unknown"]
    assert errors(layout, odd, "fargate") == ["rootfs-type-unknown"]
    assert errors(layout, odd, "ecs-ec2") == []


def test_only_fargates_containerd_2_needs_the_manifests_of_all_platforms(layout: Layout) -> None:
    amd64 = {**layout.image(), "platform": {"os": "linux", "architecture": "amd64"}}
    arm64 = {**amd64, "digest": "sha256:" + "b" * 64, "platform": {"os": "linux", "architecture": "arm64"}}
    top = layout.index(amd64, arm64)
    for healthy in ("eks", "ecs-ec2"):
        assert report(layout, top, healthy).findings == ()
    for refusing in ("fargate", "batch"):
        assert errors(layout, top, refusing) == ["index-incomplete"]
    for together in (("eks", "fargate"), ("fargate", "eks")):
        (finding,) = report(layout, top, *together).findings
        assert (finding.id, finding.severity, finding.runs_on) == ("index-incomplete", Severity.ERROR, ("fargate",))


def test_eks_accepts_an_index_whose_manifests_exist(layout: Layout) -> None:
    amd64 = {**layout.image(), "platform": {"os": "linux", "architecture": "amd64"}}
    attestation = {**layout.attestation(), "platform": {"os": "unknown", "architecture": "unknown"}}
    assert report(layout, layout.index(amd64, attestation), "eks").findings == ()


# Batch: Fargate and ECS on EC2


def test_batch_is_held_to_dockerd_too(layout: Layout) -> None:
    found = report(layout, layout.image(layer_types=(GZIP,) * 126), "batch").errors
    assert [f.id for f in found] == ["too-many-layers"]
    assert found[0].runtime_error == "CannotPullContainerError: failed to register layer: max depth exceeded"


def test_a_finding_of_several_engines_of_one_runtime_is_reported_once(layout: Layout) -> None:
    top = layout.image(config={"rootfs": {"type": "layers", "diff_ids": []}})
    found = report(layout, top, "batch").errors
    assert [f.id for f in found] == ["diff-ids-count"]
    assert "number of layers and diffIDs don't match: 1 != 0" in found[0].runtime_error


# App Runner, SageMaker, AgentCore


def test_app_runner_accepts_arm64_with_a_warning(layout: Layout) -> None:
    top = layout.image(config={"architecture": "arm64"})
    assert errors(layout, top, "app-runner", platform="linux/arm64") == []
    assert warnings(layout, top, "app-runner", platform="linux/arm64") == ["platform-doubtful"]
    assert warnings(layout, layout.image(), "app-runner") == []


def test_sagemaker_refuses_an_oci_manifest_in_its_own_words(layout: Layout) -> None:
    (found,) = report(layout, layout.image(), "sagemaker").errors
    assert found.id == "manifest-type-refused"
    assert found.runtime_error.startswith(
        "Unsupported manifest media type application/vnd.oci.image.manifest.v1+json for image "
    )
    assert any("oci-mediatypes=false" in step for step in remedy(found, Names()))


def test_sagemaker_refuses_an_index_and_what_is_in_it_at_once(layout: Layout) -> None:
    child = {**layout.image(), "platform": {"os": "linux", "architecture": "amd64"}}
    assert errors(layout, layout.index(child), "sagemaker") == ["index-not-taken", "manifest-type-refused"]


def test_agentcore_runs_amd64_only_through_a_capacity_provider_and_warns(layout: Layout) -> None:
    (warning,) = report(layout, layout.image(), "agentcore").findings
    assert (warning.id, warning.severity) == ("platform-doubtful", Severity.WARNING)
    assert "capacity provider" in warning.message
    arm64 = layout.image(config={"architecture": "arm64"})
    assert report(layout, arm64, "agentcore", platform="linux/arm64").findings == ()


# The policy


def test_a_waiver_of_what_does_not_exist_names_what_does() -> None:
    with pytest.raises(ValueError, match="layer-foreign"):
        Policy(("fargate",), Platform.parse("linux/amd64"), acknowledge={"layer-forein": "because"})


def test_a_waiver_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="say why"):
        Policy(("fargate",), Platform.parse("linux/amd64"), acknowledge={"layer-foreign": " "})

"""The rules that an image is judged by, one test each. The corpus compares the same with real engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from image_verifier.deletion import cannot_be_pulled
from image_verifier.faults import Fault
from image_verifier.image import media_types, model
from image_verifier.image.go_json import JsonText
from image_verifier.image.model import MAX_INDEX_DEPTH, Descriptor, Platform, sha256
from image_verifier.policy import Policy
from image_verifier.report import Report, Severity
from image_verifier.rules.names import Names
from image_verifier.rules.remedies import remedy
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.verify import verify

from safe_image.sources.oci_layout import OciLayout
from tests.unit.images import GZIP, Layout

AMD64 = {"os": "linux", "architecture": "amd64"}
ARM64 = {"os": "linux", "architecture": "arm64"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


def judged(layout: Layout, top: dict[str, Any], *runs_on: str, **policy: Any) -> Report:
    asked = {"platform": Platform.parse("linux/amd64"), **policy}
    return verify(layout.source(top), Policy(runs_on or ("fargate",), **asked))


def ids(report: Report) -> list[str]:
    return [finding.id for finding in report.errors]


@pytest.mark.parametrize("runtime", ["fargate", "ecs-ec2", "lambda"])
@pytest.mark.parametrize("schema_2", [False, True])
def test_a_plain_image_passes(layout: Layout, runtime: str, schema_2: bool) -> None:
    report = judged(layout, layout.image(schema_2=schema_2), runtime)
    assert report.findings == ()


def test_a_tag_on_an_attestation_is_named_as_one(layout: Layout) -> None:
    report = judged(layout, layout.attestation(), "fargate", "ecs-ec2", "lambda")
    assert ids(report) == ["not-an-image"] * 3
    assert all("build attestation" in finding.message for finding in report.errors)
    assert "no processor for media-type" in report.errors[0].runtime_error
    assert report.errors[1].runtime_error == "CannotPullContainerError: unsupported media type " + media_types.IN_TOTO
    assert "UnsupportedImageLayerDetected" in report.errors[2].runtime_error


def test_an_attestation_in_its_new_form_is_named_as_one(layout: Layout) -> None:
    top = layout.image(
        layer_types=(media_types.IN_TOTO,),
        manifest={
            "artifactType": "application/vnd.docker.attestation.manifest.v1+json",
            "config": layout.descriptor(media_types.OCI_EMPTY, b"{}"),
        },
    )
    (finding,) = judged(layout, top).errors
    assert "build attestation" in finding.message


def test_an_artifact_type_on_a_real_image_does_no_harm(layout: Layout) -> None:
    top = layout.image(manifest={"artifactType": "application/vnd.docker.attestation.manifest.v1+json"})
    assert judged(layout, top, "fargate", "ecs-ec2").verdict == "pass"


def test_the_layers_of_an_artifact_are_not_read(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    config = layout.descriptor("application/vnd.example.config+json", b"{}")
    artifact = layout.image(manifest={"config": config})

    def read(_: OciLayout, layer: Descriptor) -> Any:
        raise AssertionError(f"{layer.digest} is read")

    monkeypatch.setattr(OciLayout, "open", read)
    assert ids(judged(layout, artifact, verify_layers=True)) == ["not-an-image"]
    with pytest.raises(AssertionError, match="is read"):
        judged(layout, layout.image(), verify_layers=True)


def test_docker_zstd_layers_fail_on_fargate_with_the_numbers_that_users_saw(layout: Layout) -> None:
    gzip, zstd = media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD
    top = layout.image(layer_types=(*[gzip] * 3, *[zstd] * 12), schema_2=True)
    (finding,) = judged(layout, top).errors
    assert finding.id == "layer-type-unsupported"
    assert "number of layers and diffIDs don't match: 3 != 15" in finding.runtime_error
    assert judged(layout, top, "ecs-ec2").verdict == "pass"


def test_an_image_of_only_docker_zstd_layers_is_refused_for_its_layers_and_not_as_an_artifact(layout: Layout) -> None:
    top = layout.image(layer_types=(media_types.DOCKER_LAYER_ZSTD,) * 2, schema_2=True)
    (finding,) = judged(layout, top).errors
    assert finding.id == "layer-type-unsupported"
    assert f"all are {media_types.DOCKER_LAYER_ZSTD}." in finding.message
    assert "no processor for media-type" in finding.runtime_error
    (attestation,) = judged(layout, layout.attestation()).errors
    assert remedy(finding, Names()) != remedy(attestation, Names())


def test_zstd_layers_of_an_oci_image_pass_on_fargate_and_are_a_warning_for_lambda(layout: Layout) -> None:
    top = layout.image(layer_types=(GZIP, media_types.OCI_LAYER + "+zstd"))
    assert judged(layout, top).findings == ()
    (warning,) = judged(layout, top, "lambda").findings
    assert (warning.id, warning.severity) == ("layer-type-doubtful", Severity.WARNING)


def test_an_index_with_an_attestation_beside_the_image_passes_but_not_for_lambda(layout: Layout) -> None:
    unknown = {"os": "unknown", "architecture": "unknown"}
    top = layout.index({**layout.image(), "platform": AMD64}, {**layout.attestation(), "platform": unknown})
    assert judged(layout, top, "fargate", "ecs-ec2").verdict == "pass"
    assert ids(judged(layout, top, "lambda")) == ["index-not-taken"]


def test_an_index_without_the_platform_is_refused_with_what_it_holds(layout: Layout) -> None:
    top = layout.index({**layout.image(config=ARM64), "platform": ARM64})
    (finding,) = judged(layout, top).errors
    assert finding.id == "platform-missing"
    assert finding.found == "linux/arm64"


def test_the_best_child_of_an_index_is_judged_and_not_the_first(layout: Layout) -> None:
    i386 = {"os": "linux", "architecture": "386"}
    broken = {**layout.attestation(), "platform": i386}
    assert judged(layout, layout.index(broken, {**layout.image(), "platform": AMD64})).verdict == "pass"


def test_indexes_in_each_other_are_followed_so_deep_and_no_deeper(layout: Layout) -> None:
    top = layout.image()
    for _ in range(MAX_INDEX_DEPTH):
        top = layout.index({**top, "platform": AMD64})
    assert judged(layout, top).verdict == "pass"
    with pytest.raises(Fault, match=f"more than {MAX_INDEX_DEPTH} levels"):
        judged(layout, layout.index({**top, "platform": AMD64}))


def test_an_image_for_another_architecture_is_refused(layout: Layout) -> None:
    (finding,) = judged(layout, layout.image(config=ARM64)).errors
    assert finding.id == "platform-mismatch"
    assert (finding.expected, finding.found) == ("linux/amd64", "linux/arm64")
    assert judged(layout, layout.image(config=ARM64), platform=Platform.parse("linux/arm64")).verdict == "pass"


@pytest.mark.parametrize(
    ("config", "finding"),
    [
        ({"rootfs": {"type": "layers", "diff_ids": []}}, "diff-ids-count"),
        ({"rootfs": None}, "rootfs-missing"),
        ({"created": "yesterday"}, "config-unreadable"),
        ({"config": {"Cmd": "/file0"}}, "config-unreadable"),
        ({"config": {}}, "no-command"),
        ({"config": {"Cmd": ["x"], "WorkingDir": "app"}}, "working-dir-relative"),
        ({"os": "windows"}, "platform-mismatch"),
    ],
)
def test_a_broken_config_is_refused_for_what_is_wrong_in_it(
    layout: Layout, config: dict[str, Any], finding: str
) -> None:
    assert ids(judged(layout, layout.image(config=config))) == [finding]


@pytest.mark.parametrize(
    ("entry", "about"),
    [
        ("=x", "has no name before its `=`"),
        ("=", "has no name before its `=`"),
        ("A\0B=secret", "contains a NUL character in its name"),
        ("A=secret\0", "contains a NUL character in its value"),
    ],
)
def test_an_environment_that_no_engine_can_set_is_refused(layout: Layout, entry: str, about: str) -> None:
    top = layout.image(config={"config": {"Cmd": ["/file0"], "Env": ["PATH=/bin", entry, "A=b"]}})
    report = judged(layout, top, "fargate", "ecs-ec2")
    assert ids(report) == ["env-invalid"] * 2
    for finding in report.errors:
        assert f"Entry 2 of the config's Env {about}." in finding.message
        assert "error during container init: environment variable" in finding.runtime_error
    assert "secret" not in str(report.findings)


def test_a_variable_without_a_value_is_doubtful_to_containerd_and_left_out_by_dockerd(layout: Layout) -> None:
    top = layout.image(config={"config": {"Cmd": ["/file0"], "Env": ["", "NAME", "A\0B", "ä b=1"]}})
    report = judged(layout, top, "fargate", "ecs-ec2")
    (finding,) = report.findings
    assert (finding.id, finding.severity, finding.runs_on) == ("env-invalid", Severity.WARNING, ("fargate",))
    assert "Entry 2 of the config's Env has no `=`" in finding.message


@pytest.mark.parametrize(
    ("run", "number"),
    [
        ({"Cmd": ["a\0b"]}, 1),
        ({"Entrypoint": ["/file0", "\0"]}, 2),
        ({"Entrypoint": ["/file0"], "Cmd": ["", "secret\0"]}, 3),
    ],
)
def test_a_command_with_a_nul_is_refused(layout: Layout, run: dict[str, Any], number: int) -> None:
    report = judged(layout, layout.image(config={"config": run}), "fargate", "ecs-ec2")
    (finding,) = report.errors
    assert (finding.id, finding.runs_on) == ("argument-invalid", ("fargate", "ecs-ec2"))
    assert f"Word {number} of the image's command" in finding.message
    assert finding.runtime_error == ("exec /file0: invalid argument" if number > 1 else "")
    assert "secret" not in str(report.findings)


def test_a_command_that_is_a_string_is_taken_by_dockerd(layout: Layout) -> None:
    assert judged(layout, layout.image(config={"config": {"Cmd": "/file0"}}), "ecs-ec2").verdict == "pass"


def test_a_diff_id_that_is_the_digest_of_the_compressed_layer_is_refused(layout: Layout) -> None:
    manifest = json.loads(_content(layout, layout.image()))
    wrong = {"rootfs": {"type": "layers", "diff_ids": [manifest["layers"][0]["digest"]]}}
    assert ids(judged(layout, layout.image(config=wrong), "fargate", "ecs-ec2", "lambda")) == ["diff-id-wrong"] * 3


def test_a_plain_tar_under_a_gzip_label_passes(layout: Layout) -> None:
    tar = b"\0" * 10240
    config = {"rootfs": {"type": "layers", "diff_ids": [sha256(tar)]}}
    top = layout.image(config=config, manifest={"layers": [layout.descriptor(GZIP, tar)]})
    assert judged(layout, top, "fargate", "ecs-ec2").verdict == "pass"


def test_one_blob_with_two_diff_ids_is_refused(layout: Layout) -> None:
    tar = b"\0" * 10240
    layers = [layout.descriptor(GZIP, tar)] * 2
    config = {"rootfs": {"type": "layers", "diff_ids": [sha256(tar), sha256(b"other")]}}
    assert ids(judged(layout, layout.image(config=config, manifest={"layers": layers}))) == ["diff-id-wrong"]


def test_a_layer_of_another_size_than_declared_is_refused_where_the_engine_looks(layout: Layout) -> None:
    top = layout.image(layers={"size": 1})
    assert ids(judged(layout, top, "fargate")) == ["layer-size-mismatch"]
    assert judged(layout, top, "ecs-ec2").verdict == "pass"


def test_a_layer_that_is_not_there_is_refused(layout: Layout) -> None:
    digest = json.loads(_content(layout, layout.image()))["layers"][0]["digest"]
    layout.path.joinpath("blobs", *digest.split(":")).unlink()
    (top,) = json.loads(layout.path.joinpath("index.json").read_text())["manifests"]
    assert ids(judged(layout, top, "fargate", "lambda")) == ["layer-missing"] * 2


def test_more_than_125_layers_are_too_many_for_dockerd_only(layout: Layout) -> None:
    top = layout.image(layer_types=(GZIP,) * 126)
    assert judged(layout, top, "fargate").verdict == "pass"
    assert ids(judged(layout, top, "ecs-ec2")) == ["too-many-layers"]


def test_more_layers_than_the_kernel_stacks_are_pulled_and_never_mounted_by_containerd(layout: Layout) -> None:
    for count in (500, 501):
        report = judged(layout, layout.image(layer_types=(GZIP,) * count))
        (finding,) = report.errors
        assert (finding.id, finding.expected) == ("layers-not-mountable", "at most 499 layers")
        assert finding.runtime_error.endswith("failed to mount /tmp/containerd-mount…: invalid argument")
        assert not cannot_be_pulled(report)


def test_layers_that_a_host_with_many_snapshots_cannot_mount_are_doubtful(layout: Layout) -> None:
    for count, severities in ((390, []), (391, [Severity.WARNING]), (499, [Severity.WARNING])):
        report = judged(layout, layout.image(layer_types=(GZIP,) * count))
        assert [finding.severity for finding in report.findings] == severities
        assert {finding.id for finding in report.findings} <= {"layers-not-mountable"}


def test_the_size_must_lie_within_the_policy(layout: Layout) -> None:
    top = layout.image()
    assert ids(judged(layout, top, min_size=1_000_000)) == ["image-too-small"]
    assert ids(judged(layout, top, max_size=10)) == ["image-too-large"]
    assert judged(layout, top, min_size=10, max_size=1_000_000).verdict == "pass"


def test_an_image_of_exactly_a_bound_is_within_it(layout: Layout) -> None:
    top = layout.image()
    size = judged(layout, top).image.size
    assert judged(layout, top, min_size=size, max_size=size).verdict == "pass"
    assert ids(judged(layout, top, min_size=size + 1)) == ["image-too-small"]
    assert ids(judged(layout, top, max_size=size - 1)) == ["image-too-large"]


def test_an_image_of_exactly_the_largest_size_fits_the_runtime(layout: Layout) -> None:
    most = RUNTIMES["lambda"].max_bytes
    assert most

    def of(layer: int) -> Report:
        return judged(layout, layout.image(layer_types=(GZIP,), layers={"size": layer}), "lambda")

    room = most - of(0).image.size
    assert "image-too-large-for-runtime" not in ids(of(room))
    assert "image-too-large-for-runtime" in ids(of(room + 1))


def test_all_findings_are_reported_at_once(layout: Layout) -> None:
    top = layout.image(config={**ARM64, "config": {"WorkingDir": "app"}}, layers={"size": 1})
    assert sorted(ids(judged(layout, top, max_size=10))) == [
        "image-too-large",
        "layer-size-mismatch",
        "no-command",
        "platform-mismatch",
        "working-dir-relative",
    ]


def test_an_equal_finding_names_all_its_runtimes_once(layout: Layout) -> None:
    (finding,) = judged(layout, layout.image(config={"config": {"Cmd": ["x"], "WorkingDir": "a"}}), "fargate").errors
    assert finding.runs_on == ("fargate",)
    report = judged(layout, layout.image(), "fargate", "lambda", min_size=10**6)
    assert [f.runs_on for f in report.errors] == [("fargate", "lambda")]


def test_an_acknowledged_finding_does_not_refuse_and_keeps_its_reason(layout: Layout) -> None:
    report = judged(layout, layout.image(config={"config": {}}), acknowledge={"no-command": "the task gives it"})
    assert report.verdict == "pass"
    assert report.findings[0].acknowledged == "the task gives it"


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ({"runs_on": ()}, "runs_on is empty: name at least one of fargate"),
        ({"runs_on": ("mars",)}, "runs_on names 'mars', which is not a runtime: use one of fargate"),
        ({"platform": Platform.parse("windows/amd64")}, "images for windows/amd64 cannot be verified: use linux/amd64"),
        ({"min_size": 2, "max_size": 1}, r"min_size \(2 bytes\) is above max_size \(1 bytes\)"),
        ({"min_size": -1}, "use a size of 0 or more"),
        ({"max_size": 0}, "max_size is 0 bytes: no image fits"),
        (
            {"runs_on": ("lambda",), "min_size": 11 * 1024**3},
            r"min_size .* is above the maximum of Lambda .*: no image fits",
        ),
    ],
)
def test_a_policy_that_no_image_can_meet_is_an_error_that_says_what_to_write(policy: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Policy(**{"runs_on": ("fargate",), "platform": Platform.parse("linux/amd64"), **policy})


def _content(layout: Layout, descriptor: dict[str, Any]) -> bytes:
    layout.source(descriptor)
    return layout.path.joinpath("blobs", *descriptor["digest"].split(":")).read_bytes()


# The engines' words for what is not an image, each measured with containerd 1.6.20, 1.7.24 and 2.1.9, and with
# dockerd 28.5.2


def words(layout: Layout, top: dict[str, Any], runtime: str) -> str:
    return judged(layout, top, runtime).errors[0].runtime_error.removeprefix("CannotPullContainerError: ")


def test_an_index_of_artifacts_without_platforms_has_no_platform_to_containerd(layout: Layout) -> None:
    top = layout.index(layout.attestation())
    assert words(layout, top, "fargate") == (
        f"failed to unpack image on snapshotter overlayfs: no match for platform in manifest {top['digest']}: not found"
    )
    assert words(layout, top, "eks") == (
        f"get image config descriptor: no match for platform in manifest {top['digest']}: not found"
    )
    assert words(layout, top, "ecs-managed-instances") == (
        "no matching manifest for linux/amd64 in the manifest list entries: failed to unpack image on snapshotter "
        f"overlayfs: no match for platform in manifest {top['digest']}: not found"
    )
    assert words(layout, top, "ecs-ec2") == f"unsupported media type {media_types.IN_TOTO}"


def test_a_document_of_an_unknown_type_is_a_manifest_without_a_signature_to_dockerd(layout: Layout) -> None:
    for media_type in ("application/vnd.example.manifest+json", "application/vnd.oci.artifact.manifest.v1+json"):
        top = layout.descriptor(media_type, b'{"schemaVersion": 2}')
        assert words(layout, top, "ecs-ec2") == "missing signature key"
    top = layout.descriptor("application/vnd.example", b"xyz")
    assert words(layout, top, "ecs-ec2") == (
        "error unmarshalling content: invalid character 'x' looking for beginning of value"
    )


def test_a_webassembly_artifact_has_a_layer_that_containerd_1_6_has_no_processor_for(layout: Layout) -> None:
    diff_id = "sha256:" + "a" * 64
    config = {"architecture": "wasm", "os": "wasip1", "rootfs": {"type": "layers", "diff_ids": [diff_id]}}
    wasm = "application/vnd.wasm.content.layer.v1+wasm"
    top = layout.image(
        manifest={
            "config": layout.descriptor("application/vnd.wasm.config.v0+json", json.dumps(config).encode()),
            "layers": [layout.descriptor(wasm, b"\0asm")],
        }
    )
    assert words(layout, top, "fargate") == (
        f"failed to unpack image on snapshotter overlayfs: failed to extract layer {diff_id}: failed to get stream "
        f"processor for {wasm}: no processor for media-type: unknown"
    )


def test_a_manifest_without_a_byte_is_not_fetched_by_containerd(layout: Layout) -> None:
    top = layout.descriptor(media_types.OCI_MANIFEST, b"")
    assert words(layout, top, "fargate") == (
        f"unable to fetch descriptor ({top['digest']}) which reports content size of zero: invalid argument"
    )
    assert words(layout, top, "ecs-ec2") == "unexpected end of JSON input"
    assert words(layout, top, "ecs-managed-instances") == (
        f"failed to check image {top['digest']}: manifest: invalid desc {top['digest']}: unexpected end of JSON input"
    )


def test_a_config_that_only_dockerd_decodes_and_that_has_no_rootfs_is_refused(layout: Layout) -> None:
    top = layout.image(config={"config": {"Cmd": "/run"}, "rootfs": None})
    assert ids(judged(layout, top, "ecs-ec2")) == ["rootfs-missing"]
    assert ids(judged(layout, top, "fargate")) == ["config-unreadable"]


def test_every_document_is_parsed_once(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[bytes] = []

    class Counted(JsonText):
        def __init__(self, content: bytes) -> None:
            parsed.append(content)
            super().__init__(content)

    monkeypatch.setattr(model, "JsonText", Counted)
    top = layout.index({**layout.image(), "platform": AMD64})
    assert judged(layout, top, *(name for name, one in RUNTIMES.items() if one.runs("linux/amd64"))).image.config
    assert len(parsed) == len(set(parsed)) == 3


# Encrypted layers


def test_an_encrypted_layer_is_refused_by_containerd_and_a_warning_elsewhere_until_it_is_read(layout: Layout) -> None:
    encrypted = layout.descriptor(GZIP + "+encrypted", bytes(range(256)) * 4)
    config = {"rootfs": {"type": "layers", "diff_ids": [sha256(b"decrypted")]}}
    top = layout.image(manifest={"layers": [encrypted]}, config=config)
    for runtime in ("fargate", "eks", "ecs-managed-instances"):
        assert ids(judged(layout, top, runtime)) == ["layer-type-unsupported"]
    for runtime in ("ecs-ec2", "lambda", "app-runner"):
        report = judged(layout, top, runtime)
        assert (ids(report), report.findings[0].id) == ([], "layer-type-doubtful")
        assert "tar-invalid" in ids(judged(layout, top, runtime, verify_layers=True))

"""`safe-image diff`: two images side by side, and which difference breaks which runtime."""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from image_verifier.image import media_types
from image_verifier.image.model import Platform, sha256
from image_verifier.policy import Policy
from image_verifier.report import Report
from image_verifier.rules.catalog import CATALOG
from image_verifier.verify import verify

from safe_image.cli import main
from safe_image.results.comparison import Comparison, compare
from safe_image.results.image_fields import IMAGE_FIELDS
from tests.unit.images import GZIP, Layout, tar_of
from tests.unit.registry_server import serving

ZSTD = media_types.DOCKER_LAYER_ZSTD
DOCKER_GZIP = media_types.DOCKER_LAYER_GZIP


def _layout(folder: Path, **image: Any) -> Layout:
    layout = Layout(folder)
    layout.path.mkdir(parents=True)
    layout.source(layout.image(**image))
    return layout


def _compared(folder: Path, first: dict[str, Any], second: dict[str, Any]) -> Comparison:
    policy = Policy(("fargate", "ecs-ec2"), Platform.parse("linux/amd64"))
    reports = []
    for name, image in (("first", first), ("second", second)):
        layout = Layout(folder / name)
        layout.path.mkdir()
        reports.append(verify(layout.source(layout.image(**image)), policy))
    return compare(*reports)


def _image(layout: Layout, contents: Sequence[bytes], *, level: int = 9, **config: Any) -> Report:
    """The report on a healthy image of layers with these contents."""
    layout.path.mkdir()
    blobs = {c: layout.descriptor(GZIP, gzip.compress(c, level, mtime=0)) for c in dict.fromkeys(contents)}
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": layout.descriptor(
            media_types.OCI_CONFIG,
            json.dumps(
                {
                    "architecture": "amd64",
                    "os": "linux",
                    "config": {"Cmd": ["/file"]},
                    "rootfs": {"type": "layers", "diff_ids": [sha256(content) for content in contents]},
                    **config,
                }
            ).encode(),
        ),
        "layers": [blobs[content] for content in contents],
    }
    top = layout.descriptor(media_types.OCI_MANIFEST, json.dumps(document).encode())
    return verify(layout.source(top), Policy(("fargate",), Platform.parse("linux/amd64")))


def _changes(comparison: Comparison) -> list[str]:
    return [pair.change for pair in comparison.layers]


def test_a_layer_of_another_type_is_distinguished_from_a_layer_of_only_one_image(tmp_path: Path) -> None:
    comparison = _compared(
        tmp_path,
        {"layer_types": (DOCKER_GZIP,) * 2, "schema_2": True},
        {"layer_types": (DOCKER_GZIP, ZSTD, DOCKER_GZIP), "schema_2": True},
    )
    assert _changes(comparison) == ["same", "retyped", "added"]
    assert comparison.layers[2].first is None


def test_a_recompressed_layer_is_distinguished_from_a_changed_one(tmp_path: Path) -> None:
    same, one, other = tar_of({"file": b"x" * 1000}), tar_of({"other": b"y"}), tar_of({"other": b"z"})
    comparison = compare(
        _image(Layout(tmp_path / "first"), [same, one], level=1), _image(Layout(tmp_path / "second"), [same, other])
    )
    assert _changes(comparison) == ["recompressed", "changed"]


def test_an_inserted_layer_leaves_the_others_paired(tmp_path: Path) -> None:
    one, two, three, new = (tar_of({f"file{n}": b"x"}) for n in range(4))
    first = _image(Layout(tmp_path / "first"), [one, two, three])
    second = _image(Layout(tmp_path / "second"), [one, new, two, three])
    assert _changes(compare(first, second)) == ["same", "added", "same", "same"]
    assert _changes(compare(second, first)) == ["same", "removed", "same", "same"]


def test_thousands_of_layers_are_compared_quickly(tmp_path: Path) -> None:
    # Alignment takes the square of their number, and the cube of it for what is made to be slow.
    contents = [tar_of({f"file{n}": b""}) for n in range(7)]
    first = _image(Layout(tmp_path / "first"), [contents[n % 3] for n in range(4000)])
    second = _image(Layout(tmp_path / "second"), [contents[n % 7] for n in range(4001)])
    started = time.monotonic()
    comparison = compare(first, second)
    assert time.monotonic() - started < 30
    assert len(comparison.layers) == 4001
    assert _changes(comparison)[:4] == ["same", "same", "same", "changed"]


def test_a_finding_that_refuses_only_one_image_is_reported_by_runtime(tmp_path: Path) -> None:
    comparison = _compared(
        tmp_path,
        {"layer_types": (DOCKER_GZIP,), "schema_2": True},
        {"layer_types": (ZSTD,), "schema_2": True},
    )
    assert [(f.id, f.runs_on) for f in comparison.broken] == [("layer-type-unsupported", ("fargate",))]
    assert comparison.mended == ()
    assert comparison.runtimes == (("fargate", "runs", "refused"), ("ecs-ec2", "runs", "runs"))
    assert comparison.breaks_on == ("fargate",)
    assert comparison.summary == "The second image is refused where the first is not: ECS on Fargate."


def test_the_difference_that_causes_a_finding_is_marked(tmp_path: Path) -> None:
    arm = {"config": {"architecture": "arm64"}}
    comparison = _compared(tmp_path, {}, arm)
    (platform,) = (field for field in comparison.fields if field.name == "platform")
    assert (platform.first, platform.second) == ("linux/amd64", "linux/arm64")
    assert platform.breaks == ("platform-mismatch",)
    assert [field.name for field in comparison.fields if field.breaks] == ["platform"]


def test_a_finding_that_refuses_both_images_is_reported_and_breaks_nothing(tmp_path: Path) -> None:
    arm = {"config": {"architecture": "arm64"}}
    comparison = _compared(tmp_path, arm, arm)
    assert {finding.id for finding in comparison.common} == {"platform-mismatch"}
    assert (comparison.broken, comparison.mended, comparison.breaks_on) == ((), (), ())
    assert comparison.summary == "All runtimes refuse both images, and no finding refuses only the second."


def test_the_summary_says_that_the_second_image_has_further_findings(tmp_path: Path) -> None:
    arm = {"config": {"architecture": "arm64"}, "schema_2": True}
    comparison = _compared(tmp_path, arm, {**arm, "layer_types": (ZSTD,)})
    assert [finding.id for finding in comparison.broken] == ["layer-type-unsupported"]
    assert comparison.breaks_on == ()
    assert comparison.summary == (
        "All runtimes refuse both images, the second also for findings that the first does not have."
    )


def test_a_warning_is_distinguished_from_a_finding_that_refuses(tmp_path: Path) -> None:
    policy = Policy(("fargate", "lambda"), Platform.parse("linux/amd64"))
    reports = []
    for name, layer_type in (("first", DOCKER_GZIP), ("second", ZSTD)):
        layout = Layout(tmp_path / name)
        layout.path.mkdir()
        reports.append(verify(layout.source(layout.image(layer_types=(layer_type,), schema_2=True)), policy))
    comparison = compare(*reports)
    assert [(f.id, f.runs_on) for f in comparison.doubted] == [("layer-type-doubtful", ("lambda",))]
    assert comparison.runtimes == (("fargate", "runs", "refused"), ("lambda", "runs", "in doubt"))
    assert compare(*reversed(reports)).doubted == ()


def test_every_field_of_the_run_config_is_compared(tmp_path: Path) -> None:
    run = {
        "Cmd": ["/file0", "two words"],
        "Env": ["B=2", "A=1"],
        "ExposedPorts": {"8080/tcp": {}},
        "Healthcheck": {"Test": ["CMD", "/file0"]},
        "Labels": {"team": "shop"},
        "StopSignal": "SIGINT",
        "User": "1000",
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
    }
    comparison = _compared(tmp_path, {}, {"config": {"config": run}})
    said = {field.name: field.second for field in comparison.fields if field.differs}
    assert said.pop("compressed size").endswith(" bytes")
    assert said == {
        "command": "/file0 'two words'",
        "environment": "A=1\nB=2",
        "exposed ports": "8080/tcp",
        "health check": '{"Test": ["CMD", "/file0"]}',
        "labels": "team=shop",
        "stop signal": "SIGINT",
        "user": "1000",
        "volumes": "/data",
        "working directory": "/srv",
    }


@pytest.mark.parametrize("config", [{"ExposedPorts": [8080]}, {"Volumes": 7}, {"StopSignal": {"a": {"b": []}}}, [], 7])
def test_an_invalid_run_config_is_compared_as_it_is(tmp_path: Path, config: Any) -> None:
    comparison = _compared(tmp_path, {}, {"config": {"config": config}})
    assert any(field.differs for field in comparison.fields)


def test_the_causes_of_the_fields_are_ids_of_the_catalog() -> None:
    assert {finding for _, _, findings in IMAGE_FIELDS for finding in findings} <= set(CATALOG)


def test_the_same_image_twice_differs_in_nothing(tmp_path: Path) -> None:
    comparison = _compared(tmp_path, {}, {})
    assert not any(field.differs for field in comparison.fields)
    assert {pair.change for pair in comparison.layers} == {"same"}


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    good = _layout(tmp_path / "good", layer_types=(DOCKER_GZIP,) * 3, schema_2=True)
    bad = _layout(tmp_path / "bad", layer_types=(DOCKER_GZIP, ZSTD, DOCKER_GZIP), schema_2=True)
    return f"oci-layout:{good.path}", f"oci-layout:{bad.path}"


def test_the_text_shows_the_breaking_findings_before_the_fields_that_differ(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", *pair]) == 1
    text = capsys.readouterr().out
    order = (
        "is refused where the first is not",
        "findings that refuse only image 2",
        "warnings for image 2 only",
        "fields differ",
    )
    assert [*map(text.index, order)] == sorted(map(text.index, order))
    assert text.index("findings that refuse only image 2") < text.index("fields differ") < text.index("are shared")
    assert text.count("error layer-type-unsupported") == 1, "told once for all runtimes"
    assert "(fargate, batch)" in text
    assert "same bytes, other type  <- layer-type-unsupported" in text


def test_with_the_images_swapped_nothing_is_broken(pair: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = pair
    assert main(["diff", bad, good]) == 0
    assert "findings that refuse only image 1" in capsys.readouterr().out


def test_the_json_has_both_images_and_every_pair_of_layers(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", *pair, "--runs-on", "fargate", "--format", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert [image["verdict"] for image in said["images"]] == ["pass", "fail"]
    assert said["broken"] == [{"id": "layer-type-unsupported", "runs_on": ["fargate"]}]
    assert said["runtimes"] == [{"name": "fargate", "first": "runs", "second": "refused"}]
    assert [pair["change"] for pair in said["layers"]] == ["same", "retyped", "same"]
    assert said["layers"][1]["breaks"] == ["layer-type-unsupported"]


def test_a_missing_image_is_one_line_with_exit_code_2(
    pair: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", pair[0], "oci-layout:nowhere"]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("safe-image: oci-layout:nowhere: ")
    assert "nowhere is not an OCI image layout (it has no index.json)" in printed.err
    assert (printed.err.count("\n"), printed.out) == (1, "")


def test_no_text_of_an_image_moves_the_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "\x1b[2J\u202e\x00\r"
    run = {"Cmd": [hostile], "User": hostile, "Labels": {hostile: hostile}, "ExposedPorts": {hostile: {}}}
    config = {"config": run, "history": [{"created_by": hostile}, {"created_by": hostile}]}
    good = _layout(tmp_path / "good")
    bad = _layout(tmp_path / "bad", layer_types=(GZIP, f"application/{hostile}"), config=config)
    assert main(["diff", f"oci-layout:{good.path}", f"oci-layout:{bad.path}"]) == 1
    printed = capsys.readouterr().out
    assert "\\x1b[2J\\u202e\\x00\\r" in printed
    assert not {c for c in printed if not c.isprintable()} - {"\n"}


def test_an_image_in_a_registry_is_compared_with_one_in_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = _layout(tmp_path / "good")
    with serving() as registry:
        registry.image("app", "v1")
        assert main(["diff", f"{registry.host}/app:v1", f"oci-layout:{good.path}", "--runs-on", "fargate"]) == 0
        assert "Neither image is refused." in capsys.readouterr().out
        assert main(["diff", f"oci-layout:{good.path}", f"{registry.host}/app:v2", "--runs-on", "fargate"]) == 1
        assert "reference resolves to  <- image-missing" in capsys.readouterr().out


@pytest.mark.parametrize("format_", ["text", "json", "html"])
def test_the_values_of_secrets_are_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], format_: str) -> None:
    environment = ["MODE=fast", "DB_PASSWORD=hunter sesame", "GITHUB_TOKEN=ghp_sesame"]
    steps = [{"created_by": "RUN |2 A=b NPM_TOKEN=npm sesame /bin/sh -c AUTH_TOKEN='npm sesame' npm ci # buildkit"}]
    config = {"config": {"Cmd": ["/file0"], "Env": environment}, "history": steps}
    good, bad = _layout(tmp_path / "good"), _layout(tmp_path / "bad", config=config, layer_types=(DOCKER_GZIP,))
    main(["diff", f"oci-layout:{good.path}", f"oci-layout:{bad.path}", "--format", format_])
    printed = capsys.readouterr().out
    assert "MODE=fast" in printed
    assert "DB_PASSWORD=(not shown)" in printed
    assert "AUTH_TOKEN=(not shown) npm ci" in printed
    assert not re.search("hunter|sesame", printed)


def test_a_failed_comparison_leaves_the_previous_report_as_it_was(pair: tuple[str, str], tmp_path: Path) -> None:
    report = tmp_path / "diff.html"
    report.write_text("the last one")
    assert main(["diff", pair[0], "oci-layout:nowhere", "--format", "html", "-o", str(report)]) == 2
    assert report.read_text() == "the last one"
    assert main(["diff", *pair, "--format", "html", "-o", str(report)]) == 1
    assert report.read_text().startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def test_nothing_is_requested_if_the_report_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as registry:
        assert main(["diff", f"{registry.host}/app:v1", f"{registry.host}/app:v2", "-o", "/nowhere/report"]) == 2
        assert registry.asked == []
    assert "--output /nowhere/report" in capsys.readouterr().err

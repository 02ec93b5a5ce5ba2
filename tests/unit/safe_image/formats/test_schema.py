"""The JSON reports follow the published schema, key by key, and every report says who checked what, when and how."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from image_verifier import __version__
from image_verifier.audit.row import audit_row
from image_verifier.faults import Fault
from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.rules.names import Names
from jsonschema import Draft202012Validator

from safe_image.cli import main
from safe_image.explanations.cause import Blame, Stage
from safe_image.formats import AUDIT_FORMATS, CHECK_FORMATS
from safe_image.formats.audit.audit_facts import AuditFacts
from safe_image.results.check_runner import Outcome
from safe_image.sources.place import Place
from tests.unit.images import Layout
from tests.unit.json_reports import SCHEMA, valid

POLICY = Policy(("fargate",), Platform("linux", "amd64"), max_size=1 << 30, acknowledge={"layer-foreign": "licence"})
ECR = Names(reference="shop:1", registry_id="123456789012", region="eu-west-1", repository="shop", tag="1")
# 2026-05-01T12:00:00Z
EPOCH = str(int(datetime(2026, 5, 1, 12, tzinfo=timezone.utc).timestamp()))


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)


def at_noon(report: Any) -> Any:
    """The report, which the schema accepts, and which was made at noon."""
    assert report["checked_at"] == "2026-05-01T12:00:00Z"
    return valid(report)


def layout(folder: Path, *layer_types: str) -> str:
    made = Layout(folder)
    made.path.mkdir()
    made.source(made.image(layer_types=layer_types or (media_types.DOCKER_LAYER_GZIP,), schema_2=True))
    return f"oci-layout:{folder}"


def outcomes() -> Iterator[Outcome]:
    yield Outcome("shop:1", POLICY, fault=Fault("no answer", "Try again."), names=ECR, construct="Shop/Image")
    yield Outcome("web:1", POLICY, skipped="not ours", places=(Place("task.json", 7, "containers[0].image"),))


def test_the_schema_is_valid_and_describes_every_report_that_it_names() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    described = [one["$ref"].rpartition("/")[2] for one in SCHEMA["oneOf"]]
    assert described == ["check", "audit", "diff", "preflight", "explain", "doctor"]
    assert SCHEMA["$defs"]["cause"]["properties"]["stage"]["enum"] == list(get_args(Stage))
    assert SCHEMA["$defs"]["cause"]["properties"]["blame"]["items"]["enum"] == list(get_args(Blame))


def test_the_report_of_check_follows_the_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = layout(tmp_path / "bad", media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    good, nowhere = layout(tmp_path / "good"), f"oci-layout:{tmp_path}/nowhere"
    options = [
        "--against",
        good,
        "--max-growth",
        "1GiB",
        "--require",
        "non-root-user",
        "--acknowledge",
        "user-is-root=x",
    ]
    main(["check", good, bad, nowhere, "--format", "json", *options])
    report = at_noon(json.loads(capsys.readouterr().out))
    assert [image["verdict"] for image in report["images"]] == ["pass", "fail", "unknown"]
    assert {image["policy"]["against"]["reference"] for image in report["images"]} == {good}
    assert report["images"][0]["policy"]["acknowledge"] == {"user-is-root": "x"}
    assert report["accounts"] == []


def test_an_image_of_ecr_has_its_account_and_one_of_a_file_its_place() -> None:
    text = "".join(CHECK_FORMATS.report("json")(outcomes(), StringIO()))
    report = at_noon(json.loads(text))
    assert report["accounts"] == [{"id": "123456789012", "region": "eu-west-1"}]
    assert [image["account"] for image in report["images"]] == [*report["accounts"], None]
    assert report["images"][1]["places"] == [{"file": "task.json", "line": 7, "path": "containers[0].image"}]


def test_the_report_of_diff_follows_the_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = layout(tmp_path / "bad", media_types.DOCKER_LAYER_GZIP, media_types.DOCKER_LAYER_ZSTD)
    main(["diff", layout(tmp_path / "good"), bad, "--format", "json"])
    report = at_noon(json.loads(capsys.readouterr().out))
    assert report["broken"]
    assert "fargate" in report["policy"]["runs_on"]


@pytest.mark.parametrize("count", [0, 2])
def test_the_report_of_audit_follows_the_schema(count: int) -> None:
    host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
    rows = [audit_row(f"{host}/shop", outcome, users=["a service"]) for outcome in outcomes()][:count]
    text = "".join(AUDIT_FORMATS.report("json")(lambda: rows, AuditFacts.of(POLICY), StringIO()))
    report = at_noon(json.loads(text))
    assert len(report["images"]) == count
    assert report["accounts"] == ([{"id": "123456789012", "region": "eu-west-1"}] if count else [])
    assert report["policy"]["max_size_bytes"] == 1 << 30


def test_sarif_says_who_checked_what_when_and_by_which_policy() -> None:
    text = "".join(CHECK_FORMATS.report("sarif")(outcomes(), StringIO()))
    (run,) = json.loads(text)["runs"]
    assert run["tool"]["driver"]["version"] == __version__
    assert run["invocations"][0]["endTimeUtc"] == "2026-05-01T12:00:00Z"
    image = run["properties"]["images"][0]
    assert (image["reference"], image["verdict"]) == ("shop:1", "unknown")
    assert image["account"] == {"id": "123456789012", "region": "eu-west-1"}
    assert image["policy"]["acknowledge"] == {"layer-foreign": "licence"}


def test_junit_says_who_checked_what_when_and_by_which_policy() -> None:
    text = "".join(CHECK_FORMATS.report("junit")(outcomes(), StringIO()))
    suites = ElementTree.fromstring(text)
    assert suites.get("timestamp") == "2026-05-01T12:00:00"
    facts = {p.get("name"): p.get("value") for p in suites[0].findall("properties/property")}
    assert facts["version"] == f"safe-image {__version__}"
    assert facts["account"] == "123456789012 in eu-west-1"
    assert "accepts layer-foreign (licence)" in (facts["policy"] or "")
    assert suites[1].find("properties/property[@name='place']") is not None


def test_the_page_about_the_command_links_to_the_schema() -> None:
    page = (Path(__file__).parents[4] / "docs" / "command.md").read_text()
    assert "(../safe_image/formats/report.schema.json)" in page

"""Faults of the transport that the matrix does not have: a TLS connection that is cut, and JSON that is too deep."""

from __future__ import annotations

from pathlib import Path

import pytest
from image_verifier import aws

from tests.faults.faulty_aws import FaultyAws, faulty_aws
from tests.faults.scenarios import SECONDS, UNTAG, Scenario
from tests.faults.wire import DEEP, FAULTS
from tests.faults.worlds import LogOfThread, attestation, gone, good, incomplete, index

CREATIONS = [Scenario("Create", image, UNTAG) for image in (good, index, attestation, incomplete, gone)]
CERTIFICATE = Path(__file__).parent.parent / "unit" / "certificates" / "self-signed.pem"


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("call", ["BatchGetImage", "DescribeStacks"])
def test_json_that_is_too_deep_for_python_is_a_doubt(server: FaultyAws, call: str) -> None:
    kind = "Update" if call == "DescribeStacks" else "Create"
    _, outcome = Scenario(kind, gone).run(server, LogOfThread(), SECONDS, call, -1, DEEP)
    assert outcome.verdict == ("refused" if kind == "Update" else "doubt")


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("scenario", CREATIONS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("name", ["half a body", "half a body of no length"])
def test_a_tls_connection_that_ends_without_its_farewell_changes_no_verdict(
    server: FaultyAws, monkeypatch: pytest.MonkeyPatch, scenario: Scenario, name: str
) -> None:
    """OpenSSL reports it, and urllib3 reads it as the end of the body."""
    (fault,) = (fault for fault in FAULTS if fault.name == name)
    calls = ("DescribeImages", "BatchGetImage", "GetDownloadUrlForLayer", "BatchCheckLayerAvailability")
    with faulty_aws(CERTIFICATE) as secured:
        monkeypatch.setenv("AWS_ENDPOINT_URL", secured.url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(CERTIFICATE))
        for call in calls:
            _, outcome = scenario.run(server, LogOfThread(), SECONDS, call, 0, fault, secured)
            assert outcome.verdict == scenario.verdict, call
        aws.client.cache_clear()

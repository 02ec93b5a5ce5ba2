"""A faulty AWS for the verifier, whose pauses before a retry are short here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from image_verifier import aws, retry
from image_verifier.custom_resource import untag

from tests.faults.faulty_aws import REGION, FaultyAws, faulty_aws


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyAws]:
    with faulty_aws() as server:
        for name, value in {
            "AWS_ENDPOINT_URL": server.url,
            "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "KEYSECRET",
            "AWS_DEFAULT_REGION": REGION,
        }.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.002)
        monkeypatch.setattr(retry, "_LONGEST_PAUSE", 0.05)
        # So that also a fault that lasts leaves time for a deletion.
        monkeypatch.setattr(untag, "_SECONDS_TO_READ", 0.1)
        monkeypatch.setattr(untag, "_SECONDS_TO_REMOVE", 0.05)
        aws.client.cache_clear()
        yield server
        aws.client.cache_clear()

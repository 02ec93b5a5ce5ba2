"""A faulty AWS for the verifier, and two ways in which its pauses before a retry take no time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from botocore.config import Config
from image_verifier import aws, retry
from image_verifier.custom_resource import untag

from tests.faults import clock as clocks
from tests.faults.faulty_aws import REGION, FaultyAws, faulty_aws

_EVENTS = "events of "


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
        # An eighth of the matrix's time went into botocore's own text, which it builds anew for each call.
        monkeypatch.setattr(aws, "CLIENT_CONFIG", aws.CLIENT_CONFIG.merge(Config(user_agent="tests")))
        aws.client.cache_clear()
        yield server
        aws.client.cache_clear()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses turn the clock. One event may run at a time."""
    clocks.install(monkeypatch)


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses are short, and time is real. Many events may run at once."""
    monkeypatch.setattr(retry, "_FIRST_PAUSE", 0.002)
    monkeypatch.setattr(retry, "_LONGEST_PAUSE", 0.05)
    # So that also a fault that lasts leaves time for a deletion.
    monkeypatch.setattr(untag, "_SECONDS_TO_READ", 0.1)
    monkeypatch.setattr(untag, "_SECONDS_TO_REMOVE", 0.05)


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Callable[[str, int], None]:
    """Records how many events a test ran, for the summary."""
    return lambda name, events: record_property(_EVENTS + name, events)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many events the tests ran."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    counts = [
        (name.removeprefix(_EVENTS), events)
        for report in reports
        if report.when == "call"
        for name, events in report.user_properties
        if name.startswith(_EVENTS)
    ]
    if counts:
        terminalreporter.section(f"{sum(events for _, events in counts):,} events with a fault")
        for name, events in counts:
            terminalreporter.write_line(f"{events:5} {name}")

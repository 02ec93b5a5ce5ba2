"""One local AWS for the session, with IAM enforced as on the real one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local_aws import LocalAws


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws.start(auth=True) as running:
        running.bootstrap()
        yield running


@pytest.fixture(autouse=True)
def _no_faults_left(aws: LocalAws) -> Iterator[None]:
    yield
    aws.faults.clear()

"""One local AWS for the session, with IAM enforced as on the real one; repositories in it, and journeys of stacks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_aws import LocalAws
from tests.deploy.images import Images
from tests.deploy.journey import Journey
from tests.distributions import COMMAND, CONSTRUCTS, installed

NewImages = Callable[[], Images]
NewJourney = Callable[[str], Journey]


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws.start(auth=True) as running:
        running.bootstrap()
        yield running


@pytest.fixture(autouse=True)
def _no_faults_left(aws: LocalAws) -> Iterator[None]:
    yield
    aws.faults.clear()


@pytest.fixture(scope="module", autouse=True)
def _every_request_is_answered_exactly_once(aws: LocalAws) -> Iterator[None]:
    """Every verification is answered exactly once, unless its Lambda is dead on purpose."""
    aws.reset_custom_resources()
    yield
    for request in aws.custom_resources():
        if "Dead" not in request["properties"]["ServiceToken"]:
            assert len(request["answers"]) == 1, request
            assert len(request["answers"][0].encode()) < 4096, request
            assert request["ignored"] == [], request


@pytest.fixture(scope="session")
def python() -> Path:
    """The interpreter that has the built wheels and nothing of the checkout."""
    return installed(COMMAND, CONSTRUCTS)


@pytest.fixture(scope="session")
def new_images(aws: LocalAws) -> NewImages:
    """Makes a repository."""
    numbers = itertools.count(1)

    def new() -> Images:
        images = Images(aws, f"images-{next(numbers)}")
        aws.client("ecr").create_repository(repositoryName=images.name)
        return images

    return new


@pytest.fixture(scope="session")
def new_journey(aws: LocalAws, python: Path, tmp_path_factory: pytest.TempPathFactory) -> NewJourney:
    """Makes a journey of an app in `apps/`: a stack of a new name, and a folder of its own."""
    numbers = itertools.count(1)

    def new(app: str) -> Journey:
        stack = f"{app.title().replace('_', '')}{next(numbers)}"
        return Journey(aws, python, tmp_path_factory.mktemp(stack), app, stack)

    return new

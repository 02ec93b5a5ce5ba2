"""Listings of AWS are read to their last page, and a listing that never ends is a fault."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from image_verifier import aws
from image_verifier.faults import Fault
from image_verifier.retry import RetryBudget

from tests.unit.aws_server import REGION, Aws, serving_aws


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        yield server


def clusters() -> list[str]:
    client = aws.client("ecs", REGION)
    pages = aws.pages(client, "list_clusters", "the clusters", lambda: RetryBudget.of(5), maxResults=2)
    return [arn for page in pages for arn in page["clusterArns"]]


def test_every_page_is_read_with_the_token_of_the_one_before(server: Aws) -> None:
    answers = {
        None: {"clusterArns": ["a"], "nextToken": "1"},
        "1": {"clusterArns": [], "nextToken": "2"},
        "2": {"clusterArns": ["b"]},
    }
    server.answers["ListClusters"] = lambda asked: answers[asked.get("nextToken")]
    assert clusters() == ["a", "b"]
    assert all(asked["maxResults"] == 2 for action, asked in server.calls if action == "ListClusters")


def test_a_listing_that_repeats_a_page_is_a_fault_and_does_not_go_on_for_ever(server: Aws) -> None:
    follows = {None: "1", "1": "2", "2": "1"}
    server.answers["ListClusters"] = lambda asked: {"clusterArns": [], "nextToken": follows[asked.get("nextToken")]}
    with pytest.raises(Fault, match="list_clusters on the clusters returned a page for the second time"):
        clusters()
    assert len([action for action, _ in server.calls if action == "ListClusters"]) == 3


def test_an_error_that_means_nothing_on_the_first_page_is_a_fault_on_a_later_one(server: Aws) -> None:
    client = aws.client("ecs", REGION)
    budget = partial(RetryBudget.of, 1)
    missing = ("ClusterNotFoundException",)
    refusal = server.refusal("ClusterNotFoundException", "no")
    server.answers["ListTasks"] = refusal
    assert list(aws.pages(client, "list_tasks", "c", budget, missing=missing, cluster="c")) == []
    server.answers["ListTasks"] = lambda asked: refusal if "nextToken" in asked else {"taskArns": [], "nextToken": "1"}
    with pytest.raises(Fault, match="ClusterNotFoundException"):
        list(aws.pages(client, "list_tasks", "c", budget, missing=missing, cluster="c"))

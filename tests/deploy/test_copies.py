"""The first deploy of an image whose stack depends on the stack that runs the image."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_aws import ACCOUNT, REGION, LocalAws
from local_engines.dockerd import DockerEngine
from tests.deploy.conftest import NewJourney

_ASSETS = f"cdk-hnb659fds-container-assets-{ACCOUNT}-{REGION}"


@pytest.mark.parametrize("selection", ["--all", "--exclusively"])
def test_an_image_is_pushed_before_the_stack_that_runs_it_and_cannot_wait(
    aws: LocalAws, new_journey: NewJourney, tmp_path: Path, selection: str
) -> None:
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY Dockerfile /file\nCMD ["/file"]\n')
    journey = new_journey("copies")
    stacks = [journey.stack] if selection == "--exclusively" else []
    with DockerEngine.start() as engine:
        step = journey.cdk(
            "deploy", *stacks, selection, "--require-approval=never", directory=tmp_path, env=engine.env()
        )
    assert step.code == 0, step.output
    assert step.asked == ["Create"]
    (uri,) = step.images.values()
    described = aws.client("ecr").describe_images(
        repositoryName=_ASSETS, imageIds=[{"imageTag": uri.partition(":")[2]}]
    )
    assert len(described["imageDetails"]) == 1
    after = journey.beside(f"{journey.stack}Images").look()
    # The stack of the image only exists if it was selected, and it verifies the same image.
    assert after.asked == (["Create"] if selection == "--all" else [])
    if selection == "--all":
        assert after.outputs["ClusterName"]
        assert min(event["Timestamp"] for event in after.events) > max(event["Timestamp"] for event in step.events)
    assert json.loads(step.requests[0]["answers"][0])["Status"] == "SUCCESS"

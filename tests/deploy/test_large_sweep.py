"""A sweep over 300 repositories with 20,000 images, whose Lambdas die and which is stopped in the middle."""

from __future__ import annotations

import gzip
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import urllib3
from image_verifier.image import media_types
from image_verifier.image.model import sha256

from local_aws import LocalAws
from tests.deploy.conftest import NewJourney
from tests.deploy.sweeps import Sweeps
from tests.deploy.test_registry_sweep import DEADLY
from tests.unit.images import GZIP, tar_of

REPOSITORIES, IMAGES = 300, 20_000
_DEATHS = 10
_BROKEN_IN = 100
_AT_ONCE = 4
_SECONDS = 3600.0


def push(aws: LocalAws, number: int) -> int:
    """Make a repository and push its images; every hundredth is the attestation of a build."""
    client, name = aws.client("ecr"), f"large/{number:03}"
    client.create_repository(repositoryName=name)
    tar = tar_of({"app": b"app"})
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": [sha256(tar)]},
    }
    http = urllib3.PoolManager()
    token = client.get_authorization_token()["authorizationData"][0]["authorizationToken"]

    def blob(content: bytes) -> dict[str, Any]:
        url = f"{aws.endpoint}/v2/{name}/blobs/uploads/?digest={sha256(content)}"
        headers = {"Content-Type": "application/octet-stream", "Authorization": f"Basic {token}"}
        assert http.request("POST", url, body=content, headers=headers).status == 201
        return {"digest": sha256(content), "size": len(content)}

    layer = {"mediaType": GZIP, **blob(gzip.compress(tar, mtime=0))}
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": {"mediaType": media_types.OCI_CONFIG, **blob(json.dumps(config).encode())},
    }
    attestation = {"mediaType": "application/vnd.in-toto+json", **blob(b"{}")}
    images = range(number, IMAGES, REPOSITORIES)
    for image in images:
        # The layer of an attestation: no runtime can pull it.
        layers = [attestation if image % _BROKEN_IN == 0 else layer]
        content = json.dumps({**manifest, "layers": layers, "annotations": {"number": str(image)}})
        client.put_image(repositoryName=name, imageManifest=content, imageTag=str(image))
    return len(images)


@pytest.mark.exhaustive
def test_a_sweep_over_20_000_images_loses_none_when_lambdas_die_and_it_is_resumed(
    aws: LocalAws, new_journey: NewJourney
) -> None:
    began = time.monotonic()

    def report(what: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {what}", flush=True)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        assert sum(pool.map(lambda number: push(aws, number), range(REPOSITORIES))) == IMAGES
    report(f"{IMAGES:,} images in {REPOSITORIES} repositories were pushed")
    journey = new_journey("registry_sweep")
    outputs = journey.deploy(at_once=_AT_ONCE, repository="large/none", repositories="large/*").outputs
    sweeps = Sweeps(aws, outputs["StateMachine"], outputs["Bucket"], f"{journey.stack}-Guard/sweeps/")
    report("the guard was deployed")
    aws.reset_calls()
    aws.faults.latency("ecr:BatchGetImage", DEADLY, times=_DEATHS)
    execution = sweeps.start()
    third = REPOSITORIES // 3
    sweeps.meanwhile(execution, lambda: len(sweeps.keys("")) > third, _SECONDS)
    (plan,) = (key for key in sweeps.keys("") if key.endswith("plan.json"))
    identifier = plan.partition("/")[0]
    aws.client("stepfunctions").stop_execution(executionArn=execution)
    report(f"the sweep was stopped after {len(sweeps.keys(f'{identifier}/results/'))} batches and {_DEATHS} deaths")
    output = sweeps.ended(sweeps.start(id=identifier), _SECONDS)
    report(f"the sweep was resumed and ended: {output}")
    broken = IMAGES // _BROKEN_IN
    assert output == {
        "id": identifier,
        "repositories": REPOSITORIES,
        "images": IMAGES,
        "passed": IMAGES - broken,
        "refused": broken,
        "unknown": 0,
        "skipped": 0,
        "unfinished": 0,
        "new": broken,
        "gone": 0,
    }
    rows = sweeps.rows(identifier)
    assert len({(row["repository"], row["digest"]) for row in rows}) == len(rows) == IMAGES
    aws.reset_calls()
    again = sweeps.ended(sweeps.start(), _SECONDS)
    report(f"the next sweep, of an unchanged registry, ended: {again}")
    assert (again["passed"], again["refused"], again["new"]) == (IMAGES - broken, broken, 0)

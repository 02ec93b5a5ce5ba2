"""The page of one refused push, from the real handlers: `python -m tests.docs.refused_push` writes it.

Event, message, report and the page of the next sweep are what the handlers send to an AWS whose answers are set; only
the IDs are made up. `python -m tests.browser.refused_push` takes the picture of the sweep's page.
"""

from __future__ import annotations

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from image_verifier.entrypoints import registry_sweep
from image_verifier.sweep.settings import VARIABLE, SweepSettings

from tests.unit.aws_server import ACCOUNT, REGION, serving_aws
from tests.unit.ecr_repository import repository
from tests.unit.image_verifier.entrypoints.test_registry_push import Context, Guard

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "registry-guard-push.md"
PICTURE: Final = PAGE.parent / "pictures" / "refused-push.png"


class SweepContext(Context):
    """The context of a sweep's Lambda."""

    invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:Sweep"


@dataclass(frozen=True)
class RefusedPush:
    """One refused push, in each form.

    :param pushed: the event of ECR.
    :param event: the detail of the guard's event.
    :param message: the call that publishes the message.
    :param report: the report.
    :param sweep_page: the HTML page of the next sweep.
    """

    pushed: Any
    event: Any
    message: Any
    report: Any
    sweep_page: str


def refused_push() -> RefusedPush:
    """Push an attestation under a tag, and sweep its repository, which has a healthy image too."""
    with tempfile.TemporaryDirectory() as folder, serving_aws() as aws, pytest.MonkeyPatch.context() as monkeypatch:
        aws.use(monkeypatch)
        aws.answers["PutEvents"] = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
        aws.answers["Publish"] = {"MessageId": "1"}
        aws.answers["DescribeRepositories"] = {"repositories": [{"repositoryName": "shop"}]}
        guard = Guard(aws, repository(aws, Path(folder) / "shop"), monkeypatch)
        guard.shop.push(guard.shop.layout.image(), "1.2")
        guard.shop.push(guard.shop.layout.attestation(), "1.3")
        pushed = guard.event("1.3")
        assert guard.handle(pushed) == []
        (event,), (message,), (report,) = guard.events, guard.messages, guard.reports.values()
        monkeypatch.setenv(VARIABLE, json.dumps(SweepSettings().as_json()))
        sweep = registry_sweep.list_images({"started": "2026-11-16T03:00:00Z", "input": {}}, SweepContext())
        items = aws.objects[f"{guard.settings.bucket}/{sweep['items']}"].splitlines()
        for item in map(json.loads, items):
            registry_sweep.verify_batch({"sweep": sweep, "item": item}, SweepContext())
        registry_sweep.sum_up({"sweep": sweep}, SweepContext())
        html = aws.objects[f"{guard.settings.bucket}/{sweep['folder']}page.html"].decode()
    return RefusedPush(pushed, event, message, report, html)


def page(push: RefusedPush) -> str:
    """The page in the docs, as it must be."""
    # The key ends in a hash of the guard's settings, which may get more members.
    text = _page(push.pushed, push.event, push.message, push.report)
    return re.sub(r"(?<=-1\.3-)[0-9a-f]{12}(?=\.json)", "0123456789ab", text)


def _page(pushed: Any, event: Any, message: Any, report: Any) -> str:
    finding = next(one for one in report["image"]["findings"] if one["id"] == "not-an-image")
    cut = {"runs_on": ["fargate", "…"], "layers": ["…"], "findings": ["…", finding]}
    shown = {**report, "image": {**report["image"], **cut}}
    return f"""\
# One refused push, from the event to the page

A pipeline pushes `shop:1.3`, but the tag points at the attestation of the build. This page shows what a
[RegistryGuard](registry-guard.md) makes of it. A test compares it with the output of the guard's Lambda, and
`python -m tests.docs.refused_push` writes it.

## 1. The event of the push

ECR reports the push on EventBridge's default bus. The rule of the guard sends it to the queue.

{_json(pushed)}

## 2. The event of the refusal

The Lambda puts this detail on the bus: source `cdk-safe-image`, detail type `Image Refused`.

{_json(event)}

## 3. The message

The topic gets it with the subject `{message["Subject"]}`.

```
{chr(10).join(line.rstrip() for line in message["Message"].splitlines())}
```

## 4. The report

It is in the bucket, under the key that event and message name. Runtimes, layers and other findings are left out here.

{_json(shown)}

## 5. The page

The page of the next sweep shows the image among all images of the registry. It is `page.html` beside the sweep's
results, or `safe-image audit --from s3://{event["report"].split("/")[2]}/Guard --format html`. This is its part:

![The refused image on the page of a sweep: its name and digest, the finding {finding["id"]}, the words of the runtime,
and the commands that fix it, each with a button that copies it](pictures/{PICTURE.name})

To see the image with its layers and documents:

```console
$ safe-image check {report["image"]["reference"]} --format html -o page.html
```
"""


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


if __name__ == "__main__":
    PAGE.write_text(page(refused_push()))

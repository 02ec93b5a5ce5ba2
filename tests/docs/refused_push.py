"""The page of one refused push, from the real handler: `python -m tests.docs.refused_push` writes it.

Event, message and report are what the handler sends to an AWS whose answers are set; only the IDs are made up.
"""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any, Final

import pytest

from tests.unit.aws_server import serving_aws
from tests.unit.ecr_repository import repository
from tests.unit.image_verifier.entrypoints.test_registry_push import Guard

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "registry-guard-push.md"


def page() -> str:
    """The page, as it must be."""
    with tempfile.TemporaryDirectory() as folder, serving_aws() as aws, pytest.MonkeyPatch.context() as monkeypatch:
        aws.use(monkeypatch)
        aws.answers["PutEvents"] = {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
        aws.answers["Publish"] = {"MessageId": "1"}
        guard = Guard(aws, repository(aws, Path(folder) / "shop"), monkeypatch)
        guard.shop.push(guard.shop.layout.attestation(), "1.3")
        pushed = guard.event("1.3")
        assert guard.handle(pushed) == []
        (event,), (message,), (report,) = guard.events, guard.messages, guard.reports.values()
    # The key ends in a hash of the guard's settings, which may get more members.
    return re.sub(r"(?<=-1\.3-)[0-9a-f]{12}(?=\.json)", "0123456789ab", _page(pushed, event, message, report))


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

`safe-image check {report["image"]["reference"]} --format html -o page.html` shows the image now, with its layers and
documents. After the next sweep, `safe-image audit --from s3://{event["report"].split("/")[2]}/Guard --format html`
shows it among all images of the registry, as `page.html` beside the sweep's results does. Its part has the badge
*refused*, the digest, and

- the finding `{finding["id"]}` with its runtimes: {finding["message"]}
- the runtime's own words, marked as predicted where they were read in its source,
- *To fix it*, with the commands of the message above, each with a button that copies it.
"""


def _json(value: Any) -> str:
    return f"```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```"


if __name__ == "__main__":
    PAGE.write_text(page())

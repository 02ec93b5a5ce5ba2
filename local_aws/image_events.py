"""ECR's events on EventBridge's default bus, worded as ECR words them.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-eventbridge.html
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Publish = Callable[[dict[str, Any]], None]


class ImageEvents:
    """Sends the events.

    :param publish: puts one entry of PutEvents on the bus.
    """

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def pushed(self, repository: str, digest: str, media_type: str, tag: str | None) -> None:
        """Report a push. A push by digest has no tag."""
        self._send("PUSH", repository, digest, tag, **{"manifest-media-type": media_type})

    def deleted(self, repository: str, digest: str, tag: str | None) -> None:
        """Report that a tag or an image was removed."""
        self._send("DELETE", repository, digest, tag)

    def _send(self, action: str, repository: str, digest: str, tag: str | None, **more: str) -> None:
        detail = {
            "result": "SUCCESS",
            "repository-name": repository,
            "image-digest": digest,
            "action-type": action,
            **({"image-tag": tag} if tag else {}),
            **more,
        }
        self._publish({"Source": "aws.ecr", "DetailType": "ECR Image Action", "Detail": json.dumps(detail)})

"""The one account and region of the local AWS."""

from __future__ import annotations

ACCOUNT = "000000000000"
"""Also the access key of the account's root: ministack reads the caller's account from it."""

REGION = "us-east-1"

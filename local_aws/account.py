"""The one account and region of the local AWS."""

from __future__ import annotations

ACCOUNT = "000000000000"
"""Also the access key of the account's root, which is how ministack tells the account of a caller."""

REGION = "us-east-1"

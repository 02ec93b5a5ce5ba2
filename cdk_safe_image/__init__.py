"""Constructs with which a `cdk deploy` refuses a container image that ECS, Fargate or Lambda cannot pull and start."""

from .asset import SafeDockerImageAsset
from .options import Gate, Pin, RunsOn
from .verification import ImageVerification
from .verifier import ImageVerifier

__all__ = ["Gate", "ImageVerification", "ImageVerifier", "Pin", "RunsOn", "SafeDockerImageAsset"]

"""Constructs with which a `cdk deploy` refuses a container image that ECS, Fargate or Lambda cannot pull and start."""

from image_verifier.findings import FailOn
from image_verifier.properties import OnFailure

from .app_images import Unverified
from .asset import SafeDockerImageAsset
from .image_policy import ImagePolicy
from .options import Compression, Gate, Pin, Require, RunsOn
from .safe_images import SafeImages
from .verification import ImageVerification
from .verifier import ImageVerifier

__all__ = [
    "Compression",
    "FailOn",
    "Gate",
    "ImagePolicy",
    "ImageVerification",
    "ImageVerifier",
    "OnFailure",
    "Pin",
    "Require",
    "RunsOn",
    "SafeDockerImageAsset",
    "SafeImages",
    "Unverified",
]

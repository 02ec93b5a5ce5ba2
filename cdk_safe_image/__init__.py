"""Constructs that make `cdk deploy` refuse a container image that ECS, Fargate or Lambda cannot pull and start."""

from image_verifier.custom_resource.properties import OnFailure
from image_verifier.registry.settings import OnRefused
from image_verifier.report import FailOn
from image_verifier.rules.remedies import BuildOutputs

from .asset import SafeDockerImageAsset
from .guards.registry_guard import RegistryGuard
from .guards.registry_rule import RegistryRule
from .image_policy import ImagePolicy
from .options import Compression, Gate, Pin, Require, RunsOn
from .protection.image_scopes import Unverified
from .protection.safe_images import SafeImages
from .verification import ImageVerification
from .verifier import ImageVerifier

__all__ = [
    "BuildOutputs",
    "Compression",
    "FailOn",
    "Gate",
    "ImagePolicy",
    "ImageVerification",
    "ImageVerifier",
    "OnFailure",
    "OnRefused",
    "Pin",
    "RegistryGuard",
    "RegistryRule",
    "Require",
    "RunsOn",
    "SafeDockerImageAsset",
    "SafeImages",
    "Unverified",
]

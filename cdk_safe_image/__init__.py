"""Constructs that make `cdk deploy` refuse a container image that ECS, Fargate or Lambda cannot pull and start."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from image_verifier.custom_resource.properties import OnFailure
from image_verifier.registry.settings import OnRefused
from image_verifier.report import FailOn
from image_verifier.rules.names import BuildOutputs

from . import cdk_version as cdk_version
from .asset import SafeDockerImageAsset
from .image_policy import ImagePolicy
from .options import Compression, Gate, Pin, Require, RunsOn
from .protection.image_scopes import Unverified
from .protection.safe_images import SafeImages
from .verification import ImageVerification
from .verifier import ImageVerifier

if TYPE_CHECKING:
    from .guards.registry_guard import RegistryGuard
    from .guards.registry_rule import RegistryRule
    from .guards.registry_sweep import RegistrySweep

# Imported on first use: few apps have a guard, whose modules of CDK take a tenth of a second of each synth.
_GUARDS: Final = {"RegistryGuard": "registry_guard", "RegistryRule": "registry_rule", "RegistrySweep": "registry_sweep"}


def __getattr__(name: str) -> object:
    """A guard, on first use."""
    if name not in _GUARDS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.guards.{_GUARDS[name]}"), name)


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
    "RegistrySweep",
    "Require",
    "RunsOn",
    "SafeDockerImageAsset",
    "SafeImages",
    "Unverified",
]

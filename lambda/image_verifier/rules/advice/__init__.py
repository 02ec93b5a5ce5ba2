"""The advice for every finding of the catalog: how to fix it now and for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .config_advice import CONFIGS
from .layer_advice import LAYERS
from .manifest_advice import MANIFESTS
from .policy_advice import POLICIES
from .row import Advice
from .start_advice import STARTS

ADVICE: Final[Mapping[str, Advice]] = {**MANIFESTS, **CONFIGS, **LAYERS, **STARTS, **POLICIES}

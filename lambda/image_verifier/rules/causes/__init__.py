"""The usual cause of every finding of the catalog, for the pages of the docs and for `explain`.

No Lambda imports it: a reason in CloudFormation has no room for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .config_causes import CONFIGS
from .layer_causes import LAYERS
from .manifest_causes import MANIFESTS
from .policy_causes import POLICIES
from .start_causes import STARTS
from .usual_cause import UsualCause

USUAL_CAUSES: Final[Mapping[str, UsualCause]] = {**MANIFESTS, **CONFIGS, **LAYERS, **STARTS, **POLICIES}

"""Every kind of mutation, by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from release.engines import config_mutations, layer_mutations, manifest_mutations
from release.engines.mutation_kinds import BYTES, FACTS, Mutation

# The imports register the mutations.
_MODULES: Final = (layer_mutations, config_mutations, manifest_mutations)
KINDS: Final[Mapping[str, Mutation]] = {**FACTS, **BYTES}

"""The recipes of one run, made from a seed, with enough mutations of every kind."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from release.engines.compare import Recipe
from release.engines.mutations import KINDS


def recipes(seed: int, images: int, of_each_kind: int) -> Sequence[Recipe]:
    """The recipes, which are the same for the same seed. Kinds are dealt from a deck, so that each is equally frequent.

    :param images: minimum of recipes.
    :param of_each_kind: minimum of mutations of each kind.
    """
    rng = random.Random(seed)
    made: list[Recipe] = []
    deck: list[str] = []
    dealt = Counter(dict.fromkeys(KINDS, 0))
    while len(made) < images or min(dealt.values()) < of_each_kind:
        mutations = []
        for _ in range(rng.choice((0, 1, 1, 1, 1, 2, 2, 2))):
            deck = deck or rng.sample(list(KINDS), len(KINDS))
            mutations.append((deck.pop(), rng.randrange(1_000_000)))
        dealt.update(kind for kind, _ in mutations)
        made.append(Recipe(rng.randrange(1_000_000_000), tuple(mutations)))
    return made

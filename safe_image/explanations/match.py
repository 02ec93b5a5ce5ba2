"""Find in a text the wordings that are in it, and of those the ones that say most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .normalize import squashed, uncut, unwrapped
from .patterns import NOTHING, Wording, wordings

# How much may stand between two parts of a wording: names, addresses, digests, some of them together.
_WIDEST: Final = 1_000
# How often a wording's beginning is looked for; a log repeats itself.
_MOST_BEGINNINGS: Final = 200
# How much may stand where a wording was cut off: a name and its digest.
_WIDEST_OF_A_CUT: Final = 300
# How much of a part says that it is that one's beginning, and no chance.
_LEAST_OF_A_PART: Final = 4
# How much of a wording that was cut off must be there.
_LEAST_OF_A_CUT: Final = 16


@dataclass(frozen=True)
class Match:
    """A wording that is in a text.

    :param start: where it begins in the squashed text.
    :param end: where it ends.
    :param said: how many of its own characters are there.
    :param whole: whether it is all there; a console may have cut it off.
    """

    wording: Wording
    start: int
    end: int
    said: int
    whole: bool


def recognised(text: str) -> tuple[Match, ...]:
    """The wordings that a text holds, the one that says most first.

    :param text: as it was shown.
    """
    seen = uncut(squashed(unwrapped(text)))
    found = [match for wording in wordings() if (match := _match(wording, seen))]
    # What was cut off counts where nothing whole is there, and what leaves open what went wrong, where nothing tells.
    named = [match for match in found if not match.wording.is_open]
    matches = [match for match in named if match.whole] or named or _unless_wrapping(found)
    telling = [match for match in matches if not any(_says_more(other, match) for other in matches)]
    return tuple(sorted(telling, key=lambda match: -match.said))


def causes(text: str) -> tuple[str, ...]:
    """What a text can mean, likeliest first.

    :param text: as it was shown.
    """
    return tuple(dict.fromkeys(cause for match in recognised(text) for cause in match.wording.causes))


def _says_more(other: Match, match: Match) -> bool:
    """Whether a match is only a part of another one."""
    return other.start <= match.start and match.end <= other.end and other.said > match.said


def _unless_wrapping(matches: list[Match]) -> list[Match]:
    return [match for match in matches if match.wording.causes != NOTHING] or matches


def _match(wording: Wording, text: str) -> Match | None:
    first, *rest = wording.parts
    start = text.find(first)
    cut = None
    for _ in range(_MOST_BEGINNINGS):
        if start < 0:
            break
        match = _from(wording, text, start, rest)
        if match and match.whole:
            return match
        cut = cut or match
        start = text.find(first, start + 1)
    return cut or _cut_in_the_first(wording, text)


def _from(wording: Wording, text: str, start: int, rest: list[str]) -> Match | None:
    end = start + len(wording.parts[0])
    said = len(wording.parts[0])
    for part in rest:
        place = text.find(part, end, end + _WIDEST + len(part))
        if place < 0:
            there = _beginning_at_the_end(part, text, end)
            begun = there >= _LEAST_OF_A_PART or _is_one_name(text[end : len(text) - there])
            enough = said + there >= _LEAST_OF_A_CUT and begun
            return Match(wording, start, len(text), said + there, False) if enough else None
        end = place + len(part)
        said += len(part)
    return Match(wording, start, end, said, True)


def _is_one_name(rest: str) -> bool:
    """Whether nothing but a name or a digest is left before the cut, so that what comes after it cannot be known."""
    return len(rest) <= _WIDEST_OF_A_CUT and ":" not in rest.replace("sha256:", "")


def _cut_in_the_first(wording: Wording, text: str) -> Match | None:
    there = _beginning_at_the_end(wording.parts[0], text, 0)
    return Match(wording, len(text) - there, len(text), there, False) if there >= _LEAST_OF_A_CUT else None


def _beginning_at_the_end(part: str, text: str, start: int) -> int:
    """How much of a part's beginning is the text's end."""
    longest = min(len(part) - 1, len(text) - start)
    return next((length for length in range(longest, 0, -1) if text.endswith(part[:length])), 0)

"""Find the causes whose words a text has, the one that says most first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from .cause import Cause, Words
from .knowledge import KNOWLEDGE
from .normalize import readings, segments

# How much may stand between two parts of a text: names, addresses, digests.
_WIDEST: Final = 600
# How often a text's beginning is looked for; a log repeats itself.
_MOST_BEGINNINGS: Final = 200
# How far away words may stand and still be beside a text, in squashed characters.
_BESIDE: Final = 500
# How much may stand where a text was cut off: a name and its digest.
_WIDEST_OF_A_CUT: Final = 300
# How much of a part shows that it is that part's beginning, and not chance.
_LEAST_OF_A_PART: Final = 4
# How much of a text that was cut off must be there.
_LEAST_OF_A_CUT: Final = 16
# How much of it must be there where not even its first part is complete.
_LEAST_OF_A_BEGINNING: Final = 24
_MOST_CAUSES: Final = 3

_GRADES: Final = {"cause": 0, "finding": 1, "frame": 2, "wrapper": 3}


@dataclass(frozen=True)
class Match:
    """A cause's words, found in a text.

    :param first: whether the words mean this cause before anything else.
    :param start: where they begin in the squashed text.
    :param end: where they end.
    :param length: how many of the words' own characters are there.
    :param whole: whether all of the words are there; a console may have cut them off.
    """

    cause: Cause
    words: Words
    first: bool
    start: int
    end: int
    length: int
    whole: bool

    @property
    def order(self) -> tuple[int, int, bool, bool]:
        """The most specific comes first: of equal words the first cause, and the one that needs others beside them."""
        return (_GRADES[self.cause.specificity], -self.length, not self.first, not self.words.beside)


def matches(text: str) -> tuple[Match, ...]:
    """The causes whose words a text has, each once, the most specific first.

    :param text: as it was shown.
    """
    read = readings(text)
    found = [match for reading in read for match in _specific(_whole(reading))]
    if all(_GRADES[match.cause.specificity] > 1 for match in found):
        frames = [match.length for match in found if match.cause.specificity == "frame"]
        # What is left of a text that was cut off must say more than the frame that many causes have.
        cuts = [m for part in segments(text) for m in _cut(part) if m.length > max(frames, default=0)]
        found = [match for match in cuts if _GRADES[match.cause.specificity] < 2] or found or cuts
    best: dict[str, Match] = {}
    for match in sorted(found, key=lambda match: match.order):
        best.setdefault(match.cause.id, match)
    return tuple(best.values())


def likely(found: Sequence[Match]) -> tuple[Match, ...]:
    """At most three causes to report: of a frame or a wrapper, only one, and none beside a more specific one.

    :param found: all matches, the most specific first.
    """
    told: list[Match] = []
    covered: set[str] = set()
    for match in found:
        if told and (_GRADES[match.cause.specificity] > 1 or set(match.cause.findings) & covered):
            continue
        told.append(match)
        covered.update(match.cause.findings)
    return tuple(told[:_MOST_CAUSES])


def _whole(text: str) -> Iterable[Match]:
    for cause in KNOWLEDGE:
        for words, first in cause.all_words:
            span = _span(words, text)
            if span:
                yield Match(cause, words, first, *span, sum(map(len, words.parts)), True)


def _specific(found: Iterable[Match]) -> list[Match]:
    """Without the words that are only a part of other, longer words of the text that are at least as specific."""
    known = list(found)
    return [match for match in known if not any(_contains(other, match) for other in known)]


def _contains(other: Match, match: Match) -> bool:
    specific = _GRADES[other.cause.specificity] <= _GRADES[match.cause.specificity]
    return specific and other.length > match.length and other.start <= match.start and match.end <= other.end


def _span(words: Words, text: str) -> tuple[int, int] | None:
    first, *rest = words.parts
    start = text.find(first)
    for _ in range(_MOST_BEGINNINGS):
        if start < 0:
            return None
        end = _end(rest, text, start + len(first))
        if end and _fits(words, text, start, end):
            return start, end
        start = text.find(first, start + 1)
    return None


def _end(rest: Sequence[str], text: str, end: int) -> int | None:
    for part in rest:
        place = text.find(part, end, end + _WIDEST + len(part))
        if place < 0:
            return None
        end = place + len(part)
    return end


def _fits(words: Words, text: str, start: int, end: int) -> bool:
    around = text[max(0, start - _BESIDE) : end + _BESIDE]
    if words.beside and not re.search(words.beside, around):
        return False
    return not (words.unless and re.search(words.unless, around))


def _cut(text: str) -> Iterable[Match]:
    """The words whose beginning is the text's end."""
    for cause in KNOWLEDGE:
        for words, first in cause.all_words:
            cut = _cut_words(words, text)
            if cut and _fits(words, text, cut[0], len(text)):
                yield Match(cause, words, first, cut[0], len(text), cut[1], False)


def _cut_words(words: Words, text: str) -> tuple[int, int] | None:
    first, *rest = words.parts
    start = text.rfind(first)
    if start < 0:
        there = _beginning_at_the_end(first, text, 0)
        return (len(text) - there, there) if there >= _LEAST_OF_A_BEGINNING else None
    end = start + len(first)
    length = len(first)
    for part in rest:
        place = text.find(part, end, end + _WIDEST + len(part))
        if place < 0:
            there = _beginning_at_the_end(part, text, end)
            begun = there >= _LEAST_OF_A_PART or _is_one_name(text[end : len(text) - there])
            return (start, length + there) if length + there >= _LEAST_OF_A_CUT and begun else None
        end, length = place + len(part), length + len(part)
    return None


def _is_one_name(rest: str) -> bool:
    """Whether nothing but a name or a digest is left before the cut, so that what comes after it cannot be known."""
    return len(rest) <= _WIDEST_OF_A_CUT and ":" not in rest.replace("sha256:", "")


def _beginning_at_the_end(part: str, text: str, start: int) -> int:
    """How much of a part's beginning is the text's end."""
    longest = min(len(part) - 1, len(text) - start)
    return next((length for length in range(longest, 0, -1) if text.endswith(part[:length])), 0)

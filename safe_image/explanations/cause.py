"""A cause: what happened, at which stage, who is to blame, how to confirm it and how to fix it.

A row of the knowledge base is a `Cause`. Its `words` are the texts by which it is recognised.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, Literal

from .normalize import squashed

Stage = Literal["build", "push", "resolve", "pull", "unpack", "create", "start", "run", "place", "other"]
Blame = Literal[
    "image",
    "build machine",
    "base image",
    "registry",
    "network",
    "permissions",
    "quota",
    "host engine",
    "task definition",
    "application",
    "nobody",
    "unknown",
]
Specificity = Literal["cause", "finding", "frame", "wrapper"]

HOLE: Final = re.compile(r"\{[a-z_0-9]+\}|…")


@dataclass(frozen=True)
class Words:
    """One text by which a cause is recognised.

    :param text: the text; `{name}` and `…` stand for names and numbers that differ each time.
    :param beside: what must be found near it: a pattern for squashed text, one of `contexts`; empty requires nothing.
    :param unless: what must not be found near it; empty forbids nothing.
    :param source: where the words are known from; empty for the cause's own first source.
    """

    text: str
    beside: str = ""
    unless: str = ""
    source: str = ""

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """The parts between the holes, squashed."""
        return tuple(filter(None, map(squashed, HOLE.split(self.text))))


def near(context: str, *texts: str, unless: str = "") -> tuple[Words, ...]:
    """Texts that count only beside other words, since applications use them too.

    :param context: what must be found near them, one of `contexts`.
    :param texts: the texts.
    :param unless: what must not be found near them.
    """
    return tuple(Words(text, context, unless) for text in texts)


def unless(context: str, *texts: str) -> tuple[Words, ...]:
    """Texts that mean something else beside other words.

    :param context: what must not be found near them, one of `contexts`.
    :param texts: the texts.
    """
    return tuple(Words(text, unless=context) for text in texts)


def seen(source: str, *texts: str) -> tuple[Words, ...]:
    """Texts that are known from another source than the cause's own first one.

    :param source: a URL.
    :param texts: the texts.
    """
    return tuple(Words(text, source=source) for text in texts)


@dataclass(frozen=True)
class Cause:
    """One thing that can have happened.

    Lines that begin with `$ ` are commands. `{image}`, `{region}`, `{registry_id}`, `{repository}`, `{registry}` and
    `{platform}` are filled in from the text, and a line is left out where the text does not have the name.

    :param id: short and stable.
    :param title: what happened, in one sentence.
    :param meaning: why it happens, in plain words.
    :param stage: the stage that failed.
    :param blame: who is to blame, most likely first.
    :param words: the texts that mean this before anything else.
    :param also: texts that can mean this too, and mean something else first.
    :param confirm: how to find out whether it is this.
    :param remedy: how to fix it now. No line deletes anything: only a check of the image justifies that.
    :param prevention: how to fix it for good.
    :param sources: URLs.
    :param findings: the findings of `safe-image check` that give these texts; empty where no image is to blame.
    :param specificity: `cause`; `finding`, it is a finding's own text; `frame`, the text says where it failed and not
        why; `wrapper`, the text says only that it failed.
    """

    id: str
    title: str
    meaning: str
    stage: Stage
    blame: tuple[Blame, ...]
    words: tuple[str | Words, ...] = ()
    also: tuple[str | Words, ...] = ()
    confirm: tuple[str, ...] = ()
    remedy: tuple[str, ...] = ()
    prevention: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    specificity: Specificity = "cause"

    @property
    def all_words(self) -> Iterable[tuple[Words, bool]]:
        """Each text, and whether it means this before anything else."""
        yield from ((_words(words), True) for words in self.words)
        yield from ((_words(words), False) for words in self.also)

    def filled(self, names: Mapping[str, str]) -> Cause:
        """The cause with its commands filled in.

        :param names: what is known, by placeholder.
        """
        return replace(
            self,
            confirm=_filled(self.confirm, names),
            remedy=_filled(self.remedy, names),
            prevention=_filled(self.prevention, names),
        )


def _words(words: str | Words) -> Words:
    return words if isinstance(words, Words) else Words(words)


_PLACEHOLDER: Final = re.compile(r"\{(image|region|registry_id|repository|registry|platform|runs_on)\}")


def _filled(lines: tuple[str, ...], names: Mapping[str, str]) -> tuple[str, ...]:
    known = [line for line in lines if all(names.get(name) for name in _PLACEHOLDER.findall(line))]
    return tuple(_PLACEHOLDER.sub(lambda match: names[match[1]], line) for line in known)

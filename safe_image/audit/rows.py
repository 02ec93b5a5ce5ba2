"""The rows of an audit: what is in use first, then every other tagged image, several repositories at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Queue
from threading import Lock, Thread
from typing import Final

from image_verifier.faults import Fault
from image_verifier.image.model import Platform
from image_verifier.image.references import Reference
from image_verifier.policy import Policy
from image_verifier.pool import Pool, taken
from image_verifier.sources.ecr_image import downloads
from image_verifier.text import printable

from ..formats.audit.audit_row import Row, audit_row
from ..results.check_runner import Outcome, run_checks
from ..sources.aws_sessions import AwsSessions, Endpoint
from ..sources.targets import ECR_HOST, TargetResolver
from .in_use import in_ecs, in_lambda
from .repositories import Repository
from .sweep import Sweep

# Of how many repositories the images are settings for at once, and how many rows wait to be told.
_REPOSITORIES: Final = 4
_ROWS: Final = 256
# Each image is two round trips, one after the other: so many of them wait at a time.
_THREADS: Final = 32


@dataclass(frozen=True)
class AuditSettings:
    """What an audit asks.

    :param policy: what is settings of each image.
    :param own_runtime: whether an image in use is judged for where it is used, and not for the policy's `runs_on`.
    :param own_platform: whether an image is judged for the platform that its users ask for or, in use or not, that it
        is for, and not for the policy's.
    :param debug: whether tracebacks of what could not be told are printed.
    """

    policy: Policy
    own_runtime: bool
    own_platform: bool
    debug: bool


def audit_rows(
    sessions: AwsSessions,
    repositories: Sequence[Repository],
    settings: AuditSettings,
    *,
    in_use: bool,
    knows: Callable[[str, str], bool],
) -> Iterator[Row]:
    """The rows of an audit.

    :param repositories: those whose images are settings for; none for the images in use alone.
    :param in_use: whether to ask who uses what.
    :param knows: whether the image of a digest in a repository (by its URI) has its row already.
    """
    if in_use:
        yield from _rows_in_use(sessions, repositories, settings)
    yield from _swept_rows(repositories, sessions, settings, knows)


def _rows_in_use(sessions: AwsSessions, repositories: Sequence[Repository], settings: AuditSettings) -> Iterator[Row]:
    """The rows of the images in use; of those in no ECR it is only said that they are there."""
    users: dict[tuple[str, str], dict[str, str]] = {}
    elsewhere = set()
    for name, ask in (("ECS", in_ecs), ("Lambda", in_lambda)):
        try:
            found = ask(sessions)
        except Fault as fault:
            yield audit_row("", Outcome(f"what {name} uses", settings.policy, fault=fault))
            continue
        for use in found:
            place = _in_ecr(use.image)
            if place is None:
                elsewhere.add(use.image)
            elif not repositories or place in {(r.region, r.registry_id, r.name) for r in repositories}:
                platform = use.platform if settings.own_platform and use.platform else str(settings.policy.platform)
                users.setdefault((use.image, platform), {})[use.user] = use.runtime
    if elsewhere:
        others = printable(", ".join(sorted(elsewhere)))
        print(f"safe-image: in use and not in ECR, so not told of here: {others}", file=sys.stderr, flush=True)
    judged: dict[tuple[str, str], Row] = {}
    for (reference, platform), outcome in _check_uses(users, settings):
        parsed = Reference.parse(reference)
        who = list(users[reference, platform])
        row = audit_row(f"{parsed.registry}/{parsed.repository}", outcome, users=who)
        row["tags"] = [parsed.tag] if parsed.tag else []
        # By its tag and by its digest, it is one image.
        known = judged.setdefault((f"{row['repository']}@{row['digest'] or reference}", platform), row)
        known["in_use_by"] = list(dict.fromkeys((*known["in_use_by"], *who)))
    yield from judged.values()


def _check_uses(
    users: Mapping[tuple[str, str], Mapping[str, str]], settings: AuditSettings
) -> Iterator[tuple[tuple[str, str], Outcome]]:
    """The outcome of each reference on each platform."""
    resolver = TargetResolver()
    targets = []
    for (reference, platform), who in users.items():
        runs_on = tuple(sorted(set(who.values()))) if settings.own_runtime else settings.policy.runs_on
        policy = replace(settings.policy, runs_on=runs_on, platform=Platform.parse(platform))
        targets.append((resolver.target(reference, platform), policy))
    return zip(users, run_checks(targets, settings.debug, lambda: None), strict=True)


def _in_ecr(reference: str) -> tuple[str, str, str] | None:
    try:
        parsed = Reference.parse(reference)
    except ValueError:
        return None
    host = ECR_HOST.fullmatch(parsed.registry)
    return (host["region"], host["account"], parsed.repository) if host else None


def _swept_rows(
    repositories: Iterable[Repository],
    sessions: AwsSessions,
    settings: AuditSettings,
    knows: Callable[[str, str], bool],
) -> Iterator[Row]:
    """The rows of the repositories' tagged images, as they come."""
    http = downloads()
    at_once = 1 if settings.policy.verify_layers else _REPOSITORIES
    with Pool(_THREADS) as pool:

        def swept(repository: Repository) -> Iterator[Row]:
            try:
                client = sessions.client("ecr", Endpoint(repository.region))
                sweep = Sweep(client, repository, settings.policy, settings.own_platform, pool, http, settings.debug)
                yield from sweep.run(partial(knows, repository.uri), partial(audit_row, repository.uri))
            except Fault as fault:
                yield audit_row(repository.uri, Outcome(repository.uri, settings.policy, fault=fault))

        yield from _merged((partial(swept, repository) for repository in repositories), at_once)


def _merged(sources: Iterator[Callable[[], Iterator[Row]]], at_once: int) -> Iterator[Row]:
    """What several sources give, as it comes; a few of them at a time."""
    rows: Queue[Row | BaseException | None] = Queue(_ROWS)
    lock = Lock()

    def work() -> None:
        try:
            while True:
                with lock:
                    source = next(sources, None)
                if source is None:
                    return
                for row in source():
                    rows.put(row)
        except BaseException as e:
            rows.put(e)
        finally:
            rows.put(None)

    # Daemons: whoever stops reading must not wait for them.
    workers = [Thread(target=work, daemon=True) for _ in range(at_once)]
    for worker in workers:
        worker.start()
    left = len(workers)
    while left:
        told = taken(rows)
        if told is None:
            left -= 1
        elif isinstance(told, BaseException):
            raise told
        else:
            yield told

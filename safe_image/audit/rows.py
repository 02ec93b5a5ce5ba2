"""The rows of an audit: images in use first, then every other tagged image, several repositories at a time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from queue import Queue
from threading import Lock, Thread
from typing import Final

from image_verifier.audit.batches import Answer, Batches
from image_verifier.audit.judging import Judged, VerifyBy, by_policy
from image_verifier.audit.repository import Repository
from image_verifier.audit.repository_audit import RepositoryAudit
from image_verifier.audit.row import Row, audit_row
from image_verifier.faults import Fault
from image_verifier.image.ecr_hosts import ECR_HOST
from image_verifier.image.model import Platform
from image_verifier.image.references import Reference
from image_verifier.policy import Policy
from image_verifier.pool import Pool, next_item
from image_verifier.running.ecs_uses import uses_in_ecs
from image_verifier.running.image_use import ImageUse
from image_verifier.running.lambda_uses import uses_in_lambda
from image_verifier.sources.ecr_image import downloads
from image_verifier.text import printable

from ..results.check_runner import Outcome, run_checks
from ..sources.aws_sessions import AwsSessions, Endpoint
from ..sources.targets import TargetResolver

# The number of repositories that are read at once, and of rows that wait in the queue.
_REPOSITORIES: Final = 4
_ROWS: Final = 256
# The number of images that are read at once; each takes two round trips, one after the other.
_THREADS: Final = 32


@dataclass(frozen=True)
class AuditSettings:
    """The settings of an audit.

    :param policy_for: gives the policy of the image or the repository of these names; without a name, that of all.
    :param own_runtime: whether an image of these names that is in use is verified for the runtimes of its users instead
        of `runs_on`.
    :param own_platform: whether an image of these names is verified for the platform of its users, or else for its own
        platform, instead of the policy's.
    :param debug: whether tracebacks of faults are printed.
    """

    policy_for: Callable[..., Policy]
    own_runtime: Callable[..., bool]
    own_platform: Callable[..., bool]
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

    :param sessions: the AWS sessions.
    :param repositories: the repositories; empty for only the images in use.
    :param settings: the settings.
    :param in_use: whether ECS and Lambda are called for the images in use.
    :param knows: whether an image, by its repository's URI and its digest, already has a row.
    """
    if in_use:
        yield from _rows_in_use(sessions, repositories, settings)
    yield from _swept_rows(repositories, sessions, settings, knows)


def _rows_in_use(sessions: AwsSessions, repositories: Sequence[Repository], settings: AuditSettings) -> Iterator[Row]:
    """The rows of the images in use. Images outside of ECR are only listed on standard error."""
    users: dict[tuple[str, str], list[ImageUse]] = {}
    elsewhere = set()
    for name, service, uses_in in (("ECS", "ecs", uses_in_ecs), ("Lambda", "lambda", uses_in_lambda)):
        try:
            found = [use for use in uses_in(sessions.client(service)) if not use.is_for_windows]
        except Fault as fault:
            yield audit_row("", Outcome(f"images in use by {name}", settings.policy_for(), fault=fault))
            continue
        for use in found:
            place = _in_ecr(use.pinned)
            if place is None:
                elsewhere.add(use.pinned)
            elif not repositories or place in {(r.region, r.registry_id, r.name) for r in repositories}:
                own = use.platform if settings.own_platform(*_names(use)) else ""
                platform = own or str(settings.policy_for(*_names(use)).platform)
                users.setdefault((use.pinned, platform), []).append(use)
    if elsewhere:
        others = printable(", ".join(sorted(elsewhere)))
        print(f"safe-image: in use, but not verified, since they are not in ECR: {others}", file=sys.stderr, flush=True)
    judged: dict[tuple[str, str], Row] = {}
    for (reference, platform), outcome in _check_uses(users, settings):
        parsed = Reference.parse(reference)
        who = list(dict.fromkeys(use.user for use in users[reference, platform]))
        row = audit_row(f"{parsed.registry}/{parsed.repository}", outcome, users=who)
        row["tags"] = [parsed.tag] if parsed.tag else []
        # A reference by tag and one by digest are one image.
        known = judged.setdefault((f"{row['repository']}@{row['digest'] or reference}", platform), row)
        known["in_use_by"] = list(dict.fromkeys((*known["in_use_by"], *who)))
    yield from judged.values()


def _check_uses(
    users: Mapping[tuple[str, str], Sequence[ImageUse]], settings: AuditSettings
) -> Iterator[tuple[tuple[str, str], Outcome]]:
    """The outcome of each reference on each platform."""
    resolver = TargetResolver()
    targets = []
    for (reference, platform), uses in users.items():
        names = [name for use in uses for name in _names(use)]
        policy = settings.policy_for(*names)
        runs_on = tuple(sorted({use.runtime for use in uses})) if settings.own_runtime(*names) else policy.runs_on
        policy = replace(policy, runs_on=runs_on, platform=Platform.parse(platform))
        targets.append((resolver.target(reference, platform), policy))
    return zip(users, run_checks(targets, settings.debug, lambda: None), strict=True)


def _names(use: ImageUse) -> tuple[str, str]:
    """The names of an image in use, for the sections of a configuration: with the tag, and with the digest."""
    return use.reference, use.pinned


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
    at_once = 1 if settings.policy_for().verify_layers else _REPOSITORIES
    with Pool(_THREADS) as pool:

        def swept(repository: Repository) -> Iterator[Row]:
            policy = settings.policy_for(repository.uri)
            try:
                client = sessions.client("ecr", Endpoint(repository.region))
                policies = _ImagePolicies(settings, repository.uri)
                audit = RepositoryAudit(client, repository, policy, policies.judge, pool, http, debug=settings.debug)
                tagged = Batches(client, repository).tagged()
                unknown = (details for details in tagged if not knows(repository.uri, details["imageDigest"]))
                yield from audit.run(map(policies.expect, unknown), partial(audit_row, repository.uri))
            except Fault as fault:
                yield audit_row(repository.uri, Outcome(repository.uri, policy, fault=fault))

        yield from _merge((partial(swept, repository) for repository in repositories), at_once)


class _ImagePolicies:
    """The policies of a repository's images: a section of the configuration may have settings for some of them.

    :param settings: the settings.
    :param uri: the repository's URI.
    """

    def __init__(self, settings: AuditSettings, uri: str) -> None:
        self._settings, self._uri = settings, uri
        self._all = self._rules_for(uri)
        self._others: dict[str, tuple[Policy, bool]] = {}
        # Reading an image's layers takes a whole machine.
        self._reading_layers = Lock()

    def expect(self, details: Answer) -> Answer:
        """Note the policy of an image that is verified next.

        :param details: DescribeImages' answer for it.
        :returns: the same.
        """
        tags = details["imageTags"]
        names = (self._uri, f"{self._uri}@{details['imageDigest']}", *(f"{self._uri}:{tag}" for tag in tags))
        rules = self._rules_for(*names)
        if rules != self._all:
            self._others[min(tags)] = rules
        return details

    def judge(self, tags: Sequence[str], verify_by: VerifyBy) -> Judged:
        """Judge the image of some tags."""
        policy, own_platform = self._others.get(min(tags), self._all)
        judge = by_policy(policy, own_platform=own_platform)
        if not policy.verify_layers:
            return judge(tags, verify_by)
        with self._reading_layers:
            return judge(tags, verify_by)

    def _rules_for(self, *names: str) -> tuple[Policy, bool]:
        return self._settings.policy_for(*names), self._settings.own_platform(*names)


def _merge(sources: Iterator[Callable[[], Iterator[Row]]], at_once: int) -> Iterator[Row]:
    """The rows of several sources as they come, from `at_once` sources at a time."""
    rows: Queue[Row | BaseException | None] = Queue(_ROWS)
    lock = Lock()
    # Daemons: the end of the run must not wait for them.
    workers = [Thread(target=_work, args=(sources, lock, rows), daemon=True) for _ in range(at_once)]
    for worker in workers:
        worker.start()
    running = len(workers)
    while running:
        row = next_item(rows)
        if row is None:
            running -= 1
        elif isinstance(row, BaseException):
            raise row
        else:
            yield row


def _work(sources: Iterator[Callable[[], Iterator[Row]]], lock: Lock, rows: Queue[Row | BaseException | None]) -> None:
    """Put the rows of one source after the other into the queue, then an exception, if any, and None at the end."""
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

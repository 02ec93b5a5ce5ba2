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

from ..check_runner import Outcome, run_checks
from ..formats.check.json_report import image
from ..sources.aws_sessions import AwsSessions, Endpoint
from ..sources.targets import ECR_HOST, Sources
from .batches import Answer
from .in_use import in_ecs, in_lambda
from .repositories import Repository
from .state import Row
from .sweep import Sweep

# Of how many repositories the images are asked for at once, and how many rows wait to be told.
_REPOSITORIES: Final = 4
_ROWS: Final = 256
# Each image is two round trips, one after the other: so many of them wait at a time.
_THREADS: Final = 32


@dataclass(frozen=True)
class Asked:
    """What an audit asks.

    :param policy: what is asked of each image.
    :param own_runtime: whether an image in use is judged for where it is used, and not for the policy's `runs_on`.
    :param own_platform: whether an image is judged for the platform that its users ask for or, in use or not, that it
        is for, and not for the policy's.
    :param debug: whether tracebacks of what could not be told are printed.
    """

    policy: Policy
    own_runtime: bool
    own_platform: bool
    debug: bool


def _row(repository: str, outcome: Outcome, details: Answer | None = None, users: Sequence[str] = ()) -> Row:
    row = image(outcome)
    # Of thousands of images, nobody reads the layers here: `check` shows one image's.
    del row["layers"]
    details = details or {}
    pushed = details.get("imagePushedAt")
    return {
        **row,
        "digest": row["digest"] or details.get("imageDigest"),
        "repository": repository,
        "tags": sorted(details.get("imageTags", ())),
        "pushed_at": pushed.isoformat() if pushed else None,
        "in_use_by": list(users),
    }


def rows(
    accounts: AwsSessions,
    repositories: Sequence[Repository],
    asked: Asked,
    *,
    in_use: bool,
    knows: Callable[[str, str], bool],
) -> Iterator[Row]:
    """The rows of an audit.

    :param repositories: those whose images are asked for; none for the images in use alone.
    :param in_use: whether to ask who uses what.
    :param knows: whether the image of a digest in a repository (by its URI) has its row already.
    """
    if in_use:
        yield from _used(accounts, repositories, asked)
    yield from _swept(repositories, accounts, asked, knows)


def _used(accounts: AwsSessions, repositories: Sequence[Repository], asked: Asked) -> Iterator[Row]:
    """The rows of the images in use; of those in no ECR it is only said that they are there."""
    users: dict[tuple[str, str], dict[str, str]] = {}
    elsewhere = set()
    for name, ask in (("ECS", in_ecs), ("Lambda", in_lambda)):
        try:
            found = ask(accounts)
        except Fault as fault:
            yield _row("", Outcome(f"what {name} uses", asked.policy, fault=fault))
            continue
        for use in found:
            place = _in_ecr(use.image)
            if place is None:
                elsewhere.add(use.image)
            elif not repositories or place in {(r.region, r.registry_id, r.name) for r in repositories}:
                platform = use.platform if asked.own_platform and use.platform else str(asked.policy.platform)
                users.setdefault((use.image, platform), {})[use.user] = use.runtime
    if elsewhere:
        others = printable(", ".join(sorted(elsewhere)))
        print(f"safe-image: in use and not in ECR, so not told of here: {others}", file=sys.stderr, flush=True)
    judged: dict[tuple[str, str], Row] = {}
    for (reference, platform), outcome in _outcomes(users, asked):
        parsed = Reference.parse(reference)
        who = list(users[reference, platform])
        row = _row(f"{parsed.registry}/{parsed.repository}", outcome, users=who)
        row["tags"] = [parsed.tag] if parsed.tag else []
        # By its tag and by its digest, it is one image.
        known = judged.setdefault((f"{row['repository']}@{row['digest'] or reference}", platform), row)
        known["in_use_by"] = list(dict.fromkeys((*known["in_use_by"], *who)))
    yield from judged.values()


def _outcomes(
    users: Mapping[tuple[str, str], Mapping[str, str]], asked: Asked
) -> Iterator[tuple[tuple[str, str], Outcome]]:
    """The outcome of each reference on each platform."""
    sources = Sources()
    targets = []
    for (reference, platform), who in users.items():
        runs_on = tuple(sorted(set(who.values()))) if asked.own_runtime else asked.policy.runs_on
        policy = replace(asked.policy, runs_on=runs_on, platform=Platform.parse(platform))
        targets.append((sources.target(reference, platform), policy))
    return zip(users, run_checks(targets, asked.debug, lambda: None), strict=True)


def _in_ecr(reference: str) -> tuple[str, str, str] | None:
    try:
        parsed = Reference.parse(reference)
    except ValueError:
        return None
    host = ECR_HOST.fullmatch(parsed.registry)
    return (host["region"], host["account"], parsed.repository) if host else None


def _swept(
    repositories: Iterable[Repository], accounts: AwsSessions, asked: Asked, knows: Callable[[str, str], bool]
) -> Iterator[Row]:
    """The rows of the repositories' tagged images, as they come."""
    http = downloads()
    at_once = 1 if asked.policy.verify_layers else _REPOSITORIES
    with Pool(_THREADS) as pool:

        def swept(repository: Repository) -> Iterator[Row]:
            try:
                client = accounts.client("ecr", Endpoint(repository.region))
                sweep = Sweep(client, repository, asked.policy, asked.own_platform, pool, http, asked.debug)
                yield from sweep.run(partial(knows, repository.uri), partial(_row, repository.uri))
            except Fault as fault:
                yield _row(repository.uri, Outcome(repository.uri, asked.policy, fault=fault))

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

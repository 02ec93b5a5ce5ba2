"""Step 2 of a sweep: the verdicts of one batch, written whole."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from .. import aws
from ..audit.batches import Answer, Batches
from ..audit.judging import Judge, Judged, VerifyBy
from ..audit.repository import RETRY_SECONDS, Repository
from ..audit.repository_audit import RepositoryAudit
from ..audit.row import Row, audit_row
from ..deletion import is_referrers_tag, policies_of_every_runtime
from ..faults import Fault
from ..outcome import ImageOutcome
from ..policy import Policy
from ..pool import Pool
from ..registry.settings import RepositoryRule, Settings
from ..registry.users import NO_USERS, Users, users_of
from ..registry.verdicts import judge
from ..retry import RetryBudget
from ..sources.ecr_image import downloads
from .settings import SweepSettings
from .store import SweepStore

# The images that are read at once; each takes two round trips, one after the other.
_THREADS: Final = 16
_GONE: Final = "it was deleted after it was listed"


@dataclass(frozen=True)
class Batch:
    """Verifies one batch.

    :param store: the sweep.
    :param before: the sweep whose verdicts may be reused; None for none.
    :param guard: the settings of the guard.
    :param sweep: the settings of the sweep.
    :param ends_at: the moment, on `time.monotonic`, after which no more layers are read.
    """

    store: SweepStore
    before: SweepStore | None
    guard: Settings
    sweep: SweepSettings
    ends_at: float = math.inf

    def verify(self, item: Mapping[str, Any]) -> Mapping[str, Any]:
        """Verify the images of a batch, unless its rows are there already.

        :param item: the batch, as a line of `items.jsonl`.
        :returns: the number of its rows; it is small, since Step Functions keeps it.
        :raises Fault: if the rows cannot be written.
        """
        key = self.store.results(item["batch"])
        if self.store.bucket.exists(key):
            return {"batch": item["batch"], "rows": None}
        rows = list(self._rows(item))
        self.store.bucket.write_lines(key, rows)
        return {"batch": item["batch"], "rows": len(rows)}

    def _rows(self, item: Mapping[str, Any]) -> Iterator[Row]:
        repository = self.store.repository(item)
        rule = self.guard.rule_for(repository.name)
        depth = self.sweep.verify_layers
        own = replace(rule, policy=replace(rule.policy, verify_layers=depth)) if rule else None
        policy = own.policy if own else policies_of_every_runtime(verify_layers=depth)[0]
        try:
            details = self._details(repository, item["digests"])
        except Fault as fault:
            return (yield from (self._unread(repository, digest, policy, fault=fault) for digest in item["digests"]))
        gone = set(item["digests"]) - details.keys()
        yield from (self._unread(repository, digest, policy, skipped=_GONE) for digest in sorted(gone))
        passed = self._passed(repository, item, details)
        yield from passed.values()
        left = [one for digest, one in details.items() if digest not in passed]
        with Pool(_THREADS) as pool:
            audit = RepositoryAudit(
                aws.client("ecr", repository.region),
                repository,
                policy,
                self._judge(repository, own, policy),
                pool,
                downloads(),
                ends_at=self.ends_at,
            )
            yield from audit.run(left, partial(audit_row, repository.uri))

    def _details(self, repository: Repository, digests: Sequence[str]) -> dict[str, Answer]:
        """ECR's details of the images, by digest; an image that was deleted meanwhile is missing."""
        found = Batches(aws.client("ecr", repository.region), repository).described(digests)
        return {str(details["imageDigest"]): details for details in found}

    def _passed(self, repository: Repository, item: Mapping[str, Any], details: Mapping[str, Answer]) -> dict[str, Row]:
        """The rows of the sweep before that still hold: images that passed, with the tags that they have now."""
        # Without a rule, a verdict depends on the consumers where they are known.
        if self.before is None or (self.guard.inventory and self.guard.rule_for(repository.name) is None):
            return {}
        finished = (number for number in item["previous"] if self.before.bucket.exists(self.before.results(number)))
        rows = (row for row in self.before.rows(finished) if row["repository"] == repository.uri)
        return {
            row["digest"]: {**row, "reference": _reference(repository, one), "tags": tags}
            for row in rows
            if (one := details.get(row["digest"])) and one.get("imageStatus", "ACTIVE") == "ACTIVE"
            # Whether something is skipped may depend on its tags.
            if (tags := sorted(one.get("imageTags", ()))) == row["tags"] or row["verdict"] == "pass"
            if row["verdict"] in ("pass", "skipped")
        }

    def _judge(self, repository: Repository, rule: RepositoryRule | None, policy: Policy) -> Judge:
        """Judge an image as the guard judges its push."""

        def judge_image(tags: Sequence[str], verify_by: VerifyBy) -> Judged:
            users = NO_USERS if rule else self._users(repository, tags)
            # The tag of a signature says nothing about an image that has another one, too.
            tag = min(tags, key=lambda tag: (is_referrers_tag(tag), tag), default="")
            judgement = judge(tag, rule, verify_by, verify_layers=policy.verify_layers, users=users)
            if judgement.report is None or judgement.policy is None:
                return Judged(policy, skipped=judgement.remark)
            if rule or judgement.refused:
                return Judged(judgement.policy, judgement.shown)
            # It can run where it is used, and nobody has said that it must run elsewhere.
            return Judged(judgement.policy, replace(judgement.report, findings=()))

        return judge_image

    def _users(self, repository: Repository, tags: Sequence[str]) -> Users:
        """The consumers of all its tags, else those of the repository: its pushes, one for each tag, in one."""
        found = [users_of(repository, tag, self.guard, RetryBudget.of(RETRY_SECONDS)) for tag in tags]
        uses = tuple(use for users in found if users.of_tag for use in users.uses)
        return Users(uses, of_tag=True) if uses else next(iter(found), NO_USERS)

    @staticmethod
    def _unread(
        repository: Repository, digest: str, policy: Policy, *, fault: Fault | None = None, skipped: str = ""
    ) -> Row:
        outcome = ImageOutcome(f"{repository.uri}@{digest}", policy, fault=fault, skipped=skipped)
        return audit_row(repository.uri, outcome, {"imageDigest": digest})


def _reference(repository: Repository, details: Answer) -> str:
    tag = min(map(str, details.get("imageTags") or ()), default="")
    return f"{repository.uri}:{tag}" if tag else f"{repository.uri}@{details['imageDigest']}"

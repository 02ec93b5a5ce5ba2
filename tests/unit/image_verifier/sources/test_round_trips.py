"""The round trips of a verification: calls that it cannot make before it has another's answer.

Each round of calls is answered when all of it has arrived: calls that could be made together and are not never get an
answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from threading import Condition
from typing import Any

import pytest
from image_verifier import aws as calls
from image_verifier.image import media_types
from image_verifier.image.model import Platform
from image_verifier.policy import Policy
from image_verifier.retry import RetryBudget
from image_verifier.sources.ecr_image import EcrImage
from image_verifier.verify import verify

from tests.unit.aws_server import ACCOUNT, REGION, Aws, serving_aws
from tests.unit.ecr_repository import EcrRepository
from tests.unit.images import GZIP, Layout

# In seconds, for calls that never come.
PATIENCE = 60
FIRST = ["BatchGetImage", "DescribeImages"]


class Rounds:
    """Holds calls back until a whole round of them has arrived.

    :param expected: the names of the calls of each round.
    """

    def __init__(self, *expected: Sequence[str]) -> None:
        self.expected = [sorted(names) for names in expected]
        self.arrived: list[list[str]] = []
        self._changed = Condition()
        self._open = 0

    def arrive(self, name: str) -> None:
        """A call has arrived; returns when all of its round have."""
        with self._changed:
            if len(self.arrived) == self._open:
                self.arrived.append([])
            mine = self._open
            self.arrived[mine].append(name)
            if mine >= len(self.expected) or len(self.arrived[mine]) == len(self.expected[mine]):
                self._open += 1
                self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._open > mine, PATIENCE), f"alone: {self.arrived[mine]}"


class HeldBlobs(dict[str, bytes]):
    """The blobs; the first reading of each is a call."""

    def __init__(self, rounds: Rounds) -> None:
        super().__init__()
        self._rounds, self._read = rounds, set[str]()

    def __getitem__(self, name: str) -> bytes:
        if name not in self._read:
            self._read.add(name)
            self._rounds.arrive("download")
        return super().__getitem__(name)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    with serving_aws() as server:
        server.use(monkeypatch)
        yield server


def rounds_of(
    aws: Aws, folder: Path, make: Callable[[Layout], Mapping[str, Any]], policy: Policy, *expected: Sequence[str]
) -> list[list[str]]:
    """The calls of a verification, by round."""
    repository = EcrRepository(aws, Layout(folder))
    top = make(repository.layout)
    for child in (folder / "blobs" / "sha256").iterdir():
        if b'"layers"' in child.read_bytes() and child.name not in top["digest"]:
            repository.push({"digest": f"sha256:{child.name}", "mediaType": media_types.OCI_MANIFEST})
    repository.push(top, "1")
    rounds = Rounds(*expected)
    for name, answer in list(aws.answers.items()):

        def held(asked: Mapping[str, Any], name: str = name, answer: Any = answer) -> Any:
            rounds.arrive(name)
            return answer(asked) if callable(answer) else answer

        aws.answers[name] = held
    aws.blobs = HeldBlobs(rounds)
    source = EcrImage(
        calls.session().client("ecr", region_name=REGION, config=calls.CLIENT_CONFIG),
        repository_arn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/shop",
        repository_uri=f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/shop",
        tag="1",
        retry_budget=RetryBudget.of(0),
    )
    # The layer's file is not a program, as reading it shows.
    assert {finding.id for finding in verify(source, policy).findings} <= {"entrypoint-format-invalid"}
    return [sorted(names) for names in rounds.arrived]


def policy(*, layers: bool = False) -> Policy:
    return Policy(("fargate",), Platform.parse("linux/amd64"), verify_layers=layers)


def test_an_image_is_verified_in_three_round_trips(aws: Aws, tmp_path: Path) -> None:
    expected = [FIRST, ["BatchCheckLayerAvailability", "GetDownloadUrlForLayer"], ["download"]]
    assert rounds_of(aws, tmp_path, lambda layout: layout.image(), policy(), *expected) == expected


def test_more_layers_need_no_more_round_trips(aws: Aws, tmp_path: Path) -> None:
    expected = [FIRST, [*["BatchCheckLayerAvailability"] * 3, "GetDownloadUrlForLayer"], ["download"]]
    assert (
        rounds_of(aws, tmp_path, lambda layout: layout.image(layer_types=(GZIP,) * 250), policy(), *expected)
        == expected
    )


def test_an_index_needs_one_more(aws: Aws, tmp_path: Path) -> None:
    def indexed(layout: Layout) -> Mapping[str, Any]:
        return layout.index({**layout.image(), "platform": {"os": "linux", "architecture": "amd64"}})

    expected = [
        FIRST,
        ["BatchGetImage"],
        ["BatchCheckLayerAvailability", "GetDownloadUrlForLayer"],
        ["download"],
    ]
    assert rounds_of(aws, tmp_path, indexed, policy(), *expected) == expected


def test_the_layers_need_two_more(aws: Aws, tmp_path: Path) -> None:
    expected = [
        FIRST,
        ["BatchCheckLayerAvailability", "GetDownloadUrlForLayer"],
        ["download"],
        ["GetDownloadUrlForLayer"],
        ["download"],
    ]
    assert rounds_of(aws, tmp_path, lambda layout: layout.image(), policy(layers=True), *expected) == expected

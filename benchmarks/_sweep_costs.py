"""The costs of a sweep of a registry on AWS: measured figures, quotas and prices in, a table out.

The model counts; the simulation runs the batches through the bound on concurrent Lambdas and through ECR's rates, and
gives the time.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

IMAGES_PER_BATCH: Final = 100
# A Lambda with as much memory has one core: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_MIB_PER_CORE: Final = 1769


@dataclass(frozen=True)
class Measured:
    """The figures that `python -m benchmarks.registry_sweep` measured.

    :param batch_cpu: CPU seconds of 100 images of 8 layers each, without layers' bytes.
    :param batch_calls: the calls of such a batch, by name.
    :param row_bytes: the bytes of one row of the results.
    :param layer_cpu: CPU seconds for each compressed MiB whose layers are read.
    :param layer_calls: the calls for one image of 8 layers whose layers are read, by name.
    """

    batch_cpu: float
    batch_calls: Mapping[str, int]
    row_bytes: int
    layer_cpu: float
    layer_calls: Mapping[str, int]


@dataclass(frozen=True)
class Prices:
    """US dollars in us-east-1, without the free tier."""

    gb_second: float = 0.0000166667
    lambda_request: float = 0.20 / 1e6
    transition: float = 0.025 / 1e3
    s3_put: float = 0.005 / 1e3
    s3_get: float = 0.0004 / 1e3


@dataclass(frozen=True)
class Assumed:
    """The figures that were neither measured here nor are in a price list.

    :param image_mib: the compressed size of an image.
    :param call_seconds: the time of a call to ECR or S3 from a Lambda of the same region.
    :param mib_per_second: the rate at which one Lambda downloads layers.
    """

    image_mib: float = 150
    call_seconds: float = 0.03
    mib_per_second: float = 70


# Calls a second for each account and region: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html
RATES: Final[Mapping[str, float]] = {
    "ecr:BatchGetImage": 2000,
    "ecr:BatchCheckLayerAvailability": 1000,
    "ecr:GetDownloadUrlForLayer": 3000,
}
MEASURED: Final = Measured(
    batch_cpu=0.39,
    batch_calls={"ecr:BatchGetImage": 1, "ecr:BatchCheckLayerAvailability": 1, "ecr:GetDownloadUrlForLayer": 100},
    row_bytes=762,
    layer_cpu=0.0093,
    layer_calls={
        "ecr:DescribeImages": 1,
        "ecr:BatchGetImage": 1,
        "ecr:BatchCheckLayerAvailability": 1,
        "ecr:GetDownloadUrlForLayer": 9,
    },
)
"""On two cores of an AMD EPYC, shared with other work, on 2026-11-28."""
IMAGES: Final = (100_000, 10_000_000)
CONCURRENCY: Final = (20, 200, 1000)
PRICES: Final = Prices()
ASSUMED: Final = Assumed()


@dataclass(frozen=True)
class Depth:
    """One depth of a sweep.

    :param name: the name, as in the summary.
    :param images: the number of images in one batch.
    :param memory_mib: the memory of its Lambda.
    :param cpu: CPU seconds of a batch on one core.
    :param calls: the calls of a batch.
    :param download_mib: the MiB that a batch downloads.
    """

    name: str
    images: int
    memory_mib: int
    cpu: float
    calls: Mapping[str, int]
    download_mib: float

    def seconds(self, assumed: Assumed) -> float:
        """How long a batch takes where no rate binds: CPU and downloads overlap, calls are made 16 at a time."""
        cores = min(1.0, self.memory_mib / _MIB_PER_CORE)
        calls = sum(self.calls.values()) / min(16, self.images * 2) * assumed.call_seconds
        return calls + max(self.cpu / cores, self.download_mib / assumed.mib_per_second)


def depths(measured: Measured, assumed: Assumed = ASSUMED) -> tuple[Depth, Depth]:
    """Both depths of a sweep.

    :param measured: the measured figures.
    :param assumed: the assumed ones.
    """
    layers = measured.layer_cpu * assumed.image_mib
    # A sweep also asks what is known of the images of a batch now.
    calls = {**measured.batch_calls, "ecr:DescribeImages": 1}
    return (
        Depth("default", IMAGES_PER_BATCH, 512, measured.batch_cpu, calls, 0),
        Depth("layers", 1, _MIB_PER_CORE, layers, measured.layer_calls, assumed.image_mib),
    )


@dataclass(frozen=True)
class Cost:
    """One row of the table.

    :param hours: the time, by simulation.
    :param dollars: the price of each part.
    """

    depth: str
    images: int
    batches: int
    calls: int
    gb_seconds: float
    transitions: int
    s3_requests: int
    hours: float
    bound: str
    dollars: Mapping[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """The price of the sweep, in dollars."""
        return sum(self.dollars.values())


def cost(depth: Depth, images: int, concurrency: int, prices: Prices = PRICES, assumed: Assumed = ASSUMED) -> Cost:
    """The costs of one sweep of everything.

    :param depth: the depth.
    :param images: the number of images.
    :param concurrency: the largest number of Lambdas at once.
    :param prices: the prices.
    :param assumed: the assumed figures.
    """
    batches = -(-images // depth.images)
    gb_seconds = batches * depth.seconds(assumed) * depth.memory_mib / 1024
    # A child has its start and one task. Each batch lists the rows of an earlier attempt and writes its own, and the
    # sum-up reads them. S3 charges a list as it charges a write.
    transitions, puts, gets = 2 * batches, 2 * batches, batches
    seconds, bound = simulated(depth, batches, concurrency, assumed)
    dollars = {
        "Lambda": gb_seconds * prices.gb_second + batches * prices.lambda_request,
        "Step Functions": transitions * prices.transition,
        "S3": puts * prices.s3_put + gets * prices.s3_get,
    }
    calls = batches * sum(depth.calls.values())
    return Cost(
        *(depth.name, images, batches, calls, gb_seconds, transitions, puts + gets, seconds / 3600, bound), dollars
    )


# More batches repeat what these do.
_MOST_SIMULATED: Final = 20_000


def simulated(depth: Depth, batches: int, concurrency: int, assumed: Assumed = ASSUMED) -> tuple[float, str]:
    """The time of a sweep in seconds, and what binds it, from running its batches through its bounds.

    Each Lambda takes the next batch when it has ended one, and its calls wait for ECR's rates. A batch takes between
    half and twice its usual time. More than 20,000 batches are simulated in part, and the rest takes as long for each.

    :param depth: the depth.
    :param batches: the number of batches.
    :param concurrency: the largest number of Lambdas at once.
    :param assumed: the assumed figures.
    """
    some = min(batches, _MOST_SIMULATED)
    random_ = random.Random(7)
    usual, free_at = depth.seconds(assumed), dict.fromkeys(RATES, 0.0)
    waited, worked = 0.0, 0.0
    workers = [0.0] * min(concurrency, some)
    for _ in range(some):
        began = heapq.heappop(workers)
        ready = began
        for name, at in _reserved(depth, free_at, began):
            free_at[name] = at
            ready = max(ready, at)
        seconds = usual * random_.choice((0.5, 0.75, 1.0, 1.25, 1.5, 2.0)) / (7 / 6)
        waited, worked = waited + ready - began, worked + seconds
        heapq.heappush(workers, ready + seconds)
    ended = max(workers)
    binding = max(RATES, key=lambda name: depth.calls.get(name, 0) / RATES[name])
    bound = f"`{binding}`" if waited > worked else "Lambdas at once"
    return ended * batches / some, bound


def _reserved(depth: Depth, free_at: Mapping[str, float], now: float) -> Iterator[tuple[str, float]]:
    """When ECR has answered the calls of a batch, by name: each call takes its turn."""
    for name, rate in RATES.items():
        if count := depth.calls.get(name, 0):
            yield name, max(free_at[name], now) + count / rate


def tables(measured: Measured = MEASURED) -> list[str]:
    """The lines of a table in Markdown: each depth, number of images and number of Lambdas at once.

    :param measured: the measured figures.
    """
    rows = [
        (concurrency, cost(depth, images, concurrency))
        for depth in depths(measured)
        for images in IMAGES
        for concurrency in CONCURRENCY
    ]
    names = ("depth", "images", "Lambdas at once", "calls to ECR", "Lambda GB-s", "transitions", "S3 requests")
    lines = [f"| {' | '.join((*names, 'time', 'bound by', 'price'))} |", "|---|--:|--:|--:|--:|--:|--:|--:|---|--:|"]
    for concurrency, row in rows:
        time = f"{row.hours * 60:,.0f} min" if row.hours < 2 else f"{row.hours:,.0f} h"
        numbers = (row.images, concurrency, row.calls, round(row.gb_seconds), row.transitions, row.s3_requests)
        cells = " | ".join(f"{number:,}" for number in numbers)
        lines.append(f"| {row.depth} | {cells} | {time} | {row.bound} | ${row.total:,.2f} |")
    return lines

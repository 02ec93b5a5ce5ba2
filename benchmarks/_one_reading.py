"""Reads an image's layers once, in a separate process: `python -m benchmarks._one_reading LAYOUT PLATFORM CORES`.

It needs no installed package, so that the Lambda's Python can run it. It prints as JSON the seconds, those of CPU time,
the unpacked bytes, the entries, and the peak memory of the process in bytes.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from image_verifier.image.model import Platform
from image_verifier.layers.reader import read_layers
from image_verifier.policy import Policy
from image_verifier.rules.runtimes import RUNTIMES
from image_verifier.verify import load

from safe_image.sources.oci_layout import LayoutFolder, OciLayout
from tests.memory import most_memory


def main() -> None:
    """Read the layers, and print the measurements."""
    layout, platform, cores = sys.argv[1:]
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
    source = OciLayout(LayoutFolder(Path(layout)))
    image = load(source, Policy(("fargate",), Platform.parse(platform)))
    began, cpu_began = time.perf_counter(), time.process_time()
    contents = read_layers(image, source, RUNTIMES["fargate"].engines)
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    readings = [r for facts in contents.layers.values() if facts for r in facts.readings.values()]
    assert all(reading.complete and not reading.stream_error for reading in readings)
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "unpacked": sum(reading.unpacked for reading in readings),
                "entries": sum(reading.entries for reading in readings),
                "memory": most_memory(),
            }
        )
    )


if __name__ == "__main__":
    main()

"""`make versions`: the unit tests on every Python of this machine, with the oldest and the newest dependencies."""

from __future__ import annotations

import sys
from typing import Final

from release.versions import pythons
from release.versions.environments import Environment

# What cdk-nag finds does not depend on the Python, and it needs an aws-cdk-lib of its own time.
_TESTS: Final = (
    "tests/unit",
    "--ignore=tests/unit/cdk_safe_image/test_nag.py",
    "--numprocesses=auto",
    "--dist=loadfile",
)


def main() -> int:
    """Print a line for each environment; 1 where one failed."""
    failed = False
    for version in pythons.VERSIONS:
        interpreter = pythons.python(version)
        if interpreter is None:
            print(f"Python {version}: skipped, not on this machine")
            continue
        # The oldest jsii and boto3 do not support newer Pythons.
        makers = (Environment.oldest, Environment.newest) if version == pythons.VERSIONS[0] else (Environment.newest,)
        for make in makers:
            environment = make(interpreter)
            done = environment.test(*_TESTS)
            summary = done.stdout.splitlines()[-1] if done.stdout else ""
            print(f"Python {version}, aws-cdk-lib {environment.installed('aws-cdk-lib')}: {summary}", flush=True)
            if done.returncode:
                failed = True
                print(f"newer than in requirements/dev.txt: {environment.differences()}\n{done.stdout}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

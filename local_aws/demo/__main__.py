"""`make demo`: deploys on an AWS on this machine, with real engines.

The demo deploys the example with healthy images, then with broken ones. After each refusal it follows the printed
remedy as printed and deploys again. A table at the end shows what was
expected and what happened. Exit 0: all as expected. 1: something was not. 2: the demo cannot run on this machine.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import ExitStack

from local_aws.demo.broken import BROKEN_DEPLOYS, deploy_broken
from local_aws.demo.healthy import deploy_healthy
from local_aws.demo.results import table
from local_aws.demo.session import LOGS, Demo, built_images_removed, copied_app, say
from local_aws.process import LocalAws, LocalAwsError
from local_aws.toolchain import install_aws_cli
from local_engines import base_images
from local_engines.base_images import BaseImageError
from local_engines.debian import DebianError
from local_engines.dockerd import DockerEngine, EngineError


def main() -> int:
    """Run the demo, and return the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(time.monotonic())
    except (EngineError, BaseImageError, DebianError, LocalAwsError, subprocess.CalledProcessError) as error:
        print(f"The demo cannot run on this machine: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted. Everything that the demo started has ended.", file=sys.stderr)
    return 2


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _run(started: float) -> int:
    LOGS.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        demo = _start(stack, started)
        with copied_app() as app:
            deploy_healthy(demo, app)
        if all(row.met for row in demo.expectations):
            for broken in BROKEN_DEPLOYS:
                with copied_app() as app:
                    deploy_broken(demo, app, broken)
        demo.say("Stopping everything")
    print(table(demo.expectations, demo.notes))
    print(f"{time.monotonic() - started:.0f} seconds; the CDK CLI's whole output is in {LOGS}")
    return 0 if all(row.met for row in demo.expectations) else 1


def _start(stack: ExitStack, started: float) -> Demo:
    """Start everything that the deploys need; `stack` ends it."""
    say(started, "Container engine: this machine's Docker, or one from Debian's packages")
    engine = stack.enter_context(DockerEngine.start(store="containerd"))
    say(started, f"  Docker {engine.version} from {engine.origin}")
    bases = {}
    for base in (base_images.PYTHON, base_images.NODE):
        say(started, f"Base image for {base.name}, from Debian's packages (cached after the first run)")
        bases[base.name] = base_images.provide(engine, base)
    say(started, "Local AWS: ministack, Node and the CDK CLI (cached after the first run)")
    aws = stack.enter_context(LocalAws.start())
    say(started, f"  listens at {aws.endpoint}; cdk bootstrap")
    aws.bootstrap()
    stack.enter_context(built_images_removed(engine, aws.registry))
    context = [f"--context=base-image:{name}={reference}" for name, reference in bases.items()]
    return Demo(aws, engine, context, bases["python"], install_aws_cli(), started)


if __name__ == "__main__":
    sys.exit(main())

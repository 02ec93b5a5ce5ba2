"""`python -m local_aws VERB`: the local AWS for a person."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Callable

from local_aws.process import LocalAws
from local_aws.toolchain import install


def setup(arguments: argparse.Namespace) -> None:
    """Install ministack, Node and the CDK CLI under .local/."""
    toolchain = install()
    print(f"python  {toolchain.python}\nnode    {toolchain.node_bin}\ncdk     {toolchain.cdk}")


def up(arguments: argparse.Namespace) -> None:
    """Start it and print the environment to use it with; Ctrl-C ends it."""
    with LocalAws.start(auth=arguments.auth, port=arguments.port) as aws:
        for name, value in aws.env().items():
            if name.startswith(("AWS_", "CDK_", "PATH")):
                print(f"export {name}='{value}'")
        print(f"# The local AWS is at {aws.endpoint}, its registry at {aws.registry}. Ctrl-C ends it.", flush=True)
        signals = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        signal.sigwait(signals)


VERBS: dict[str, Callable[[argparse.Namespace], None]] = {"setup": setup, "up": up}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m local_aws", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    for name, verb in VERBS.items():
        sub = verbs.add_parser(name, help=verb.__doc__)
        sub.set_defaults(run=verb)
        if name == "up":
            sub.add_argument("--auth", action="store_true", help="enforce IAM")
            sub.add_argument("--port", type=int, default=4566)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()

"""`python -m local_aws COMMAND`: start the local AWS by hand."""

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
    """Start the local AWS and print the environment for its clients; Ctrl-C stops it."""
    with LocalAws.start(auth=arguments.auth, port=arguments.port) as aws:
        for name, value in aws.env().items():
            if name.startswith(("AWS_", "CDK_", "PATH")):
                print(f"export {name}='{value}'")
        print(
            f"# The local AWS listens at {aws.endpoint}, its registry at {aws.registry}. Ctrl-C stops it.", flush=True
        )
        signals = {signal.SIGINT, signal.SIGTERM}
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        signal.sigwait(signals)


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {"setup": setup, "up": up}


def main() -> None:
    """Run the command that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m local_aws", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.__doc__)
        sub.set_defaults(run=command)
        if name == "up":
            sub.add_argument("--auth", action="store_true", help="enforce IAM")
            sub.add_argument("--port", type=int, default=4566, help="default: 4566")
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()

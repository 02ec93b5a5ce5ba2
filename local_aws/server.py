"""The server's process: ministack behind our gateway, on 127.0.0.1 and [::1], until its parent ends.

This is the only module that imports ministack and hypercorn. It runs in their environment (see toolchain.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import os
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from local_aws.account import ACCOUNT, REGION
from local_aws.asgi import App, Response
from local_aws.custom_resources import CustomResources
from local_aws.ecr_api import EcrApi
from local_aws.fault_injection import CallLog, InjectedFaults
from local_aws.gateway import Gateway
from local_aws.image_events import ImageEvents
from local_aws.incidents import Incidents
from local_aws.layer_downloads import LayerDownloads
from local_aws.ministack_client import MinistackClient
from local_aws.registry_api import RegistryApi
from local_aws.stack_exports import keep_exports_in_use
from local_aws.store import Store

_GRACE = 10
"""Seconds from the request to stop until every process that the server started is killed."""


def main() -> None:
    """Serve until SIGTERM, or until standard input ends, whose other end our parent holds."""
    parser = argparse.ArgumentParser(prog="local_aws.server")
    parser.add_argument(
        "--state", type=Path, required=True, help="folder for blobs and for the code of Lambda functions"
    )
    parser.add_argument("--remove-state", action="store_true", help="remove the state folder at the end")
    parser.add_argument("--port", type=int, default=0, help="default: a free port")
    parser.add_argument("--auth", action="store_true", help="enforce IAM")
    arguments = parser.parse_args()
    sockets = _listen(arguments.port)
    port = sockets[0].getsockname()[1]
    temporary = arguments.state / "tmp"
    temporary.mkdir(exist_ok=True)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # ministack reads its settings from the environment when it is imported.
    os.environ.update(
        {
            "AUTH": "true" if arguments.auth else "false",
            "GATEWAY_PORT": str(port),
            "MINISTACK_HOST": "127.0.0.1",
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "TMPDIR": str(temporary),
        }
    )
    try:
        asyncio.run(_serve(arguments.state, arguments.auth, port, sockets))
    finally:
        _end(arguments.state if arguments.remove_state else temporary)


def _listen(port: int) -> list[socket.socket]:
    """Sockets on one port of both loopback addresses, or of 127.0.0.1 alone where the machine has no IPv6."""
    for _ in range(20):
        first = socket.create_server(("127.0.0.1", port), backlog=512)
        number = first.getsockname()[1]
        if not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists():
            return [first]
        try:
            return [first, socket.create_server(("::1", number), family=socket.AF_INET6, backlog=512)]
        except OSError:
            first.close()
            if port:
                raise
    raise SystemExit("no port is free on both 127.0.0.1 and [::1]")


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE)
    os.killpg(os.getpgrp(), signal.SIGKILL)


def _end(folder: Path) -> None:
    """Remove the state on disk, and kill our process group, the Lambda functions included."""
    shutil.rmtree(folder, ignore_errors=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)


async def _serve(state: Path, auth: bool, port: int, sockets: list[socket.socket]) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config
    from ministack.app import app as ministack
    from ministack.services.cloudformation import _exports, _stacks, custom_resource, handlers, stacks

    base = f"http://127.0.0.1:{port}"
    loop = asyncio.get_running_loop()
    ministack_client = MinistackClient(ministack)

    def invoke_function(function: str, region: str, event: bytes) -> Response:
        invocation = ministack_client.invoke_function(function, event, region)
        return asyncio.run_coroutine_threadsafe(invocation, loop).result()

    custom_resources = CustomResources(base, invoke_function)
    # ministack calls this public function of its own inside the process, so that the gateway never sees the requests.
    # Ours has the same signature.
    custom_resource.invoke_custom_resource = custom_resources.invoke

    def importers(export: str, stack_id: str) -> list[str]:
        return [
            name
            for name, stack in _stacks.items()
            if stack["StackId"] != stack_id
            and not stack["StackStatus"].startswith("DELETE")
            and export in handlers._imported_export_names(stack, name)
        ]

    stacks._resolve_stack_outputs = keep_exports_in_use(stacks._resolve_stack_outputs, _exports, importers)
    config = Config()
    config.bind = [f"fd://{listening.fileno()}" for listening in sockets]
    # A server that closes an idle connection can fail a request that was just sent, and some clients do not retry.
    config.keep_alive_timeout = 3600
    config.keep_alive_max_requests = 1_000_000
    config.graceful_timeout = 0.2
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def stopped() -> None:
        await stop.wait()

    gateway = build_gateway(ministack, ministack_client, state, custom_resources, ImageEvents(_publish), auth)
    print(port, flush=True)
    await serve(gateway, config, shutdown_trigger=stopped)


def _publish(entry: dict[str, Any]) -> None:
    """Put an event of an AWS service on the bus, which the API refuses to do for callers from outside."""
    from ministack.core import responses
    from ministack.services import eventbridge

    def put() -> None:
        responses.set_request_account_id(ACCOUNT)
        responses.set_request_region(REGION)
        eventbridge._put_events({"Entries": [entry]}, allow_aws_source=True)

    # The account and the region are variables of a context; those of the current request are left alone.
    contextvars.copy_context().run(put)


def build_gateway(
    ministack: App,
    ministack_client: MinistackClient,
    state: Path,
    custom_resources: CustomResources,
    events: ImageEvents,
    auth: bool,
) -> Gateway:
    """Connect the parts of the local AWS."""
    faults, log, store = InjectedFaults(), CallLog(), Store(state, ministack_client)
    layers = LayerDownloads(store, faults)
    ecr = EcrApi(store, layers, faults, events)
    registry = RegistryApi(store, layers, faults, ecr, events, auth)
    return Gateway(ministack, ecr, registry, layers, custom_resources, faults, Incidents(), log, auth)


if __name__ == "__main__":
    main()

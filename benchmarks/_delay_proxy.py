"""A proxy that delays every answer of a server, as a network does: `_delay_proxy.py HOST SECONDS`.

A separate process, so that its cost is not part of the measurement. It prints the port that it listens on.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def _serve(host: str, delay: float) -> None:
    address, port = host.split(":")

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, later: float) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ConnectionError):
            while chunk := await reader.read(1 << 16):
                loop.call_later(later, writer.write, chunk)
        loop.call_later(later, writer.close)

    # asyncio itself only has weak references to the tasks that serve connections:
    # https://docs.python.org/3/library/asyncio-task.html#asyncio.create_task
    serving = set()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        back_reader, back_writer = await asyncio.open_connection(address, port)
        await asyncio.gather(carry(reader, back_writer, 0.0), carry(back_reader, writer, delay))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], float(sys.argv[2])))

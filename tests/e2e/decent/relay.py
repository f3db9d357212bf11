"""Carries connections between network namespaces, through sockets in the file system: `python -m decent.relay FROM TO`.

FROM and TO are `tcp:ADDRESS:PORT` or `unix:PATH`; FROM may also be `dns:ADDRESS:PORT`, where questions come by UDP and
are asked by TCP."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import sys

CHUNK = 64 * 1024


async def dial(target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    kind, _, rest = target.partition(":")
    if kind == "unix":
        return await asyncio.open_unix_connection(rest)
    address, _, port = rest.rpartition(":")
    return await asyncio.open_connection(address, int(port))


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(CHUNK):
            sink.write(data)
            await sink.drain()
    with contextlib.suppress(OSError, RuntimeError):
        sink.write_eof()


class Questions(asyncio.DatagramProtocol):
    """Asks each question by TCP and gives the answer back."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.asking: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, sender: tuple[str, int]) -> None:
        task = asyncio.get_running_loop().create_task(self.ask(data, sender))
        self.asking.add(task)
        task.add_done_callback(self.asking.discard)

    async def ask(self, question: bytes, sender: tuple[str, int]) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            reader, writer = await dial(self.target)
            writer.write(struct.pack("!H", len(question)) + question)
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            self.transport.sendto(await reader.readexactly(length), sender)
            writer.close()


async def serve(source: str, target: str) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            there_reader, there_writer = await dial(target)
            await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))
            there_writer.close()
        writer.close()

    kind, _, rest = source.partition(":")
    if kind == "unix":
        server = await asyncio.start_unix_server(carry, rest)
        await server.serve_forever()
    address, _, port = rest.rpartition(":")
    if kind == "tcp":
        server = await asyncio.start_server(carry, address, int(port))
        await server.serve_forever()
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Questions(target), local_addr=(address, int(port)))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.argv[2]))

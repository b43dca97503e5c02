"""
The far end of every connection that must not be made: a listener on loopback that counts who came and what they sent.

Whatever passes the guard ends here, not at the address that it named: a test that fails opens nothing on the network.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpcore
import pytest


@dataclass
class Trap:
    """``dialled``: the addresses that were let through; ``connections`` and ``bytes``: what of that arrived."""

    port: int = 0
    allowed: set[int] = field(default_factory=set)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    connections: int = 0
    bytes: int = 0

    @property
    def is_untouched(self) -> bool:
        return (self.dialled, self.connections, self.bytes) == ([], 0, 0)


@asynccontextmanager
async def trap(patch: pytest.MonkeyPatch) -> AsyncIterator[Trap]:
    """
    Lead every connection of this process's HTTP clients to a `Trap`, but those to loopback on its ``allowed`` ports.

    Replaced is the last step below the guard, since the public network cannot be reached from a test and the private
    one must not be.
    """
    caught = Trap()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caught.connections += 1
        with contextlib.suppress(ConnectionError):
            caught.bytes += len(await reader.read(1 << 16))
        writer.close()

    dial = httpcore.AnyIOBackend.connect_tcp

    async def lead(self: Any, host: str, port: int, *others: Any, **named: Any) -> httpcore.AsyncNetworkStream:
        if host == "127.0.0.1" and port in caught.allowed:
            return await dial(self, host, port, *others, **named)
        caught.dialled.append((host, port))
        return await dial(self, "127.0.0.1", caught.port, *others, **named)

    async with await asyncio.start_server(count, "127.0.0.1", 0) as listener:
        caught.port = listener.sockets[0].getsockname()[1]
        with patch.context() as context:
            context.setattr(httpcore.AnyIOBackend, "connect_tcp", lead)
            yield caught


def resolver(zone: Mapping[str, Sequence[str]]) -> Callable[[str, int], Any]:
    """
    A resolver that knows the names of *zone* and asks the system about addresses.

    The system's own reading of every spelling of an address is what is tested; names would be asked of a DNS server.
    """

    async def resolve(host: str, port: int) -> Sequence[str]:
        if host.removesuffix(".") in zone:
            return zone[host.removesuffix(".")]
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(entry[4][0]) for entry in found]

    return resolve

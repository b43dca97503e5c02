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
    """``dials``: the addresses that were let through; ``connections`` and ``bytes``: what of that arrived."""

    port: int = 0
    ports: set[int] = field(default_factory=set)
    dials: list[tuple[str, int]] = field(default_factory=list)
    connections: int = 0
    bytes: int = 0

    @property
    def is_untouched(self) -> bool:
        return (self.dials, self.connections, self.bytes) == ([], 0, 0)


@asynccontextmanager
async def trap(patch: pytest.MonkeyPatch) -> AsyncIterator[Trap]:
    """
    Lead every connection of this process's HTTP clients to a `Trap`, but those to loopback on its ``ports``.

    Replaced is the last step below the guard, since the public network cannot be reached from a test and the private
    one must not be.
    """
    the_trap = Trap()

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        the_trap.connections += 1
        with contextlib.suppress(ConnectionError):
            the_trap.bytes += len(await reader.read(1 << 16))
        writer.close()

    dial = httpcore.AnyIOBackend.connect_tcp

    async def lead(self: Any, host: str, port: int, *others: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        if host == "127.0.0.1" and port in the_trap.ports:
            return await dial(self, host, port, *others, **options)
        the_trap.dials.append((host, port))
        return await dial(self, "127.0.0.1", the_trap.port, *others, **options)

    async with await asyncio.start_server(count, "127.0.0.1", 0) as listener:
        the_trap.port = listener.sockets[0].getsockname()[1]
        with patch.context() as context:
            context.setattr(httpcore.AnyIOBackend, "connect_tcp", lead)
            yield the_trap


def resolver(zone: Mapping[str, Sequence[str]]) -> Callable[[str, int], Any]:
    """
    A resolver that knows the names of *zone* and asks the system about addresses.

    The system's own reading of every spelling of an address is what is tested; names would be asked of a DNS server.
    """

    async def resolve(host: str, port: int) -> Sequence[str]:
        if host.removesuffix(".") in zone:
            return zone[host.removesuffix(".")]
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        return [str(entry[4][0]) for entry in entries]

    return resolve

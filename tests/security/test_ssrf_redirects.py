"""Redirects: a host that we may contact cannot send us, or anything of ours, to one that we may not."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from framerelay.media.download import REDIRECTS_MAX, Download, DownloadLimits, download
from framerelay.network.client import guarded_client
from framerelay.runs.errors import AddressForbidden, DownloadInterrupted, FrameRelayError
from tests.security.trap import Trap, resolver, trap

pytestmark = pytest.mark.anyio

ONCE = DownloadLimits(total_s=10, stall_s=2, tries=1)
NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
STATUSES = (301, 302, 303, 307, 308)
FORBIDDEN = """
    http://127.0.0.1:{trap}/ https://127.0.0.1:{trap}/ //127.0.0.1:{trap}/ http://localhost:{trap}/ http://[::1]:{trap}/
    http://0:{trap}/ http://2130706433:{trap}/ http://0x7f.1:{trap}/ http://127.1:{trap}/ http://[::ffff:7f00:1]:{trap}/
    http://127.0.0.1/ https://127.0.0.1/ https://127.1/ https://2130706433/ https://0x7f000001/ https://localhost/
    http://169.254.169.254/latest/meta-data/iam/ https://169.254.169.254/ https://[::ffff:169.254.169.254]/
    https://[64:ff9b::a9fe:a9fe]/ https://[fd00:ec2::254]/ https://metadata.google.internal/computeMetadata/v1/
    //10.0.0.1/ https:/10.0.0.1/ https://good.example@10.0.0.1/ https://10.0.0.1#good.example
    http://good.example/ https://good.example:8443/ https://user:pass@good.example/ http://127.0.0.1:{own}@good.example/
    file:///etc/passwd gopher://127.0.0.1:{trap}/_INFO ftp://good.example/ data:video/mp4;base64,AAAA
    unix:/run/redis.sock http://[broken/ https://%31%32%37.0.0.1/ https://good.example%00.example/
    https://xn--a/ //xn--localhost-/ https://good.xn--/
"""


@dataclass
class Origin:
    """A host that is trusted; ``heads`` holds what it was sent, request by request."""

    port: int = 0
    locations: list[str] = field(default_factory=list)
    status: int = 302
    heads: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/clip.mp4"

    def answer(self) -> bytes:
        if not self.locations:
            return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nclip"
        head = f"HTTP/1.1 {self.status} X\r\nLocation: {self.locations.pop(0)}\r\nSet-Cookie: canary=1; Path=/\r\n"
        return f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


@asynccontextmanager
async def an_origin(*locations: str, status: int = 302) -> AsyncIterator[Origin]:
    """Answers request after request with a redirect to the next of *locations*, and then with a file."""
    origin = Origin(locations=list(locations), status=status)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            origin.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(origin.answer())
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        origin.port = listener.sockets[0].getsockname()[1]
        yield origin


@asynccontextmanager
async def a_fetcher(origin: Origin, the_trap: Trap, folder: Path) -> AsyncIterator[Callable[[], Awaitable[Download]]]:
    """``await fetch()`` from *origin*, which alone is trusted, on its one port."""
    the_trap.ports.add(origin.port)
    names = {"good.example": ["8.8.8.8"], "localhost": ["127.0.0.1"], "metadata.google.internal": ["169.254.169.254"]}
    hosts = frozenset({f"127.0.0.1:{origin.port}"})
    async with guarded_client(hosts, resolve=resolver(names), ssl_context=NO_AUTHORITIES) as client:
        yield lambda: download(origin.url, folder / "clip.mp4", client=client, limits=ONCE)


@pytest.mark.parametrize("location", FORBIDDEN.split())
async def test_redirect_to_a_forbidden_place_is_not_followed(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its status, on each hop up to the last: one request more arrives at the origin, none elsewhere."""
    ways = [*((status, 0) for status in STATUSES), *((302, hops) for hops in range(1, REDIRECTS_MAX))]
    async with trap(monkeypatch) as the_trap, an_origin() as origin, a_fetcher(origin, the_trap, tmp_path) as fetch:
        target = location.replace("{trap}", str(the_trap.port)).replace("{own}", str(origin.port))
        for origin.status, hops in ways:
            origin.heads, origin.locations = [], [*["/again?n=1"] * hops, target]
            with pytest.raises((AddressForbidden, DownloadInterrupted)) as error:
                await fetch()
            assert len(origin.heads) == hops + 1
            assert "redirects more" not in str(error.value)
            assert list(tmp_path.iterdir()) == []
    assert the_trap.is_untouched, the_trap.dials


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize(
    "location",
    [
        "/next",
        "next?a=b",
        "?only=query",
        "///10.0.0.1/",
        "\\\\10.0.0.1\\",
        "//127.0.0.1:{own}/x",
        "http://127.0.0.1:{own}/",
    ],
)
async def test_redirect_within_what_is_allowed_is_followed(
    status: int, location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative, protocol-relative and whole addresses; the next request is a plain GET."""
    async with trap(monkeypatch) as the_trap, an_origin(status=status) as origin:
        origin.locations = [location.replace("{own}", str(origin.port))]
        async with a_fetcher(origin, the_trap, tmp_path) as fetch:
            await fetch()
    assert (tmp_path / "clip.mp4").read_bytes() == b"clip"
    assert [head.split()[0] for head in origin.heads] == ["GET", "GET"]


async def test_public_host_gets_nothing_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect to another allowed host carries no cookie, no Referer and no key with it."""
    async with (
        trap(monkeypatch) as the_trap,
        an_origin() as other,
        an_origin(f"http://127.0.0.1:{other.port}/x") as origin,
    ):
        the_trap.ports |= {origin.port, other.port}
        hosts = frozenset({"127.0.0.1"})
        async with guarded_client(hosts, ssl_context=NO_AUTHORITIES) as client:
            await download(f"{origin.url}?X-Amz-Signature=canary", tmp_path / "clip.mp4", client=client, limits=ONCE)
    (head,) = other.heads
    names = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:] if line}
    assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}
    assert "canary" not in head


@pytest.mark.parametrize(
    "locations",
    [["/a"] * 20, ["/a", "/b"] * 10, [f"/{n}" for n in range(20)], ["http://127.0.0.1:{own}/a"] * 20],
    ids=["itself", "two", "ever new", "whole"],
)
async def test_loop_ends(locations: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After five redirects, whether the addresses repeat or not."""
    async with trap(monkeypatch) as the_trap, an_origin() as origin:
        origin.locations = [each.replace("{own}", str(origin.port)) for each in locations]
        async with a_fetcher(origin, the_trap, tmp_path) as fetch:
            with pytest.raises(FrameRelayError, match="redirects more than 5 times"):
                await fetch()
    assert len(origin.heads) == REDIRECTS_MAX + 1
    assert the_trap.is_untouched


@pytest.mark.parametrize(
    "location",
    [
        "/x%0d%0aHost:%20evil.example%0d%0aAuthorization:%20canary",
        "/x?a=%0d%0a%0d%0aGET%20/admin%20HTTP/1.1",
        "/é\u2028x",
    ],
)
async def test_location_cannot_add_a_line_to_the_next_request(
    location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Line breaks stay encoded: one request line, one Host."""
    async with (
        trap(monkeypatch) as the_trap,
        an_origin(location) as origin,
        a_fetcher(origin, the_trap, tmp_path) as fetch,
    ):
        await fetch()
    lines = origin.heads[1].split("\r\n")
    assert len(origin.heads) == 2
    assert [line for line in lines if line.lower().startswith(("host", "authorization"))] == [
        f"Host: 127.0.0.1:{origin.port}"
    ]

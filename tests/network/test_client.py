"""The guard: which addresses are public, which URLs are opened, and that the checked address is the one contacted."""

import asyncio
import http
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpcore
import httpx
import pytest

from framerelay.network.client import GuardedBackend, guarded_client
from framerelay.network.policy import TrustedHosts, is_public
from framerelay.runs.errors import AddressForbidden

pytestmark = pytest.mark.anyio

FORBIDDEN = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254
    172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255
    198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    :: ::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:10.0.0.1 64:ff9b::169.254.169.254 64:ff9b::7f00:1
    64:ff9b:1::1 100::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:10::1 2001:db8::1 2002:7f00:1::
    2002:a9fe:a9fe::1 2002:808:808::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%2 fec0::1 ff02::1
"""
PUBLIC = """
    1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.1 172.15.255.255 172.32.0.1 192.0.1.1 198.17.255.255 198.20.0.1
    223.255.255.255 ::ffff:8.8.8.8 64:ff9b::8.8.8.8 2001:200::1 2606:4700::1111 2a00:1450:4001::1
"""


@pytest.mark.parametrize("address", FORBIDDEN.split())
def test_addresses_that_lead_inside_are_not_public(address: str) -> None:
    """Private, local, reserved, multicast, metadata; also wrapped in IPv6, where Python's predicates are wrong."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC.split())
def test_addresses_next_to_the_forbidden_blocks_are_public(address: str) -> None:
    """The list refuses no more than it must, down to the edges of its blocks."""
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://8.8.8.8/clip.mp4?sig=canary", "without encryption"),
        ("https://8.8.8.8:8443/clip.mp4?sig=canary", "on port 8443"),
        ("https://name:canary@8.8.8.8/clip.mp4", "user name or password"),
        ("ftp://8.8.8.8/canary", "only http and https"),
        ("clip.mp4?canary", "only http and https"),
        ("https://127.0.0.1/canary", "not a public address"),
        ("https://2130706433/canary", "127.0.0.1"),
        ("https://localhost/canary", "not a public address"),
        ("https://[fe80::1]/canary", "fe80::1"),
        (f"https://{'a' * 64}.example/canary", "not a host name"),
    ],
)
async def test_a_refusal_says_why(url: str, words: str) -> None:
    """Each rule in its own words, with neither path nor query; tests/security tries what the rules must refuse."""
    async with guarded_client() as client:
        with pytest.raises(AddressForbidden) as failure:
            await client.get(url)
    assert words in failure.value.message
    assert "canary" not in failure.value.message


async def test_trusted_host_may_be_private_and_plain_on_its_port_only() -> None:
    """``host:port`` opens that port; the same host on another port stays closed."""
    async with answering() as (port, _), guarded_client(frozenset({f"127.0.0.1:{port}"})) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/")).text == "hello"
        with pytest.raises(AddressForbidden):
            await client.get(f"http://127.0.0.1:{port + 1}/")


@pytest.mark.parametrize("entry", ["127.0.0.1", "Localhost", "localhost"])
async def test_trusted_host_without_a_port_is_trusted_on_all(entry: str) -> None:
    """``host`` opens every port, whatever its letters' case."""
    name = entry.lower()
    async with answering() as (port, _), guarded_client(frozenset({entry})) as client:
        assert (await client.get(f"http://{name}:{port}/")).text == "hello"


@pytest.mark.parametrize(
    ("entry", "host", "port", "covered"),
    [
        ("[::1]:8080", "::1", 8080, True),
        ("[::1]:8080", "::1", 8081, False),
        ("::1", "::1", 443, True),
        ("münchen.example", "xn--mnchen-3ya.example", 443, True),
        ("example.com:80", "example.com", 80, True),
        ("example.com", "sub.example.com", 443, False),
        ("example.com", "example.com.", 443, False),
    ],
)
def test_trust_is_by_the_exact_name(entry: str, host: str, port: int, covered: bool) -> None:
    """No wildcard, no suffix: what is not written is not trusted."""
    assert TrustedHosts([entry]).covers(host, port) is covered


@pytest.mark.parametrize(
    "entry", ["", "http://example.com", "user@example.com", "example.com/path", "example.com:port"]
)
def test_an_entry_that_cannot_be_read_is_named(entry: str) -> None:
    """A typing mistake in the trusted list stops the start; it does not silently trust nothing or everything."""
    with pytest.raises(ValueError, match="not a host"):
        guarded_client(frozenset({entry}))


async def test_next_address_is_tried_when_one_does_not_answer() -> None:
    """A host with a dead IPv6 address is still reached, within the one time-out."""
    recorder = Recorder(dead={"2606:4700::1111"})
    backend = GuardedBackend(TrustedHosts([]), resolve=fixed(["2606:4700::1111", "1.1.1.1"]), connect=recorder)
    await backend.connect_tcp("media.test", 443, timeout=5)
    assert recorder.addresses == ["2606:4700::1111", "1.1.1.1"]
    assert sum(recorder.timeouts) <= 5 + 2.5


async def test_a_name_that_does_not_resolve_is_a_connect_error() -> None:
    """It may pass by waiting, so it is not AddressForbidden."""

    async def unknown(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with guarded_client(resolve=unknown) as client:
        with pytest.raises(httpx.ConnectError, match="could not be resolved"):
            await client.get("https://media.test/")


async def test_a_name_server_that_hangs_ends_with_the_connect_timeout() -> None:
    """The time-out of connecting covers resolving."""

    async def hanging(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with guarded_client(resolve=hanging, connect_timeout_s=0.05) as client:
        with pytest.raises(httpx.ConnectTimeout):
            await client.get("https://media.test/")


async def test_host_header_and_server_name_stay_although_the_address_is_dialled(tmp_path: Path) -> None:
    """TLS is checked against the name in the URL, and the server is told that name."""
    names: list[str | None] = []
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    (tmp_path / "pem").write_text(CERTIFICATE)
    server_tls.load_cert_chain(tmp_path / "pem")
    server_tls.sni_callback = lambda _socket, name, _context: names.append(name)
    client_tls = ssl.create_default_context(cadata=CERTIFICATE[CERTIFICATE.index("-----BEGIN CERT") :])
    async with answering(server_tls) as (port, requests):
        hosts = frozenset({"media.test", "other.test"})
        async with guarded_client(hosts, resolve=fixed(["127.0.0.1"]), ssl_context=client_tls) as client:
            assert (await client.get(f"https://media.test:{port}/")).text == "hello"
            assert f"host: media.test:{port}" in requests[0].lower()
            assert names == ["media.test"]
            with pytest.raises(httpx.ConnectError):
                await client.get(f"https://other.test:{port}/")  # The certificate is not for this name.


async def test_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would resolve and connect in our place, past the guard."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with answering() as (port, _), guarded_client(frozenset({"127.0.0.1"})) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == http.HTTPStatus.OK


async def test_cookies_are_not_kept() -> None:
    """Two downloads from one host cannot be tied together, and nothing of one reaches the other."""
    async with answering() as (port, requests), guarded_client(frozenset({"127.0.0.1"})) as client:
        await client.get(f"http://127.0.0.1:{port}/")
        await client.get(f"http://127.0.0.1:{port}/")
    assert len(requests) == 2
    assert not any("cookie:" in request.lower() for request in requests)


def fixed(addresses: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that always gives these."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


@dataclass
class Recorder(httpcore.AsyncNetworkBackend):
    """Notes what would be connected to. A stand-in, because a public address cannot be reached from a test."""

    dead: set[str] = field(default_factory=set)
    addresses: list[str] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: object = None,
    ) -> httpcore.AsyncNetworkStream:
        self.addresses.append(host)
        self.timeouts.append(timeout or 0)
        if host in self.dead:
            raise httpcore.ConnectError("no route to host")
        return httpcore.AsyncMockStream([])


@asynccontextmanager
async def answering(tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[int, list[str]]]:
    """A server that says hello and sets a cookie; gives its port, and the requests that it saw."""
    requests: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\nConnection: close\r\n\r\nhello")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # A client that does not like our certificate.
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], requests


# For tests alone: made for media.test, valid for a hundred years, trusted by nobody.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgycgllBHYW8ynHOVq
HRj+cKmpnfTVbFUK7UqQG+T78iihRANCAARMhY0t5dvhMEwPLNjN9pKhiz2sEC2n
BH0uBKeLYyL/j5UTwLYaAfaXii2T0hM8EzxwHw0DqSkSDRzp+bkdmVyd
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBmDCCAT6gAwIBAgIUSKaTJ/OD7pNlXS0wCB9P4uRaue4wCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKbWVkaWEudGVzdDAgFw0yNjExMjIxNzA3MDhaGA8yMTI2MTAy
OTE3MDcwOFowFTETMBEGA1UEAwwKbWVkaWEudGVzdDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABEyFjS3l2+EwTA8s2M32kqGLPawQLacEfS4Ep4tjIv+PlRPAthoB
9peKLZPSEzwTPHAfDQOpKRINHOn5uR2ZXJ2jajBoMB0GA1UdDgQWBBSs7k2APu7t
LPjGPW1bk2jWqZGKYDAfBgNVHSMEGDAWgBSs7k2APu7tLPjGPW1bk2jWqZGKYDAP
BgNVHRMBAf8EBTADAQH/MBUGA1UdEQQOMAyCCm1lZGlhLnRlc3QwCgYIKoZIzj0E
AwIDSAAwRQIhAP/+0M5hGY5JrJ+8qcz6ZpgjoDfuN9g5q3zqrhi3VIPDAiAHW6Yv
UY9JRn/k5sA/rNTulg6W7QsWh6yorySDvsWF2A==
-----END CERTIFICATE-----
"""

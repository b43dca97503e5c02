"""
The guard in front of every connection that a stranger's URL makes us open (a clip, an image, a notification).

The check is on the address that is connected to, after DNS, not on the URL: a name is resolved once, all that it
resolves to is looked at, and the connection goes to an address from that list. A second resolution, which could answer
otherwise (DNS rebinding), does not happen. Host header and SNI keep the name.

Python's own predicates (``is_global``, ``is_private``) are not used: they take 224.0.0.0/4 and NAT64 to a metadata
service for global, and 100.64.0.0/10 for neither. The lists below are IANA's special-purpose registries, as of 2026.
"""

import asyncio
import re
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import anyio
import httpcore
import httpx

from runs.errors import AddressForbidden

BYTES_RECEIVED = "framerelay.bytes_received"
"""For ``get_extra_info`` of a response's network stream: bytes that came over it, framing included."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → IP addresses as text, best first; raises socket.gaierror."""

FORBIDDEN_V4 = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # This network; 0.0.0.0 reaches loopback on Linux.
        "10.0.0.0/8",
        "100.64.0.0/10",  # Carrier-grade NAT; holds 100.100.100.200, Alibaba's metadata service.
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host agent: a public number that only leads inside.
        "169.254.0.0/16",  # Link-local; metadata of most clouds.
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF assignments; 192.0.0.192 is Oracle's metadata service.
        "192.0.2.0/24",  # Documentation, as 198.51.100.0/24 and 203.0.113.0/24.
        "192.31.196.0/24",  # AS112, as 192.175.48.0/24.
        "192.52.193.0/24",  # AMT.
        "192.88.99.0/24",  # 6to4 relays.
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",  # Benchmarks.
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # Multicast.
        "240.0.0.0/4",  # Reserved, and broadcast.
    )
)
GLOBAL_V6 = IPv6Network("2000::/3")
"""All global unicast there is; loopback, link-local, unique local, site-local, multicast, SRv6 lie outside."""

FORBIDDEN_V6 = tuple(
    ip_network(block)
    for block in (
        "2001::/23",  # IETF assignments; holds Teredo (2001::/32) and ORCHID.
        "2001:db8::/32",  # Documentation, as 3fff::/20.
        "2002::/16",  # 6to4: given up since RFC 7526, and any IPv4 address can hide in it.
        "2620:4f:8000::/48",  # AS112.
        "3fff::/20",
    )
)
CARRIES_V4 = (
    IPv6Network("::ffff:0:0/96"),  # IPv4-mapped.
    IPv6Network("64:ff9b::/96"),  # NAT64, which IPv6-only hosts need to reach public IPv4.
)
ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""The third quarter of an IPv6 address, under whatever prefix, whose last quarter is an IPv4 address (RFC 5214)."""

HOST_NAME = re.compile(r"(?=.{1,254}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?|[0-9a-f:.]*:[0-9a-f:.]*", re.ASCII)
"""A name as DNS and containers have them, or an address; no zone id, no percent-encoding, nothing empty."""


def guarded_client(
    trusted: frozenset[str] = frozenset(),
    *,
    connect_timeout_s: float = 10,
    read_timeout_s: float = 30,
    connections_max: int = 100,
    resolve: Resolve | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """
    A client that contacts public addresses by https on port 443 only, whatever URL it is given.

    *trusted* entries are ``host`` or ``host:port`` (``[::1]:8080`` for IPv6), compared as written, not resolved: they
    may be private, use plain http and any port. Plain http to anyone else is refused: no provider needs it, and what
    comes over it could have been made by anyone. Redirects are not followed by the client, proxies and netrc of the
    environment are not used, cookies are not kept, user:password in a URL is refused.

    *resolve* and *ssl_context* stand in for DNS and the usual certificate authorities (or those of SSL_CERT_FILE).
    Raises, from a request: AddressForbidden. From here: ValueError for an entry of *trusted* that cannot be read.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(
            Trusted(trusted),
            resolve=resolve or resolve_name,
            ssl_context=ssl_context or httpx.create_ssl_context(),
            connections_max=connections_max,
        ),
        timeout=httpx.Timeout(read_timeout_s, connect=connect_timeout_s),
        follow_redirects=False,
        trust_env=False,
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        headers={"User-Agent": "framerelay"},
    )


def is_public(address: str) -> bool:
    """Whether *address* (an IP as text) belongs to a host on the public internet, as far as registries tell."""
    ip = _unwrapped(ip_address(address.partition("%")[0]))
    if isinstance(ip, IPv4Address):
        return not any(ip in block for block in FORBIDDEN_V4)
    if ip not in GLOBAL_V6 or (int(ip) >> 32) & 0xFFFF_FFFF in ISATAP:
        return False
    return not any(ip in block for block in FORBIDDEN_V6)


def _unwrapped(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, where it does and may."""
    if isinstance(ip, IPv6Address) and any(ip in block for block in CARRIES_V4):
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip


class Trusted:
    """The hosts that a person vouched for by name, each for one port or for all."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = frozenset(_host_and_port(entry) for entry in entries)

    def covers(self, host: str, port: int) -> bool:
        """Whether *host*, as it stands in the URL (IDNA, lower case, no brackets), is trusted on *port*."""
        return (host, port) in self._entries or (host, None) in self._entries


def _host_and_port(entry: str) -> tuple[str, int | None]:
    if entry.count(":") > 1 and not entry.startswith("["):
        entry = f"[{entry}]"
    try:
        url = httpx.URL(f"any://{entry}")
    except httpx.InvalidURL as error:
        raise ValueError(f"{entry!r} is not a host or host:port: {error}") from error
    if not url.host or url.userinfo or url.raw_path not in (b"", b"/"):
        raise ValueError(f"{entry!r} is not a host or host:port")
    return url.raw_host.decode("ascii").lower(), url.port


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks the URL, then lets httpcore speak HTTP over connections that GuardedBackend opens."""

    def __init__(
        self, trusted: Trusted, *, resolve: Resolve, ssl_context: ssl.SSLContext, connections_max: int
    ) -> None:
        self._trusted = trusted
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=connections_max,
            max_keepalive_connections=20,
            keepalive_expiry=5,
            network_backend=GuardedBackend(trusted, resolve=resolve),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; redirects come back as they are."""
        check_url(request.url, self._trusted)
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("an async client sends async bodies")
        url = request.url
        core_request = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _httpx_errors():
            response = await self._pool.handle_async_request(core_request)
        return httpx.Response(
            response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    async def aclose(self) -> None:
        """Close all connections."""
        await self._pool.aclose()


def check_url(url: httpx.URL, trusted: Trusted) -> None:
    """
    Refuse what can be refused before DNS is asked.

    Raises: AddressForbidden; its message names the host, never the path or query.
    """
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressForbidden(f"only http and https addresses are opened, not {url.scheme or 'one without a scheme'}")
    if url.userinfo:
        raise AddressForbidden(f"the address of {url.host} carries a user name or password")
    host = url.raw_host.decode("ascii").lower()
    if not HOST_NAME.fullmatch(host):
        raise AddressForbidden(f"{url.host[:100]!r} is not a host name")
    port = (443 if url.scheme == "https" else 80) if url.port is None else url.port
    if trusted.covers(host, port):
        return
    if url.scheme == "http":
        raise AddressForbidden(f"{url.host} would be contacted without encryption; it is not a trusted host")
    if port != 443:
        raise AddressForbidden(f"{url.host} would be contacted on port {port}; it is not a trusted host")


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections for httpcore, to checked addresses only. Unix sockets are not offered."""

    def __init__(
        self, trusted: Trusted, *, resolve: Resolve, connect: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._trusted = trusted
        self._resolve = resolve
        self._connect = connect or httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve *host* once, check all of it, connect to the first address that answers; *timeout* (s) for all."""
        deadline = time.monotonic() + (timeout if timeout is not None else 60)
        addresses = await self._checked_addresses(host, port, deadline)
        for n, address in enumerate(addresses):
            share = max(0.001, deadline - time.monotonic()) / (len(addresses) - n)
            try:
                stream = await self._connect.connect_tcp(address, port, share, local_address, socket_options)
                return _Metered(stream)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if n == len(addresses) - 1:
                    raise
        raise httpcore.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        """Wait, on behalf of httpcore."""
        await anyio.sleep(seconds)

    async def _checked_addresses(self, host: str, port: int, deadline: float) -> Sequence[str]:
        try:
            async with asyncio.timeout(max(0.001, deadline - time.monotonic())):
                addresses = await self._resolve(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"the name {host} could not be resolved in time") from error
        except socket.gaierror as error:
            raise httpcore.ConnectError(f"the name {host} could not be resolved: {error.strerror}") from error
        except UnicodeError as error:
            raise AddressForbidden(f"{host!r} is not a host name") from error
        if not self._trusted.covers(host, port):
            # One forbidden address among public ones is an attack or a mistake: the whole name is refused.
            for address in addresses:
                if not is_public(address):
                    raise AddressForbidden(f"{host} leads to {address}, which is not a public address")
        return addresses


class _Metered(httpcore.AsyncNetworkStream):
    """A connection that counts what comes over it; httpx only shows what is left when the framing is taken off."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._received = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        self._received += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _Metered(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._received if info == BYTES_RECEIVED else self._stream.get_extra_info(info)


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; decimal, octal and hexadecimal spellings of an address come out plain."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _Body(httpx.AsyncByteStream):
    """A response body whose errors are httpx's."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _httpx_errors():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _httpx_errors() -> Iterator[None]:
    """Turn httpcore's errors into those of the same name in httpx, as httpx's own transport does."""
    try:
        yield
    except Exception as error:
        for kind in type(error).__mro__:
            twin = getattr(httpx, kind.__name__, None)
            if kind.__module__ == "httpcore" and isinstance(twin, type) and issubclass(twin, httpx.TransportError):
                raise twin(str(error)) from error
        raise

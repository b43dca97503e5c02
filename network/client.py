"""
The guard in front of every connection that a stranger's URL makes us open (a clip, an image, a notification).

The check is on the address that is connected to, after DNS, not on the URL: a name is resolved once, all its addresses
are checked, and the connection goes to one from that list. A second resolution, which could give a different answer
(DNS rebinding), does not happen. Host header and SNI keep the name.

Which addresses are allowed, and what can be checked in a URL itself: `network.policy`.
"""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import anyio
import httpcore
import httpx

from framerelay.network.policy import TrustedHosts, check_url, is_public
from framerelay.runs.errors import AddressForbidden

BYTES_RECEIVED = "framerelay.bytes_received"
"""For ``get_extra_info`` of a response's network stream: bytes that came over it, framing included."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host and port → IP addresses as text, best first; raises socket.gaierror."""


def guarded_client(
    trusted_hosts: frozenset[str] = frozenset(),
    *,
    connect_timeout_s: float = 10,
    read_timeout_s: float = 30,
    connections_max: int = 100,
    resolve: Resolve | None = None,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """
    A client that only contacts public addresses by https on port 443, whatever URL it is given.

    *trusted_hosts* are ``host`` or ``host:port`` (``[::1]:8080`` for IPv6), compared as written, not resolved: they may
    be private, use plain http and any port. Plain http to any other host is refused: no provider needs it, and anybody
    could have forged the answer. Redirects are not followed by the client, proxies and netrc of the environment are not
    used, cookies are not kept, user:password in a URL is refused.

    *resolve* and *ssl_context* replace DNS and the usual certificate authorities (or those of SSL_CERT_FILE).
    Raises, from a request: AddressForbidden. From here: ValueError for an entry of *trusted_hosts* that cannot be read.
    """
    return httpx.AsyncClient(
        transport=GuardedTransport(
            TrustedHosts(trusted_hosts),
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


class GuardedTransport(httpx.AsyncBaseTransport):
    """Checks the URL, then lets httpcore speak HTTP over connections that GuardedBackend opens."""

    def __init__(
        self, trusted_hosts: TrustedHosts, *, resolve: Resolve, ssl_context: ssl.SSLContext, connections_max: int
    ) -> None:
        self._trusted_hosts = trusted_hosts
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=connections_max,
            max_keepalive_connections=20,
            keepalive_expiry=5,
            network_backend=GuardedBackend(trusted_hosts, resolve=resolve),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; redirects come back as they are."""
        check_url(request.url, self._trusted_hosts)
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


class GuardedBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections for httpcore, to checked addresses only. Unix sockets are not offered."""

    def __init__(
        self, trusted_hosts: TrustedHosts, *, resolve: Resolve, connect: httpcore.AsyncNetworkBackend | None = None
    ) -> None:
        self._trusted_hosts = trusted_hosts
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
        """Resolve *host* once, check all addresses, connect to the first that answers; *timeout* (s) for all."""
        deadline = time.monotonic() + (timeout if timeout is not None else 60)
        addresses = await self._checked_addresses(host, port, deadline)
        for n, address in enumerate(addresses):
            share = max(0.001, deadline - time.monotonic()) / (len(addresses) - n)
            try:
                stream = await self._connect.connect_tcp(address, port, share, local_address, socket_options)
                return _MeteredStream(stream)
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
            raise httpcore.ConnectError(
                f"the name {host} could not be resolved: {(error.strerror or str(error)).lower()}"
            ) from error
        except UnicodeError as error:
            raise AddressForbidden(f"{host!r} is not a host name") from error
        if not self._trusted_hosts.covers(host, port):
            # One forbidden address among public ones is an attack or a mistake: the whole name is refused.
            for address in addresses:
                if not is_public(address):
                    raise AddressForbidden(f"{host} leads to {address}, which is not a public address")
        return addresses


class _MeteredStream(httpcore.AsyncNetworkStream):
    """A connection that counts its traffic; httpx only shows what is left once the framing is removed."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._received_bytes = 0

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        self._received_bytes += len(data)
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        return _MeteredStream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._received_bytes if info == BYTES_RECEIVED else self._stream.get_extra_info(info)


async def resolve_name(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver; decimal, octal and hexadecimal spellings of an address come out normalized."""
    entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


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

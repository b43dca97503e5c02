"""
How the address of a Redis is read.

    redis://HOST · rediss://HOST · unix:///PATH     one server, or an address that always leads to the primary
    redis+sentinel://HOST:PORT,HOST:PORT/NAME       the server that the sentinels call the primary; rediss+… with TLS
    redis+cluster://HOST:PORT,HOST:PORT             the node of a cluster that has our slot; rediss+cluster:// with TLS
"""

import weakref
from copy import copy
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from redis.asyncio import BlockingConnectionPool
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.sentinel import Sentinel, SentinelManagedConnection, SentinelManagedSSLConnection

from framerelay.config.parse import CLUSTER_SCHEMES, SENTINEL_SCHEMES
from framerelay.config.settings import Settings
from framerelay.store.cluster import ClusterPool

_WITH_TLS: Final = ("rediss://", SENTINEL_SCHEMES[1], CLUSTER_SCHEMES[1])
REDIS_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
SENTINEL_S: Final = 1.0  # Without an answer, the next one is asked.
_OF_SENTINELS: Final = "sentinel_"  # Options in the address for the sentinels, such as ``sentinel_password``.


def redis_address(settings: Settings) -> str | None:
    """The address in the settings, with their certificate authorities if it uses TLS; None without one."""
    url = settings.redis_url
    if url is None or settings.ca_file is None or not url.startswith(_WITH_TLS) or "ssl_ca_certs=" in url:
        return url
    path = quote(quote(str(settings.ca_file)), safe="")  # redis-py decodes the part after the ? twice.
    return f"{url}{'&' if '?' in url else '?'}ssl_ca_certs={path}"


def redact_url(url: str) -> str:
    """The address without the user, the passwords and anything else that it may contain."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def hosts_of(url: str) -> list[str]:
    """The servers to contact first, each as ``redis://HOST:PORT``."""
    return [f"redis://{host}" for host in urlsplit(url).netloc.rpartition("@")[2].split(",") if host]


def pool_of(url: str, **options: Any) -> BlockingConnectionPool:
    """Connections to the Redis at *url*; nothing is contacted yet; its own *options* take precedence."""
    if url.startswith(SENTINEL_SCHEMES):
        return _sentinel_pool(url, options)
    if url.startswith(CLUSTER_SCHEMES):
        return _cluster_pool(url, options)
    return BlockingConnectionPool(**{**options, **_options_of(url)})


def _options_of(url: str) -> dict[str, Any]:
    """What the address of one server says about a connection to it."""
    options: dict[str, Any] = {**parse_url(url)}
    if options.get("connection_class") is SSLConnection and options.get("ssl_cert_reqs", "required") == "required":
        options.setdefault("ssl_check_hostname", True)  # Otherwise anybody with any certificate could be in between.
    return options


class SentinelPool(BlockingConnectionPool):
    """Connections to the primary of *name*: *sentinel* is asked before each is made, and after a demotion."""

    is_master = True  # redis-py's connection reads these two.
    check_connection = False

    def __init__(self, sentinel: Sentinel, name: str, **options: Any) -> None:
        super().__init__(**options)
        self.connection_kwargs["connection_pool"] = weakref.proxy(self)
        self._sentinel, self._name = sentinel, name

    async def get_master_address(self) -> tuple[str, int]:
        """Raises: MasterNotFoundError."""
        asking = copy(self._sentinel)
        # redis-py moves the one that answered to the front of a list that others iterate over: they would skip one.
        asking.sentinels = list(self._sentinel.sentinels)
        host, port = await asking.discover_master(self._name)
        self._sentinel.sentinels = asking.sentinels
        return str(host), int(port)

    async def disconnect(self, inuse_connections: bool = True) -> None:
        """Including those to the sentinels."""
        await super().disconnect(inuse_connections)
        for each in self._sentinel.sentinels:
            await each.connection_pool.disconnect()


def _sentinel_pool(url: str, options: dict[str, Any]) -> SentinelPool:
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    query = parse_qsl(parts.query)
    of_sentinels = {name.removeprefix(_OF_SENTINELS): value for name, value in query if name.startswith(_OF_SENTINELS)}
    rest = urlencode([(name, value) for name, value in query if not name.startswith(_OF_SENTINELS)])
    own = _options_of(f"{parts.scheme.removesuffix('+sentinel')}://{user}{'@' if user else ''}/?{rest}")
    with_tls = own.pop("connection_class", None) is SSLConnection
    own["connection_class"] = SentinelManagedSSLConnection if with_tls else SentinelManagedConnection
    tls = {"ssl": with_tls, **{name: value for name, value in own.items() if name.startswith("ssl_")}}
    clocks = {"socket_timeout": SENTINEL_S, "socket_connect_timeout": SENTINEL_S}
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        [_place(host, SENTINEL_PORT) for host in hosts.split(",")], sentinel_kwargs={**clocks, **tls, **of_sentinels}
    )
    return SentinelPool(sentinel, parts.path.strip("/"), **{**options, **own})


def _cluster_pool(url: str, options: dict[str, Any]) -> ClusterPool:
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    own = _options_of(f"{parts.scheme.removesuffix('+cluster')}://{user}{at}/?{parts.query}")
    return ClusterPool([_place(host, REDIS_PORT) for host in hosts.split(",")], **{**options, **own})


def _place(host: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"redis://{host}")
    return parts.hostname or "", parts.port or port

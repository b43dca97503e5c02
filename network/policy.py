"""
Which addresses may be contacted, as far as the text shows; `network.client` asks again for what a name resolved to.

Python's own predicates (``is_global``, ``is_private``) are not used: they treat 224.0.0.0/4 and NAT64 to a metadata
service as global, and 100.64.0.0/10 as neither. The lists below are IANA's special-purpose registries, as of 2026.
"""

import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

import httpx

from framerelay.config.urls import check_parts, parse_url
from framerelay.runs.errors import AddressForbidden

HOW_TO_TRUST: Final = "a host of your own has to be named in FRAMERELAY_TRUSTED_HOSTS where FrameRelay runs"

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
        "2002::/16",  # 6to4: deprecated by RFC 7526, and any IPv4 address can hide in it.
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
"""A name in the form of DNS and containers, or an address; no zone id, no percent-encoding, nothing empty."""


class TrustedHosts:
    """The hosts that a person vouched for by name, each for one port or for all."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = frozenset(_host_and_port(entry) for entry in entries)

    def covers(self, host: str, port: int) -> bool:
        """Whether *host*, in the form it has in the URL (IDNA, lower case, no brackets), is trusted on *port*."""
        return (host, port) in self._entries or (host, None) in self._entries


def _host_and_port(entry: str) -> tuple[str, int | None]:
    if entry.count(":") > 1 and not entry.startswith("["):
        entry = f"[{entry}]"
    try:
        url = parse_url(f"any://{entry}")
    except ValueError as error:
        raise ValueError(f"{entry!r} is not a host or host:port: {error}") from error
    if not url.host or url.userinfo or url.raw_path not in (b"", b"/"):
        raise ValueError(f"{entry!r} is not a host or host:port")
    return url.raw_host.decode("ascii").lower(), url.port


def check_url(url: httpx.URL, trusted_hosts: TrustedHosts) -> None:
    """
    Refuse what can be refused before DNS is asked.

    Raises: AddressForbidden; its message names the host, never the path or query.
    """
    try:
        check_parts(url)
    except ValueError:
        raise AddressForbidden("the address has no host that can be a name") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise AddressForbidden(f"only http and https addresses are opened, not {url.scheme or 'one without a scheme'}")
    if url.userinfo:
        raise AddressForbidden(f"the address of {url.host} carries a user name or password")
    host = url.raw_host.decode("ascii").lower()
    if not HOST_NAME.fullmatch(host):
        raise AddressForbidden(f"{url.host[:100]!r} is not a host name")
    port = port_of(url)
    if trusted_hosts.covers(host, port):
        return
    if url.scheme == "http":
        raise AddressForbidden(f"{url.host} would be contacted without encryption; it is not a trusted host")
    if port != 443:
        raise AddressForbidden(f"{url.host} would be contacted on port {port}; it is not a trusted host")


def port_of(url: httpx.URL) -> int:
    """The port of *url*, explicit or implied."""
    return (443 if url.scheme == "https" else 80) if url.port is None else url.port


def check_in_advance(address: str, trusted_hosts: TrustedHosts) -> None:
    """
    Refuse what is known to be refused before any DNS: what `check_url` refuses, this machine, private addresses.

    Raises: AddressForbidden.
    """
    try:
        url = parse_url(address)
    except ValueError:
        raise AddressForbidden("it is not an address that can be opened") from None
    check_url(url, trusted_hosts)
    host = url.raw_host.decode("ascii").lower().rstrip(".")
    number = _number(host)
    inside = not is_public(number) if number else host == "localhost" or host.endswith(".localhost")
    if inside and not trusted_hosts.covers(host, port_of(url)):
        raise AddressForbidden(f"{url.host} is not a public address")


def _number(host: str) -> str | None:
    """The IP address that *host* is; ``127.1`` and ``2130706433`` are addresses, too, to code that connects."""
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return host if ":" in host else None


def is_public(address: str) -> bool:
    """Whether *address* (an IP as text) belongs to a host on the public internet, as far as registries tell."""
    ip = _unwrap(ip_address(address.partition("%")[0]))
    if isinstance(ip, IPv4Address):
        return not any(ip in block for block in FORBIDDEN_V4)
    if ip not in GLOBAL_V6 or (int(ip) >> 32) & 0xFFFF_FFFF in ISATAP:
        return False
    return not any(ip in block for block in FORBIDDEN_V6)


def _unwrap(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for; None if it stands for none, or may not."""
    if isinstance(ip, IPv6Address) and any(ip in block for block in CARRIES_V4):
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip

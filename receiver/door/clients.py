"""Who sent a request: the address that it came from, as named by proxies only if the settings trust them."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.requests import Request

Network = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address


def client_of(request: Request, *, proxies: frozenset[Network]) -> str:
    """
    The address that counts, as text: for IPv6 the first 64 bits, since somebody who has one address has all of them.

    Headers are only trusted from *proxies*, from right to left: each proxy adds on the right whom it heard, and
    anything left of the first address that is not one of our proxies was written by a stranger.
    """
    peer = _read(request.client.host) if request.client else None
    if peer is None:
        return "unknown"
    sender = peer
    if _is_among(peer, proxies):
        for hop in reversed(_hops(request.headers)):
            address = _read(hop)
            if address is None:
                break
            sender = address
            if not _is_among(address, proxies):
                break
    return str(sender if isinstance(sender, IPv4Address) else ip_network((sender, 64), strict=False))


def _hops(headers: Headers) -> list[str]:
    """
    The addresses that the proxies name, in their order.

    A proxy writes one of the two headers and may pass the other on as it came: if both are there, nobody knows which
    one the stranger wrote, and neither counts.
    """
    by_name = ",".join(headers.getlist("x-forwarded-for")), ",".join(headers.getlist("forwarded"))
    match by_name:
        case (names, ""):
            return names.split(",") if names else []
        case ("", elements):
            return [_for(element) for element in elements.split(",")]
    return []


def _for(element: str) -> str:
    pairs = (pair.partition("=") for pair in element.split(";"))
    return next((value for name, _, value in pairs if name.strip().lower() == "for"), "")


def _read(text: str) -> IpAddress | None:
    """An address with or without a port, brackets and quotes; IPv4 within IPv6 becomes the IPv4 address."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_among(address: IpAddress, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)

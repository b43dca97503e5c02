"""
From the text of a setting to its value; one function for each kind.

Raises: ValueError; its message begins with "it must", or is Python's own about text that is not a number.
"""

import base64
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Secret

from framerelay.config.urls import parse_url

_STORE: Final = re.compile(r"(?:s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]{1,250}(?:/[A-Za-z0-9._/-]*)?")
FOREVER: Final = "forever"
SENTINEL_SCHEMES: Final = ("redis+sentinel://", "rediss+sentinel://")
CLUSTER_SCHEMES: Final = ("redis+cluster://", "rediss+cluster://")
_CLUSTER: Final = re.compile(
    r"rediss?\+cluster://(?:[^@/?#\s]*@)?[^,@/?#\s]+(?:,[^,@/?#\s]+)*/?0?(?:\?[^#\s]*)?", re.ASCII
)
_SENTINEL: Final = re.compile(
    r"rediss?\+sentinel://(?:[^@/?#\s]*@)?[^,@/?#\s]+(?:,[^,@/?#\s]+)*/[\w.-]+(?:\?[^#\s]*)?", re.ASCII
)


def as_url(text: str) -> str:
    """A base address: http or https, nothing after the path."""
    try:
        parts, url = urlsplit(text), parse_url(text)
        sound = url.scheme in ("http", "https") and url.host and parts.port != 0
    except ValueError:  # Half an IPv6 address, a port that is not a number, a host that cannot be a name.
        sound = False
    if not sound or any(letter.isspace() for letter in text):
        raise ValueError("it must be an http:// or https:// address")
    if "@" in parts.netloc:
        raise ValueError("it must not carry a user name or password")
    if "?" in text or "#" in text:
        raise ValueError("it must end before any ? or #: paths are added to it")
    return text.rstrip("/")


def as_redis_url(text: str) -> str:
    """An address of a Redis."""
    if text.startswith(CLUSTER_SCHEMES):
        if not _CLUSTER.fullmatch(text):
            raise ValueError(f"it must be {CLUSTER_SCHEMES[0]}HOST:PORT,HOST:PORT: a cluster has database 0 alone")
        return text
    if text.startswith(SENTINEL_SCHEMES) and not _SENTINEL.fullmatch(text):
        raise ValueError(
            f"it must be {SENTINEL_SCHEMES[0]}HOST:PORT,HOST:PORT/NAME, with the NAME that the sentinels watch"
        )
    if not text.startswith(("redis://", "rediss://", "unix://", *SENTINEL_SCHEMES)):
        others = " or ".join((*SENTINEL_SCHEMES, *CLUSTER_SCHEMES))
        raise ValueError(f"it must start with redis://, rediss://, unix://, {others}")
    return text


def as_store(text: str) -> str:
    """A bucket, with an optional prefix in it."""
    folders = text.rstrip("/").split("/")[3:]
    if not _STORE.fullmatch(text) or {"", ".", ".."}.intersection(folders):
        raise ValueError("it must be s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX")
    return text.rstrip("/")


def as_path(text: str) -> Path:
    """A path; ``~`` is the home folder."""
    return Path(text).expanduser().absolute()


def as_secret(text: str) -> Secret:
    """Text that is never shown."""
    return Secret(text)


def as_secrets(text: str) -> tuple[Secret, ...]:
    """Texts that are never shown, separated by commas."""
    return tuple(Secret(each.strip()) for each in text.split(",") if each.strip())


def as_signing_secrets(text: str) -> tuple[Secret, ...]:
    """Secrets of Standard Webhooks, separated by commas: ``whsec_`` and the base64 of 24 to 64 bytes."""
    secrets = as_secrets(text)
    for each in map(str, secrets):
        try:
            key = base64.b64decode(each.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not each.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError("it must be whsec_ and the base64 of 24 to 64 bytes, several with commas between")
    return secrets


def as_hosts(text: str) -> frozenset[str]:
    """Names of hosts with or without a port, in lower case."""
    hosts = frozenset(host.strip().lower() for host in text.split(",") if host.strip())
    if any("/" in host or " " in host for host in hosts):
        raise ValueError("it must be a list of host or host:port with commas between, without http://")
    return hosts


def as_networks(text: str) -> frozenset[IPv4Network | IPv6Network]:
    """Addresses and networks."""
    try:
        return frozenset(ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError("it must be a list of addresses or networks (10.0.0.0/8) with commas between") from None


def as_port(text: str) -> int:
    """A port; 0 lets the system choose."""
    number = int(text)
    if not 0 <= number <= 65535:
        raise ValueError("it must be between 0 and 65535")
    return number


def as_positive(text: str) -> int:
    """A whole number from 1 up."""
    number = int(text)
    if number < 1:
        raise ValueError("it must be 1 or more")
    return number


def as_number(text: str) -> int:
    """A whole number from 0 up."""
    number = int(text)
    if number < 0:
        raise ValueError("it must be 0 or more")
    return number


def as_seconds(text: str) -> float:
    """Seconds above 0; they may have a fraction."""
    number = float(text)
    if not 0 < number < 10**9:
        raise ValueError("it must be a number of seconds above 0")
    return number


def as_keeping(text: str) -> float | None:
    """Seconds above 0, or ``forever``: None."""
    return None if text == FOREVER else as_seconds(text)


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader that accepts only these words."""

    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError("it must be one of " + ", ".join(choices))
        return text

    return parse

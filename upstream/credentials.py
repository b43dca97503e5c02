"""What a person enters about a provider, checked: its address and its key; and ids from outside. Pure functions."""

import hashlib
from fnmatch import fnmatchcase
from urllib.parse import quote, quote_plus, urlsplit

from framerelay.config.urls import host_of, parse_url
from framerelay.runs.errors import RequestInvalid
from framerelay.upstream.job import JOB_ID_CHARACTERS_MAX
from framerelay.upstream.profile import Profile

KEY_CHARACTERS_MIN = 8


def base_of(base_url: str, profile: Profile) -> str:
    """*base_url* without trailing slashes, and without ``/v1`` if the paths of *profile* begin with it."""
    try:
        parts, url = urlsplit(base_url.strip()), parse_url(base_url.strip())
        is_usable = url.scheme in ("http", "https") and url.host and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or parts.query or parts.fragment:
        raise RequestInvalid("the upstream's address must be http(s)://host[:port][/path]", param="base_url")
    if parts.username or parts.password:
        raise RequestInvalid(
            "the upstream's address must not hold a password; the key has its own place", param="base_url"
        )
    root = base_url.strip().rstrip("/")
    return root.removesuffix("/v1").rstrip("/") if profile.create.post.startswith("/v1/") else root


def hosts_of(base: str, profile: Profile) -> frozenset[str]:
    """The hosts that the key is for: at the profile's address all its hosts, at another (a gateway) only that host."""
    host, own = host_of(base), frozenset((host_of(profile.base), *profile.hosts))
    return frozenset((host,)) if host not in own else own


def clip_key_hosts(base: str, profile: Profile) -> frozenset[str]:
    """The hosts that get the key when a clip is fetched: those of `hosts_of` that serve clips, if the profile says."""
    theirs = {host_of(profile.base), *profile.hosts}
    return frozenset(host for host in hosts_of(base, profile) if host not in theirs or is_clip_host(host, profile))


def is_clip_host(host: str, profile: Profile) -> bool:
    """Whether *host* is known to serve clips; if the profile names no hosts, every host is."""
    patterns = profile.download.hosts
    return not patterns or any(fnmatchcase(host.lower(), pattern.lower()) for pattern in patterns)


def usable_key(key: str) -> str:
    """*key*, if it can be sent in a header. Raises: RequestInvalid, in words that do not show it."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise RequestInvalid("the upstream's key must be one word of printable ASCII", param="key")
    return key


def key_mark(key: str) -> str:
    """Distinguishes *key* from others, and reveals nothing else: it is stored with a run."""
    return hashlib.sha256(b"framerelay key mark v1\n" + key.encode()).hexdigest()[:12]


def spellings_of(key: str) -> tuple[bytes, ...]:
    """How an answer may write *key*; a short one occurs in many answers by chance, and is left there."""
    if len(key) < KEY_CHARACTERS_MIN:
        return ()
    return tuple({each.encode() for each in (key, key.replace("/", "\\/"), quote(key, safe=""), quote_plus(key))})


def usable_id(job_id: str) -> str:
    """Ids come out of callbacks, so they may try to be more than a part of an address."""
    if job_id in ("", ".", "..") or len(job_id) > JOB_ID_CHARACTERS_MAX:
        raise RequestInvalid("the job id cannot be part of an address", param="job_id")
    return job_id

"""Headers for some hosts only: the key of a provider that requires it for its clips."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HostHeaders:
    """
    Headers that are sent to these *hosts* and to no other, wherever a redirect leads: a key. Without TLS only if
    *plain*.
    """

    hosts: frozenset[str]
    headers: Mapping[str, str] = field(repr=False)
    plain: bool = False

    def at(self, scheme: str, host: str) -> Mapping[str, str]:
        """The headers for *host* with that *scheme*."""
        return self.headers if host in self.hosts and (self.plain or scheme == "https") else {}

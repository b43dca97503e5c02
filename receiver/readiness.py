"""Whether and where a callback would be kept if it arrived now: found out by keeping something."""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import structlog

from framerelay.runs.errors import StorageFailed, StoreUnavailable
from framerelay.store.inbox import Inbox
from framerelay.store.spool import Spool

HOLDS_S: Final = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessReport:
    """*status*: ``ok`` · ``degraded`` · ``refused``; *reason*: what to fix, None if all is well."""

    status: str
    reason: str | None = None


class Readiness:
    """Finds out if a callback could be kept, by doing so, once in `HOLDS_S` seconds however many ask."""

    def __init__(self, inbox: Inbox, spool: Spool) -> None:
        self._inbox = inbox
        self._spool = spool
        self._asking = asyncio.Lock()
        self._report = ReadinessReport(status="ok")
        self._holds_until = 0.0

    async def find_out(self) -> ReadinessReport:
        """The result of less than `HOLDS_S` ago, or a new one; within some three seconds, whatever hangs."""
        async with self._asking:
            if time.monotonic() >= self._holds_until:
                report = await self._try()
                self._holds_until = time.monotonic() + HOLDS_S
                if report.status != self._report.status:
                    log.warning("readiness_changed", status=report.status, reason=report.reason)
                self._report = report
            return self._report

    async def _try(self) -> ReadinessReport:
        try:
            await self._inbox.check_writable()
            return ReadinessReport(status="ok")
        except StoreUnavailable as error:
            trouble = error.message
        try:
            await self._spool.check_writable()
        except StorageFailed as error:
            return ReadinessReport(status="refused", reason=f"{trouble}; callbacks are refused, since {error.message}")
        consequence = "callbacks are kept on this machine's disk and handed on when Redis is back"
        return ReadinessReport(status="degraded", reason=f"{trouble}; {consequence}")

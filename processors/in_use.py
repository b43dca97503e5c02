"""What tasks work with now: it changes when keys are read again, and a task keeps to its end what it began with."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog

from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import Keys
from framerelay.config.live import LiveSettings, str_of
from framerelay.config.settings import Settings
from framerelay.network.signing import signing_secrets
from framerelay.processors.deps import Deps, open_jobs_client
from framerelay.runs.errors import FrameRelayError
from framerelay.upstream.client import JobsClient

log = structlog.get_logger()


class DepsInUse:
    """Lends `now` to each task; the client of a former key is closed when the last task that has it has ended."""

    def __init__(self, deps: Deps, live: LiveSettings) -> None:
        self.now = self._asking(deps)
        self._live = live
        self._first = deps.jobs  # Its owner closes it.
        self._users: Counter[JobsClient] = Counter()
        live.hand_to(self._take)

    @asynccontextmanager
    async def lent(self) -> AsyncIterator[Deps]:
        """For as long as the block lasts nothing of it changes."""
        deps = self.now
        self._users[deps.jobs] += 1
        try:
            yield deps
        finally:
            self._users[deps.jobs] -= 1
            await self._close_unused(deps.jobs)

    async def close(self) -> None:
        """No more tasks: what was opened here is closed."""
        if self.now.jobs is not self._first:
            await self.now.jobs.aclose()

    async def _take(self, settings: Settings, keys: Keys) -> None:
        former = self.now
        former.courier.sign_with(signing_secrets(settings, keys.secret))
        if _provider(settings) == _provider(former.settings):
            self.now = replace(former, settings=settings)
            return
        try:
            jobs = await asyncio.to_thread(open_jobs_client, settings)
        except (FrameRelayError, SettingInvalid) as error:
            log.warning("settings_not_taken_over", reason=str(error))
            return
        self.now = self._asking(replace(former, jobs=jobs, settings=settings))
        await self._close_unused(former.jobs)

    def _asking(self, deps: Deps) -> Deps:
        return replace(deps, has_another_key=partial(self._has_changed, deps.jobs))

    async def _has_changed(self, jobs: JobsClient) -> bool:
        await self._live.read_again()
        return self.now.jobs is not jobs

    async def _close_unused(self, jobs: JobsClient) -> None:
        if not self._users[jobs]:
            del self._users[jobs]
            if jobs not in (self.now.jobs, self._first):
                await jobs.aclose()


def _provider(settings: Settings) -> tuple[str, str]:
    return str_of(settings.upstream_url), str_of(settings.upstream_key)

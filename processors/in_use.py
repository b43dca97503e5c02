"""What tasks work with now: it changes when keys are read again, and a task keeps until its end what it began with."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import structlog

from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import Keys
from framerelay.config.live import LiveSettings
from framerelay.config.settings import Settings
from framerelay.network.signing import signing_secrets
from framerelay.processors.clients import Clients
from framerelay.processors.deps import Deps, open_clients
from framerelay.runs.errors import FrameRelayError

log = structlog.get_logger()


class DepsInUse:
    """Lends `now` to each task; the client with an old key is closed when the last task that uses it has ended."""

    def __init__(self, deps: Deps, live: LiveSettings) -> None:
        self.now = self._with_key_check(deps)
        self._live = live
        self._first = deps.clients  # Closed by its owner.
        self._users: Counter[Clients] = Counter()
        live.on_change(self._take)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Deps]:
        """For as long as the block lasts, none of it changes."""
        deps = self.now
        self._users[deps.clients] += 1
        try:
            yield deps
        finally:
            self._users[deps.clients] -= 1
            await self._close_if_idle(deps.clients)

    async def close(self) -> None:
        """No more tasks: whatever was opened here is closed."""
        if self.now.clients is not self._first:
            await self.now.clients.aclose()

    async def _take(self, settings: Settings, keys: Keys) -> None:
        former = self.now
        former.sender.sign_with(signing_secrets(settings, keys.secret))
        try:
            clients = await asyncio.to_thread(open_clients, settings)
        except (FrameRelayError, SettingInvalid) as error:
            log.warning("settings_not_taken_over", reason=str(error))
            return
        if clients.providers == former.clients.providers:
            self.now = replace(former, settings=settings)
            await clients.aclose()
            return
        self.now = self._with_key_check(replace(former, clients=clients, settings=settings))
        await self._close_if_idle(former.clients)

    def _with_key_check(self, deps: Deps) -> Deps:
        return replace(deps, has_another_key=partial(self._has_changed, deps.clients))

    async def _has_changed(self, clients: Clients) -> bool:
        await self._live.read_again()
        return self.now.clients is not clients

    async def _close_if_idle(self, clients: Clients) -> None:
        if not self._users[clients]:
            del self._users[clients]
            if clients not in (self.now.clients, self._first):
                await clients.aclose()

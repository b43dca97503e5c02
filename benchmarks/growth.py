"""
Does an event cost more when more runs are stored, or when its run is longer?

Real processes: receiver, worker, synced Redis, a provider that is instant in this process, a clip that weighs nothing.
Two such houses stand side by side. One keeps 10 stored runs; the other grows to 1,000, 10,000 and 100,000, every second
of them with a place in the time-table. They take turns, so that whatever else the machine does hits both, and each
figure of the larger one is a ratio to the smaller one's in the same round. Runs of 4, 20 and 100 shots take turns in
the first house. An event is one callback with all that follows from it, the next submit included.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvloop
from arq.connections import ArqRedis

from benchmarks.relay import SECRET, Relay, memory_mb, relay, small_clip
from runs.machine import begin
from runs.model import Run, RunId, RunStatus, Shot, Terms
from runs.queue import QUEUE, WAKE
from runs.store import Store, run_key
from runs.tokens import TakeAddress, Tokens

FEW = 10
STORED = (1_000, 10_000, 100_000)
SHOTS = (4, 20, 100)
ROUNDS = 3
SAVED_AT_ONCE = 500
CONNECTIONS = 32
LOAD_S = 0.7
SHOTS_OF_A_FILM = 20
FIGURES = ("hop_ms", "commands", "bytes_in", "bytes_out", "callbacks_per_s")

Figures = dict[str, float]


def measure() -> dict[str, Any]:
    """The figures at each number of stored runs and of shots, and their ratios to the smallest."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name:
        return {"question": "growth", **uvloop.run(_measure(Path(name)))}


async def _measure(folder: Path) -> dict[str, Any]:
    clip = small_clip(folder)
    async with relay(folder / "few", [clip]) as few, relay(folder / "many", [clip]) as many:
        for house in (few, many):
            await _store(house.redis, range(FEW))
            await _film(house, SHOTS_OF_A_FILM)  # What is loaded on first use counts for nobody.
        longer = await _by_shots(few)
        stored, more = FEW, []
        for wanted in STORED:
            began = time.monotonic()
            await _store(many.redis, range(stored, wanted))
            took_s = time.monotonic() - began
            stored = wanted
            more.append({"runs": wanted, "stored_in_s": round(took_s, 1), **await _side_by_side(few, many)})
    return {"stored": more, "shots": longer}


# --- taking turns ------------------------------------------------------------------------------------------------


async def _by_shots(house: Relay) -> list[dict[str, Any]]:
    rounds = [[await _films(house, shots) for shots in SHOTS] for _ in range(ROUNDS)]
    return [
        {"shots": shots, **_compared([(each[place], each[0]) for each in rounds])} for place, shots in enumerate(SHOTS)
    ]


async def _films(house: Relay, shots: int) -> Figures:
    """As many films one after the other as make some twenty events."""
    films = [await _film(house, shots) for _ in range(max(1, SHOTS_OF_A_FILM // shots))]
    return {name: statistics.mean(film[name] for film in films) for name in films[0]}


async def _side_by_side(few: Relay, many: Relay) -> dict[str, Any]:
    pairs = []
    for turn in range(ROUNDS):
        order = (few, many) if turn % 2 else (many, few)
        films = {house.port: await _film(house, SHOTS_OF_A_FILM) for house in order}
        rates = {house.port: await _callbacks_per_s(house) for house in order}
        found = [{**films[house.port], "callbacks_per_s": rates[house.port]} for house in (many, few)]
        pairs.append((found[0], found[1]))
    memory = {"receiver_mb": memory_mb(many.receiver), "worker_mb": memory_mb(many.worker)}
    return {**_compared(pairs), **memory}


def _compared(pairs: list[tuple[Figures, Figures]]) -> dict[str, Any]:
    """Each figure: its median, and the median, least and greatest ratio to its partner's."""
    found: dict[str, Any] = {}
    for name in (name for name in FIGURES if name in pairs[0][0]):
        ratios = sorted(mine[name] / other[name] for mine, other in pairs)
        found[name] = round(statistics.median(mine[name] for mine, _ in pairs), 1)
        found[f"{name}_ratio"] = [round(value, 3) for value in (statistics.median(ratios), ratios[0], ratios[-1])]
    return found


# --- one measurement ---------------------------------------------------------------------------------------------


async def _film(house: Relay, shots: int) -> Figures:
    """A run of so many chained shots: the median hop, and for each callback what Redis was asked."""
    library = house.library
    first = len(library.submits)
    before = await _asked(house.redis)
    run_id = await house.start(shots)
    looks = await _ended(house, run_id, submits=first + shots)
    after = await _asked(house.redis)
    left = library.called_back[first : first + shots - 1]
    hops = [submit - called for called, (submit, _) in zip(left, library.submits[first + 1 :], strict=True)]
    used = {name: after[name] - before[name] for name in after}
    used["commands"] -= looks
    return {"hop_ms": statistics.median(hops) * 1000, **{name: value / shots for name, value in used.items()}}


async def _ended(house: Relay, run_id: str, *, submits: int) -> int:
    """Waits for the film; returns how often we asked Redis about it."""
    deadline = time.monotonic() + 60
    looks, status = 0, b"running"
    while status == b"running" and time.monotonic() < deadline:
        await asyncio.sleep(0.03)
        if len(house.library.submits) >= submits:
            status = await house.redis.hget(run_key(run_id), "status")  # type: ignore[misc]  # redis-py's union
            looks += 1
    if status != RunStatus.SUCCEEDED.encode():
        raise SystemExit(f"the run did not get to its end: {status!r}")
    return looks


async def _asked(redis: ArqRedis) -> Figures:
    """Commands so far, those inside scripts too, and bytes over its socket."""
    commands, stats = await redis.info("commandstats"), await redis.info("stats")
    calls = sum(each["calls"] for name, each in commands.items() if name not in ("cmdstat_info", "cmdstat_ping"))
    return {
        "commands": calls,
        "bytes_in": stats["total_net_input_bytes"],
        "bytes_out": stats["total_net_output_bytes"],
    }


async def _callbacks_per_s(house: Relay) -> float:
    """Durable callbacks over kept connections; the worker stands still, and what they ask for is thrown away."""
    requests, until = _requests(), time.monotonic() + LOAD_S
    with house.without_worker():
        counts = await asyncio.gather(*(_call_until(house.port, requests, until) for _ in range(CONNECTIONS)))
        await house.redis.delete(QUEUE, WAKE)
    return sum(counts) / LOAD_S


async def _call_until(port: int, requests: Iterator[bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answered = 0
    while time.monotonic() < until:
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a callback was not taken: {head!r}")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        answered += 1
    writer.close()
    return answered


def _requests() -> Iterator[bytes]:
    tokens, number = Tokens(SECRET), time.time_ns()
    while True:
        number += 1
        token = tokens.mint(TakeAddress(run="run_nobody", shot="s1", take=number))
        body = json.dumps({"id": f"job_{number}", "object": "job", "status": "succeeded"}).encode()
        head = f"POST /webhook/{token} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n"
        yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# --- stored runs -------------------------------------------------------------------------------------------------


async def _store(redis: ArqRedis, numbers: range) -> None:
    """By the product's own save, many at a time; every second one waits in the time-table, an hour or more away."""
    for first in range(numbers.start, numbers.stop, SAVED_AT_ONCE):
        async with redis.pipeline(transaction=False) as pipe:
            store = Store(pipe)  # type: ignore[arg-type]  # A pipeline is a client whose answers come all at once.
            for number in range(first, min(first + SAVED_AT_ONCE, numbers.stop)):
                await _save(store, number)
            await pipe.execute()
    if await redis.zcard("framerelay:runs") < numbers.stop:
        raise SystemExit("not all runs were stored")


async def _save(store: Store, number: int) -> None:
    shot = Shot(id="s1", scene="1", origin="continue", source=None, input={"prompt": "雨夜"}, gated=True)
    now = time.time()
    run_id = RunId(f"run_stored{number}")
    run = Run(id=run_id, title="bench", model="m", created_at=now, updated_at=now, shots=(shot,), terms=Terms())
    wake_at = now + 3600 + number if number % 2 else None
    await store.save(begin(run), before=None, event={"event": "started"}, steps=[], wake_at=wake_at)


def main() -> None:
    """One JSON line, and one sentence for each table."""
    found = measure()
    print(json.dumps(found))
    for word, table in (("stored runs", found["stored"]), ("shots in a run", found["shots"])):
        worst: dict[str, float] = defaultdict(float)
        for row in table:
            for name in FIGURES:
                if f"{name}_ratio" in row:
                    ratio = row[f"{name}_ratio"][0]
                    worst[name] = max(worst[name], 1 / ratio if name == "callbacks_per_s" else ratio, key=abs)
        last = table[-1]
        sizes = ", ".join(f"{row.get('runs', row.get('shots')):,}" for row in table)
        figures = ", ".join(f"{name} {last[name]:,}" for name in FIGURES if name in last)
        growth = ", ".join(f"{name} × {value:.2f}" for name, value in worst.items())
        print(f"One event at {sizes} {word}: at the most {figures}; the worst ratio to the fewest: {growth}.")


if __name__ == "__main__":
    main()

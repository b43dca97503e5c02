"""
Does an event cost more when more runs are stored, or when its run is longer?

Real processes: receiver, worker, synced Redis, a provider that is instant in this process, a clip that weighs nothing.
What is measured is always the same leg: a chain that waits is let go, makes three shots, of which two follow
from a callback, and waits again; the clocks run from its first submit on, when the worker has read the run that
the receiver changed by the approval. Long and short take turns leg by leg, a few tenths of a second each, so that
whatever else the machine does affects both, and every figure is a ratio to its partner's in the same turn.

Shots: a run of 4, one of 20 and one of 100, each made leg by leg up to its end. Stored runs: two houses side by side,
of which one keeps 10 stored runs; the other has as many, which shows the noise, and grows to 1,000, 10,000 and 100,000,
every second of them with a place in the time-table. An event is one callback with all that follows from it, the next
submit included; its milliseconds on a core (of receiver and worker) tell more than the time it took.
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
from arq.connections import ArqRedis

from benchmarks.relay import SECRET, Relay, cpu_ms, memory_mb, relay, small_clip
from framerelay.runs.machine import WAKE_S_MAX, begin
from framerelay.runs.model import Run, RunId, RunStatus, Shot, Terms
from framerelay.runs.tokens import TakeAddress, Tokens
from framerelay.store.runs import Store, run_key
from framerelay.store.tasks import QUEUE, WAKE

FEW = 10
STORED = (FEW, 1_000, 10_000, 100_000)
SHOTS = (4, 20, 100)
LEG = 3  # Shots from one stop to the next.
TURNS = 33  # As many legs as the longest run has.
TURNS_OF_HOUSES = 13
LOADS = 7
LOAD_S = 0.25
CONNECTIONS = 32
SAVED_AT_ONCE = 500
FIGURES = ("hop_ms", "cpu_ms", "commands", "bytes_in", "bytes_out", "callbacks_per_s", "callback_cpu_ms")

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
            for _ in range(6):
                await Film(house, 4).leg()  # What is loaded on first use is not counted.
            await _callbacks(house)
        longer = await _by_shots(few)
        count, more = FEW, []
        for goal in STORED:
            began = time.monotonic()
            await _store(many.redis, range(count, goal))
            took_s = time.monotonic() - began
            count = goal
            more.append({"runs": goal, "stored_in_s": round(took_s, 1), **await _side_by_side(few, many)})
    return {"stored": more, "shots": longer}


# --- taking turns ------------------------------------------------------------------------------------------------


async def _by_shots(house: Relay) -> list[dict[str, Any]]:
    films = [Film(house, shots) for shots in SHOTS]
    turns = []
    for turn in range(TURNS):
        order = _rotated(films, turn)
        figures = {film.shots: await film.leg() for film in order}
        turns.append([figures[shots] for shots in SHOTS])
    return [
        {"shots": shots, **_compared([(each[place], each[0]) for each in turns])} for place, shots in enumerate(SHOTS)
    ]


async def _side_by_side(few: Relay, many: Relay) -> dict[str, Any]:
    films = [Film(many, 20), Film(few, 20)]
    legs, loads = [], []
    for turn in range(TURNS_OF_HOUSES):
        figures = {film.house.port: await film.leg() for film in _rotated(films, turn)}
        legs.append((figures[many.port], figures[few.port]))
    for turn in range(LOADS):
        rates = {house.port: await _callbacks(house) for house in _rotated([many, few], turn)}
        loads.append((rates[many.port], rates[few.port]))
    memory = {"receiver_mb": memory_mb(many.receiver), "worker_mb": memory_mb(many.worker)}
    return {**_compared(legs), **_compared(loads), **memory}


def _rotated(sides: Sequence[Any], turn: int) -> list[Any]:
    first = turn % len(sides)
    return [*sides[first:], *sides[:first]]


def _compared(pairs: list[tuple[Figures, Figures]]) -> dict[str, Any]:
    """Each figure: its median, and the median ratio to its partner's with the middle half of the ratios."""
    figures: dict[str, Any] = {}
    for name in pairs[0][0]:
        ratios = [mine[name] / other[name] for mine, other in pairs]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        figures[name] = round(statistics.median(mine[name] for mine, _ in pairs), 3 if name.endswith("cpu_ms") else 1)
        figures[f"{name}_ratio"] = [round(value, 3) for value in (median, low, high)]
    return figures


# --- one measurement ---------------------------------------------------------------------------------------------


@dataclass
class Film:
    """A chain of *shots* that is made leg by leg; at its end, the next one of as many begins."""

    house: Relay
    shots: int
    run_id: str = ""
    at: int = 0

    async def leg(self) -> Figures:
        """The mean hop, and what each shot of the leg cost, after the first submit: on our cores, and in Redis."""
        house, library = self.house, self.house.library
        if not self.run_id or self.at + LEG >= self.shots:  # After the last leg there is a stop, too.
            self.run_id, self.at = await house.start(self.shots, stop_every=LEG), 0
            await _at_a_stop(house, self.run_id, submits=0)
        first = len(library.submits)
        asking = await _cost_of_asking(house)
        await house.approve(self.run_id, self.at)
        await _wait_for_submits(house, first + 1)
        commands, cpu = await _figures_of(house.redis), house.cpu_ms()
        looks = await _at_a_stop(house, self.run_id, submits=first + LEG)
        cpu = {name: value - cpu[name] for name, value in house.cpu_ms().items()}
        cost = {name: value - commands[name] - asking[name] for name, value in (await _figures_of(house.redis)).items()}
        cost["commands"] -= looks
        self.at += LEG
        callbacks = library.called_back[first : first + LEG - 1]
        hops = [submit - at for at, (submit, _) in zip(callbacks, library.submits[first + 1 :], strict=True)]
        each = {name: value / LEG for name, value in {"cpu_ms": sum(cpu.values()), **cost}.items()}
        return {"hop_ms": statistics.mean(hops) * 1000, **each}


async def _wait_for_submits(house: Relay, submits: int) -> None:
    deadline = time.monotonic() + 30
    while len(house.library.submits) < submits:
        if time.monotonic() > deadline:
            raise SystemExit("what was approved was not submitted")
        await asyncio.sleep(0.001)


async def _at_a_stop(house: Relay, run_id: str, *, submits: int) -> int:
    """Waits until that many submits have left and the run waits for an approval; returns how often we asked Redis."""
    deadline = time.monotonic() + 30
    looks, status = 0, b""
    while status != RunStatus.WAITING.encode():
        if time.monotonic() > deadline:
            raise SystemExit(f"the run did not come to its next stop: {status!r}")
        await asyncio.sleep(0.01)
        if len(house.library.submits) >= submits:
            status = await house.redis.hget(run_key(run_id), "status")  # type: ignore[misc]  # redis-py's union
            looks += 1
    return looks


async def _cost_of_asking(house: Relay) -> Figures:
    before, after = await _figures_of(house.redis), await _figures_of(house.redis)
    return {name: after[name] - before[name] for name in after}


async def _figures_of(redis: ArqRedis) -> Figures:
    """Commands so far, those inside scripts too, and bytes over its socket."""
    commands, stats = await redis.info("commandstats"), await redis.info("stats")
    calls = sum(each["calls"] for name, each in commands.items() if name not in ("cmdstat_info", "cmdstat_ping"))
    return {
        "commands": calls,
        "bytes_in": stats["total_net_input_bytes"],
        "bytes_out": stats["total_net_output_bytes"],
    }


async def _callbacks(house: Relay) -> Figures:
    """Durable callbacks over kept connections; the worker is stopped, and what they ask for is thrown away."""
    requests, cpu = _requests(), cpu_ms(house.receiver)
    until = time.monotonic() + LOAD_S
    with house.without_worker():
        counts = await asyncio.gather(*(_call_until(house.port, requests, until) for _ in range(CONNECTIONS)))
        cpu = cpu_ms(house.receiver) - cpu
        await house.redis.delete(QUEUE, WAKE)
    return {"callbacks_per_s": sum(counts) / LOAD_S, "callback_cpu_ms": cpu / sum(counts)}


async def _call_until(port: int, requests: Iterator[bytes], until: float) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = 0
    while time.monotonic() < until:
        writer.write(next(requests))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a callback was not taken: {head!r}")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        answers += 1
    writer.close()
    return answers


def _requests() -> Iterator[bytes]:
    tokens, number = Tokens(SECRET), time.time_ns()
    while True:
        number += 1
        token = tokens.mint(TakeAddress(run_id="run_nobody", shot_id="s1", take=number))
        body = json.dumps({"id": f"job_{number}", "object": "job", "status": "succeeded"}).encode()
        head = f"POST /webhook/{token} HTTP/1.1\r\nHost: relay\r\nContent-Type: application/json\r\n"
        yield f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# --- stored runs -------------------------------------------------------------------------------------------------


async def _store(redis: ArqRedis, numbers: range) -> None:
    """By the product's own save, many at a time; every second one is due only after the last turn."""
    for first in range(numbers.start, numbers.stop, SAVED_AT_ONCE):
        async with redis.pipeline(transaction=False) as pipe:
            pipe.clock = redis.clock  # type: ignore[attr-defined]
            store = Store(pipe)  # type: ignore[arg-type]  # A pipeline is a client whose answers come all at once.
            for number in range(first, min(first + SAVED_AT_ONCE, numbers.stop)):
                await _save(store, number)
            await pipe.execute()
    if await redis.zcard("{framerelay}:runs") < numbers.stop:
        raise SystemExit("not all runs were stored")
    for _ in range(300):  # So much at once makes Redis rewrite its file; that is not an event's cost.
        if not (await redis.info("persistence"))["aof_rewrite_in_progress"]:
            break
        await asyncio.sleep(0.1)


async def _save(store: Store, number: int) -> None:
    shot = Shot(id="s1", scene="1", origin="continue", source=None, input={"prompt": "雨夜"}, gated=True)
    now = time.time()
    run_id = RunId(f"run_stored{number}")
    run = Run(id=run_id, title="bench", model="m", created_at=now, updated_at=now, shots=(shot,), terms=Terms())
    wake_at = now + 0.9 * WAKE_S_MAX if number % 2 else None  # Further off would mean that the clock was set back.
    await store.save(begin(run), before=None, event={"event": "started"}, steps=[], wake_at=wake_at)


def main() -> None:
    """One JSON line, and one sentence for each table."""
    facts = measure()
    print(json.dumps(facts))
    for word, table in (("stored runs", facts["stored"]), ("shots in a run", facts["shots"])):
        sizes = ", ".join(f"{row.get('runs', row.get('shots')):,}" for row in table)
        names = [name for name in FIGURES if name in table[0]]
        figures = ", ".join(f"{name} {table[-1][name]:,}" for name in names)
        growth = "; ".join(f"{name} × " + " ".join(f"{row[f'{name}_ratio'][0]:.2f}" for row in table) for name in names)
        print(f"One event at {sizes} {word}: at the most {figures}; the ratios to the fewest: {growth}.")


if __name__ == "__main__":
    main()

"""
How long from a callback to the next submit when the bytes have to cross a line of 50 Mbit/s each way?

The bound is 1.15 times what clip and frame need on that line, and 150 ms. `framerelay up` and a provider of its own
process, a clip of 720p and 5 s with the anatomy of a Seedance file. Three take turns against the same provider: ours
by the jobs API, ours by Ark's profile (the frame is inside the submit) and a chain of four tasks on stock arq. Then
the ten-second poller of the provider's own sample, whose three jobs end 2.5, 5 and 7.5 s after a poll. Every moment is
the provider's: it sees callbacks leave, and bytes and submits arrive.
"""

import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.callback_to_submit import relay_one_run
from benchmarks.thin_provider import Provider, ProviderLog, thin_provider
from framerelay.sandbox.clip import ClipOrder, render_clip
from framerelay.store.embedded import EmbeddedRedis

MBIT_S = 50.0
ROUNDS = 2
HOPS = {"ours": 7, "chain": 2}  # In each round, and one more that warms up.
POLLED_S = (2.5, 5.0, 7.5)
STEPS = {
    "look-up": "callback kept, task woken, look-up sent",
    "clip asked for": "look-up answered and saved, task woken, clip asked for",
    "clip sent": "clip on the wire",
    "upload": "last frame taken, clip and frame synced to disk, saved, task woken, upload begun",
    "upload came": "frame on the wire",
    "submit": "intent saved, submit sent",
}


@dataclass
class HopTimes:
    """Hops of one side: how long each took and how long its bytes need on the line, in ms."""

    took_ms: list[float] = field(default_factory=list)
    wire_ms: list[float] = field(default_factory=list)
    steps_ms: list[dict[str, float]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """As JSON."""
        ratios = [took / wire for took, wire in zip(self.took_ms, self.wire_ms, strict=True)]
        return {
            "median_ms": round(statistics.median(self.took_ms)),
            "spread_ms": [round(min(self.took_ms)), round(max(self.took_ms))],
            "wire_ms": round(statistics.median(self.wire_ms)),
            "ratio_to_wire": round(statistics.median(ratios), 2),
            "bound_ms": round(1.15 * statistics.median(self.wire_ms) + 150),
            "hops": len(self.took_ms),
        }


async def measure() -> dict[str, Any]:
    """All three, on one clip."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name:
        clip = Path(name) / "clip.mp4"
        order = ClipOrder(number=1, prompt="bench", seed=1, width=1280, height=720, frames=121, bframes=3)
        render_clip(order, clip, last_frame_into=None, stop=threading.Event())
        ours, ark, chain = HopTimes(), HopTimes(), HopTimes()
        for turn in range(ROUNDS):
            for side, figures in ((_ours, ours), (_ark, ark), (_chain, chain)):
                folder = Path(name) / f"{side.__name__}{turn}"
                folder.mkdir()
                async with thin_provider(MBIT_S, clip) as provider:
                    await side(provider, folder)
                    add_hops(figures, await provider.log(), clip)
        poller = await _poller(clip, Path(name))
        return {
            "question": "hop",
            "mbit_s": MBIT_S,
            "clip_bytes": clip.stat().st_size,
            "ours": ours.as_json(),
            "ark": ark.as_json(),
            "arq_chain": chain.as_json(),
            "poller": poller.as_json(),
            "steps_ms": steps_of(ours),
        }


def steps_of(figures: HopTimes) -> dict[str, float]:
    """The median of each step, in ms."""
    return {step: round(statistics.median(each[step] for each in figures.steps_ms), 1) for step in STEPS}


async def _ours(provider: Provider, folder: Path) -> None:
    await relay_one_run(provider.url, folder, shots=HOPS["ours"] + 2)


async def _ark(provider: Provider, folder: Path) -> None:
    await relay_one_run(provider.url, folder, shots=HOPS["ours"] + 2, profile="ark")


async def _chain(provider: Provider, folder: Path) -> None:
    async with EmbeddedRedis(folder / "redis") as server, _peer("chain", provider, folder, server.url):
        await _submits(provider, HOPS["chain"] + 2)


async def _poller(clip: Path, folder: Path) -> HopTimes:
    """Its hops begin when its jobs are done; nothing tells it."""
    figures = HopTimes()
    async with thin_provider(MBIT_S, clip, rendering_s=POLLED_S) as provider, _peer("poller", provider, folder):
        log = await _submits(provider, 2 * len(POLLED_S))
    for number, rendering_s in enumerate(POLLED_S):
        first, then = (at for at, fields in log.submits if fields["prompt"] == f"chain {number}")
        figures.took_ms.append((then - first - rendering_s) * 1000)
        figures.wire_ms.append(_wire_ms(clip, log.uploads[number]))
    return figures


def add_hops(figures: HopTimes, log: ProviderLog, clip: Path) -> None:
    """All hops but the first, in which everything is loaded that is loaded once."""
    for hop, moments in enumerate(_hops(log)):
        if hop:
            figures.took_ms.append((moments["submit"] - moments["callback"]) * 1000)
            figures.wire_ms.append(_wire_ms(clip, log.uploads[hop]))
            marks = [moments["callback"], *(moments[step] for step in STEPS)]
            spans = ((end - begin) * 1000 for begin, end in pairwise(marks))
            figures.steps_ms.append(dict(zip(STEPS, spans, strict=True)))


def _hops(log: ProviderLog) -> Iterator[dict[str, float]]:
    """The moments of each whole hop, from a callback to the next submit; of several clip requests first and last."""
    moments: dict[str, float] = {}
    for what, at in log.moments:
        if what == "callback":
            moments = {}
        if what != "clip asked for" or what not in moments:
            moments[what] = at
        if what == "submit" and "callback" in moments:
            yield dict(moments)


def _wire_ms(clip: Path, frame_bytes: int) -> float:
    return (clip.stat().st_size + frame_bytes) * 8 / (MBIT_S * 1000)


async def _submits(provider: Provider, number: int) -> ProviderLog:
    """The provider's log, once it has that many submits."""
    deadline = time.monotonic() + 60
    while len((log := await provider.log()).submits) < number:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {len(log.submits)} of {number} submits came")
        await asyncio.sleep(0.5)
    return log


@asynccontextmanager
async def _peer(kind: str, provider: Provider, folder: Path, *more: str) -> AsyncIterator[None]:
    arguments = ["-m", "benchmarks.hop_peers", kind, provider.url, str(folder), *more]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def main() -> None:
    """One JSON line, one sentence, and where the milliseconds go."""
    facts = uvloop.run(measure())
    print(json.dumps(facts))
    ours, ark, chain, poller = facts["ours"], facts["ark"], facts["arq_chain"], facts["poller"]
    print(
        f"Callback → next submit at {MBIT_S:.0f} Mbit/s, {facts['clip_bytes'] / 1e6:.2f} MB clip: median "
        f"{ours['median_ms']} ms ({ours['ratio_to_wire']} × the wire's {ours['wire_ms']} ms; bound "
        f"{ours['bound_ms']} ms); by Ark's profile, the frame inside the submit: {ark['median_ms']} ms "
        f"({ark['ratio_to_wire']} × its wire's {ark['wire_ms']} ms; bound {ark['bound_ms']} ms); stock arq, four "
        f"tasks: {chain['median_ms']} ms ({chain['ratio_to_wire']} ×); "
        f"ten-second poller: {poller['median_ms']} ms ({poller['ratio_to_wire']} ×)."
    )
    for step, took_ms in facts["steps_ms"].items():
        print(f"  {took_ms:7.1f} ms  {STEPS[step]}")


if __name__ == "__main__":
    main()

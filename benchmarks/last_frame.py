"""
How long after a clip's last byte has come is the PNG of its last frame ready?

Ours through the caged decoder of a worker, at 50 Mbit/s and on a line as fast as this machine, with a clip that is
built like a Seedance file (720p, 5 s, index at the end), and with the same clip in 1080p and with a late keyframe. In
turns with it, on the same files, what others do once the file is there: three ffmpeg commands, PyAV, OpenCV and
moviepy, all with 720p; the two fastest with 1080p, too. Levels (of 255) tell how far a picture is from a full decode,
exactly converted; ours must be identical, byte for byte. CPU seconds are for a whole fetch, including the download;
memory is the peak of the process that decodes (Linux only).
"""

import asyncio
import json
import logging
import os
import resource
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvloop

from benchmarks import peers
from benchmarks.last_frame_peers import COMMANDS, FRAMES, LIBRARIES
from benchmarks.processes import cpu_s, family, peak_mb
from benchmarks.thin_files import thin_files
from framerelay.media.decoder import Decoder
from framerelay.media.fetch import fetch_clip
from framerelay.network.client import guarded_client

MBIT_S = 50.0
TURNS = 3
THIN, FAST = "ours, thin line", "ours, fast line"
RATES = {THIN: MBIT_S, FAST: 0.0}
LINES = {"720p": (THIN, FAST), "1080p": (THIN, FAST), "late": (THIN,)}
"""Each clip, and the lines on which it is fetched."""
PEERS = Path(__file__).with_name("last_frame_peers.py")
BEST = 2
LOOK_EVERY_S = 0.02
SETTLE_S = 0.25
"""After a job the decoder makes the process of the next one ready, which is part of its cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPicture:
    """One last frame: milliseconds from the last byte to the PNG, and what it took."""

    after_ms: float
    download_ms: float | None = None
    cpu_s: float
    peak_mb: float | None


async def measure() -> dict[str, Any]:
    """Ours and each peer in turns; a peer that is not there is None."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name:
        folder = Path(name)
        making = await asyncio.create_subprocess_exec(sys.executable, "-m", "benchmarks.last_frame_clips", name)
        if await making.wait():
            raise SystemExit("The clips could not be made.")
        async with AsyncExitStack() as stack:
            ours = await start_ours(folder, stack)
            others = {name: await start_peer(name, stack) for name in (*COMMANDS, *LIBRARIES)}
            return await turns(ours, others, folder)


async def turns(ours: "Ours", others: dict[str, "Peer | None"], folder: Path) -> dict[str, Any]:
    """The first turn is not counted: after it, everything that loads on first use is loaded."""
    there = {name: peer for name, peer in others.items() if peer}
    pictures: dict[str, dict[str, list[LastPicture]]] = {"720p": {}, "1080p": {}, "late": {}}
    levels: dict[str, float | None] = {}
    for clip, ways in pictures.items():
        quickest = sorted(there, key=lambda name: median(pictures["720p"].get(name, ()), "after_ms"))
        beside = {"720p": list(there), "1080p": quickest[:BEST], "late": []}[clip]
        for turn in range(-1 if clip == "720p" else 0, TURNS):
            for line in LINES[clip]:
                picture = await ours.take(clip, line)
                ways.setdefault(line, []).extend([picture] if turn >= 0 else [])
            for name in beside:
                if turn >= 0 or name in LIBRARIES:
                    picture = await there[name].take(folder / f"{clip}.mp4", folder / "peer.png")
                    ways.setdefault(name, []).extend([picture] if turn >= 0 else [])
                if turn == 0 and clip == "720p":
                    levels[name] = await ours.decoder.difference(folder / "peer.png", folder / "720p.png")
    missing = {name: None for name, peer in others.items() if peer is None}
    return {
        "question": "last_frame",
        "mbit_s": MBIT_S,
        "bit_identical": ours.are_identical,
        **{clip: {name: as_json(sample) for name, sample in ways.items()} for clip, ways in pictures.items()},
        "levels_off": {name: None if off is None else round(off, 2) for name, off in levels.items()},
        "worker_peak_mb": rounded(peak_mb(os.getpid())),
        "not_there": list(missing),
    }


def as_json(sample: Sequence[LastPicture]) -> dict[str, Any]:
    """As JSON."""
    each = [round(one.after_ms, 1) for one in sample]
    figures = {
        "after_last_byte_ms": round(statistics.median(each), 1),
        "spread_ms": [min(each), max(each)],
        "cpu_s": round(statistics.median(one.cpu_s for one in sample), 2),
        "peak_mb": rounded(max((one.peak_mb or 0 for one in sample), default=0) or None),
    }
    downloads = [one.download_ms for one in sample if one.download_ms is not None]
    return figures | ({"download_ms": round(statistics.median(downloads))} if downloads else {})


def median(sample: Sequence[LastPicture], figure: str) -> float:
    """Of one figure; what was not measured counts as slower than anything."""
    return statistics.median(getattr(one, figure) for one in sample) if sample else float("inf")


def rounded(megabytes: float | None) -> int | None:
    """In whole ones."""
    return None if megabytes is None else round(megabytes)


class Ours:
    """What a worker does with an address: see media.fetch.fetch_clip."""

    def __init__(self, decoder: Decoder, pid: int, client: httpx.AsyncClient, urls: dict[str, str], folder: Path):
        self.decoder, self._pid, self._client, self._urls, self._folder = decoder, pid, client, urls, folder
        self.are_identical = True
        self._last_byte = 0.0
        client.event_hooks = {"response": [self._watch]}  # `fetch_clip` does not tell when a byte came.

    async def take(self, clip: str, line: str) -> LastPicture:
        """Fetch *clip* on *line*, and compare its frame with that of a full decode."""
        png, ready = self._folder / "ours.png", list[float]()
        began, cpu = time.perf_counter(), self._cpu_s()

        async def fetch() -> None:
            await fetch_clip(
                f"{self._urls[line]}/{clip}.mp4",
                self._folder / "ours.mp4",
                frame_into=png,
                client=self._client,
                decoder=self.decoder,
                on_frame=lambda _: ready.append(time.perf_counter()),
            )
            ready.append(time.perf_counter())  # The clip is whole and synced by now, too.

        peak = await peak_until(asyncio.create_task(fetch()), lambda: family(self._pid))
        await asyncio.sleep(SETTLE_S)
        self.are_identical &= png.read_bytes() == (self._folder / f"{clip}.png").read_bytes()
        return LastPicture(
            after_ms=(ready[0] - self._last_byte) * 1000,
            download_ms=(self._last_byte - began) * 1000,
            cpu_s=self._cpu_s() - cpu,
            peak_mb=peak,
        )

    def _cpu_s(self) -> float:
        """Of this process, which fetches, and of the decoder's."""
        return time.process_time() + (cpu_s(self._pid) or 0)

    async def _watch(self, response: httpx.Response) -> None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = EndAwareBody(response.stream, self._on_end)

    def _on_end(self) -> None:
        self._last_byte = time.perf_counter()


class EndAwareBody(httpx.AsyncByteStream):
    """A body that notes when each piece arrives."""

    def __init__(self, body: httpx.AsyncByteStream, on_end: Callable[[], object]) -> None:
        self._body, self._on_end = body, on_end

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._body:
            self._on_end()
            yield piece

    async def aclose(self) -> None:
        """As the body."""
        await self._body.aclose()


async def start_ours(folder: Path, stack: AsyncExitStack) -> Ours:
    """A warm decoder, and the clips at the end of each line."""
    decoder = await stack.enter_async_context(Decoder())
    pid = family(os.getpid())[1]
    client = await stack.enter_async_context(guarded_client(frozenset({"127.0.0.1"})))
    urls = {name: await stack.enter_async_context(thin_files(folder, rate)) for name, rate in RATES.items()}
    return Ours(decoder, pid, client, urls, folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An ffmpeg command, which starts again for each clip."""

    program: Path
    words: Sequence[str]

    async def take(self, clip: Path, png: Path) -> LastPicture:
        """Run it."""
        words = [word.format(clip=clip, png=png, last=FRAMES - 1) for word in self.words]
        began, cpu = time.perf_counter(), children_cpu_s()
        process = await asyncio.create_subprocess_exec(
            self.program, "-v", "error", "-y", *words, stdin=DEVNULL, stderr=DEVNULL
        )
        peak = await peak_until(asyncio.create_task(process.wait()), lambda: [process.pid])
        took_ms = (time.perf_counter() - began) * 1000
        return LastPicture(after_ms=took_ms, cpu_s=children_cpu_s() - cpu, peak_mb=peak)


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library in a process of its own, which stays warm."""

    process: asyncio.subprocess.Process

    async def take(self, clip: Path, png: Path) -> LastPicture:
        """Ask it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        cpu = cpu_s(self.process.pid) or 0
        self.process.stdin.write(f"{clip}\t{png}\n".encode())
        answer = asyncio.create_task(self.process.stdout.readline())
        peak = await peak_until(answer, lambda: family(self.process.pid))
        return LastPicture(after_ms=float(answer.result()), cpu_s=(cpu_s(self.process.pid) or 0) - cpu, peak_mb=peak)


Peer = Command | Library


async def start_peer(name: str, stack: AsyncExitStack) -> Peer | None:
    """The peer of that name, if it is there; PyAV always is."""
    if name in COMMANDS:
        program = peers.ffmpeg()
        return Command(program=program, words=COMMANDS[name]) if program else None
    python = Path(sys.executable) if name.startswith("PyAV") else peers.python_with_peers()
    if python is None:
        return None
    process = await asyncio.create_subprocess_exec(python, PEERS, name, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
    stack.push_async_callback(process.wait)
    stack.callback(process.kill)
    return Library(process=process)


async def peak_until(work: asyncio.Task[Any], pids: Callable[[], Sequence[int]]) -> float | None:
    """Wait for *work*; the most memory that one of the processes held during it, in MB. Raises as *work* does."""
    peak: float | None = None
    while not work.done():
        for size_mb in map(peak_mb, pids()):
            peak = max(peak or 0, size_mb) if size_mb else peak
        await asyncio.wait([work], timeout=LOOK_EVERY_S)
    work.result()
    return peak


def children_cpu_s() -> float:
    """Of the processes that this one has started and that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """One JSON line, one sentence."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # Figures alone.
    result = uvloop.run(measure())
    print(json.dumps(result))
    ours = {clip: words(result[clip][THIN]) for clip in LINES}
    beside = [f"{name} {words(sample)}" for name, sample in result["720p"].items() if name not in RATES]
    print(
        f"From the last byte at {MBIT_S:.0f} Mbit/s to the PNG of the last frame: 720p {ours['720p']}, "
        f"1080p {ours['1080p']}, with a late keyframe {ours['late']} (below 0: before it); on a line as fast as this "
        f"machine 720p {words(result['720p'][FAST])}, 1080p {words(result['1080p'][FAST])}. The frame is "
        f"{'' if result['bit_identical'] else 'NOT '}that of a full decode, bit for bit. Once the file is there, 720p: "
        + ", ".join(beside)
        + "."
        + (f" Not there to be measured: {', '.join(result['not_there'])}." if result["not_there"] else "")
    )


def words(sample: dict[str, Any]) -> str:
    """A median."""
    return f"{sample['after_last_byte_ms']:.0f} ms"


if __name__ == "__main__":
    main()

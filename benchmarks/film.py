"""
What does joining a film cost, against the two ways of ffmpeg, and does its memory grow with the film?

Clips of 5 s, built like a real model's (24 frames a second, B-frames, sound that outlasts the picture). Ours is the
caged decoder process of a worker, warm as it is there, from the request to the synced file. Where the clips are alike
we copy the picture and fit the sound: against the concat demuxer, once copying all (which leaves a freeze and a click
at every joint) and once with the same work on the sound. Where they are not, we encode: against the concat filter with
our settings for x264. Both take turns; memory is the peak of the process that does the work (Linux only).
"""

import asyncio
import json
import logging
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
import uvloop

from benchmarks import peers
from benchmarks.processes import peak_mb
from framerelay.media.child.film_picture import CRF, PRESET, THREADS
from framerelay.media.child.film_sound import BITS_PER_CHANNEL
from framerelay.media.decoder import Decoder
from framerelay.media.model import FilmPart
from framerelay.sandbox.clip import ClipOrder, render_clip

FRAMES = 121
CLIPS = 20
LENGTHS = (5, 20, 60)
TURNS = 3
ENCODING_TURNS = 2
SIZE = 480, 272
SOUND = ["-c:a", "aac", "-b:a", str(2 * BITS_PER_CHANNEL)]
X264 = ["-c:v", "libx264", "-crf", CRF, "-preset", PRESET, "-bf", "0", "-threads:v", str(THREADS)]
LOOK_EVERY_S = 0.01

Cost = tuple[float, float | None]
"""Seconds, and megabytes at the peak (None where the system does not tell)."""


def measure() -> dict[str, Any]:
    """Seconds and peak memory of ours and ffmpeg's, and our memory for films of several lengths."""
    with tempfile.TemporaryDirectory(prefix="fr-bench-") as name:
        folder = Path(name)
        alike = [_clip(folder, number, bframes=3) for number in (0, 1)]
        mixture = [alike[0], _clip(folder, 2, bframes=0)]
        return uvloop.run(_measure(alike, mixture, folder))


async def _measure(alike: Sequence[Path], mixture: Sequence[Path], folder: Path) -> dict[str, Any]:
    async with Decoder() as ours:
        await _join(ours, alike[:1], folder)  # What is loaded on first use is not counted.
        copying = await _turns(
            ours, _film(alike, CLIPS), folder, {"demuxer": _demuxer, "demuxer_sound": _demuxer_sound}, TURNS
        )
        encoding = await _turns(ours, _film(mixture, CLIPS), folder, {"filter": _filter}, ENCODING_TURNS)
        grows = {str(clips): await _peak_mb_of(ours, _film(alike, clips), folder) for clips in LENGTHS}
    return {
        "question": "film",
        "clips": CLIPS,
        "copied": copying,
        "encoded": encoding,
        "copied_peak_mb_by_clips": grows,
    }


async def _turns(
    ours: Decoder, clips: Sequence[Path], folder: Path, others: dict[str, Any], turns: int
) -> dict[str, Any]:
    """Ours and each of *others* in turn: medians, and what ours takes of each other's time."""
    costs: dict[str, list[Cost]] = {"ours": [], **{name: [] for name in others}}
    for _ in range(turns):
        costs["ours"].append(await _join(ours, clips, folder))
        for name, arguments in others.items():
            if program := peers.ffmpeg():
                command = [str(program), "-v", "error", "-y", *arguments(clips, folder), str(folder / "other.mp4")]
                costs[name].append(await _run(command))
    return {name: _summary(turns, costs["ours"]) for name, turns in costs.items()}


def _summary(turns: Sequence[Cost], ours: Sequence[Cost]) -> dict[str, Any] | None:
    if not turns:
        return None
    ratios = [mine[0] / other[0] for mine, other in zip(ours, turns, strict=True)]
    peaks = [peak for _, peak in turns if peak is not None]
    return {
        "seconds": round(statistics.median(seconds for seconds, _ in turns), 2),
        "peak_mb": round(max(peaks)) if peaks else None,
        "ours_takes": round(statistics.median(ratios), 2),
        "spread": [round(ratio, 2) for ratio in ratios],
    }


async def _join(ours: Decoder, clips: Sequence[Path], folder: Path) -> Cost:
    """Our way: what the worker does for a run whose clips continue each other."""
    parts = [FilmPart(path=clip, continued=number > 0) for number, clip in enumerate(clips)]
    began = time.perf_counter()
    joining = asyncio.create_task(ours.join(parts, folder / "film.mp4"))
    peak = await _peak_until(joining, _jobs)
    await joining
    return time.perf_counter() - began, peak


async def _peak_mb_of(ours: Decoder, clips: Sequence[Path], folder: Path) -> int | None:
    _, peak = await _join(ours, clips, folder)
    return None if peak is None else round(peak)


async def _run(command: Sequence[str]) -> Cost:
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command)
    ending = asyncio.create_task(process.wait())
    peak = await _peak_until(ending, lambda: [process.pid])
    if await ending:
        raise SystemExit(f"ffmpeg failed: {' '.join(command)}")
    return time.perf_counter() - began, peak


async def _peak_until(work: asyncio.Task[Any], pids: Any) -> float | None:
    """The largest peak, in MB, of the processes that *pids* names while *work* goes on."""
    peak: float | None = None
    while not work.done():
        for pid in pids():
            size_mb = peak_mb(pid)
            peak = max(peak or 0, size_mb) if size_mb else peak
        await asyncio.wait([work], timeout=LOOK_EVERY_S)
    return peak


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _jobs() -> list[int]:
    """What our decoder process forked for a job."""
    return [job for decoder in _children(os.getpid()) for job in _children(decoder)]


def _film(clips: Sequence[Path], count: int) -> list[Path]:
    return [clips[number % len(clips)] for number in range(count)]


def _demuxer(clips: Sequence[Path], folder: Path) -> list[str]:
    return [*_listed(clips, folder), "-c", "copy", "-movflags", "+faststart"]


def _demuxer_sound(clips: Sequence[Path], folder: Path) -> list[str]:
    return [*_listed(clips, folder), "-c:v", "copy", *SOUND, "-movflags", "+faststart"]


def _listed(clips: Sequence[Path], folder: Path) -> list[str]:
    (folder / "list.txt").write_text("".join(f"file '{clip}'\n" for clip in clips))
    return ["-f", "concat", "-safe", "0", "-i", str(folder / "list.txt")]


def _filter(clips: Sequence[Path], folder: Path) -> list[str]:
    inputs = [word for clip in clips for word in ("-i", str(clip))]
    pads = "".join(f"[{number}:v:0][{number}:a:0]" for number in range(len(clips)))
    graph = f"{pads}concat=n={len(clips)}:v=1:a=1[v][a]"
    return [*inputs, "-filter_complex", graph, "-map", "[v]", "-map", "[a]", *X264, *SOUND, "-movflags", "+faststart"]


def _clip(folder: Path, number: int, *, bframes: int) -> Path:
    width, height = SIZE
    order = ClipOrder(
        number=number, prompt="bench", seed=number, width=width, height=height, frames=FRAMES, bframes=bframes
    )
    path = folder / f"{number}.mp4"
    render_clip(order, path, last_frame_into=None, stop=threading.Event())
    return path


def main() -> None:
    """One JSON line, one sentence."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # Figures alone.
    facts = measure()
    print(json.dumps(facts))
    copy, encoding = facts["copied"], facts["encoded"]
    print(
        f"Joining {CLIPS} clips of 5 s: copied, ours {_words(copy['ours'])}, ffmpeg's concat demuxer "
        f"{_words(copy['demuxer'])}, with the sound encoded {_words(copy['demuxer_sound'])}; encoded, ours "
        f"{_words(encoding['ours'])}, ffmpeg's concat filter {_words(encoding['filter'])}. Our peak with "
        + ", ".join(f"{clips} clips: {_mb(peak)}" for clips, peak in facts["copied_peak_mb_by_clips"].items())
        + "."
    )


def _words(cost: dict[str, Any] | None) -> str:
    if cost is None:
        return "was not there to be measured"
    return f"{cost['seconds']} s and {_mb(cost['peak_mb'])}"


def _mb(peak: float | None) -> str:
    return "memory unknown" if peak is None else f"{peak:.0f} MB"


if __name__ == "__main__":
    main()

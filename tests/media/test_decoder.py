"""The decoder process: warm, one job at a time, replaced whenever it fails, and never a burden to the next job."""

import asyncio
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from framerelay.media import decoder_process
from framerelay.media.child import cage
from framerelay.media.child.png import write_png
from framerelay.media.decoder import Decoder
from framerelay.media.model import FilmPart
from framerelay.runs.errors import ClipUnusable, DecoderFailed, RequestInvalid

MakeClip = Callable[..., Path]
pytestmark = pytest.mark.anyio
READY = '{"type":"ready"}'
SMALL: dict[str, Any] = {"frames": 8, "audio_s": None}


@pytest.fixture
async def decoder() -> AsyncIterator[Decoder]:
    """A decoder with a process of its own."""
    async with Decoder() as decoder:
        yield decoder


async def test_a_clip_is_examined_in_the_process(decoder: Decoder, make_clip: MakeClip) -> None:
    """Facts and frame come back as if the function had been called here."""
    clip = make_clip(**SMALL)
    into = clip.with_suffix(".png")

    examination = await decoder.examine(clip, frame_into=into)

    assert (examination.clip.frames, examination.clip.width, examination.clip.height) == (8, 320, 180)
    assert examination.frame.path == into
    assert examination.frame.bytes == into.stat().st_size


async def test_a_bad_clip_is_refused_with_its_reason_and_the_next_one_is_served(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """The error has the class and the reason that it had in the process."""
    page = tmp_path / "page.mp4"
    page.write_text("<html>502 Bad Gateway</html>")

    with pytest.raises(ClipUnusable) as failure:
        await decoder.examine(page, frame_into=tmp_path / "page.png")

    assert failure.value.reason == "not_a_clip"
    assert failure.value.message == "the file is neither MP4 nor Matroska/WebM"
    await serve_one(decoder, make_clip)


async def test_a_missing_file_and_a_missing_folder_are_system_errors(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """What the clip is not to blame for is not called ClipUnusable."""
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4"):
        await decoder.examine(tmp_path / "gone.mp4", frame_into=tmp_path / "a.png")
    with pytest.raises(FileNotFoundError):
        await decoder.examine(make_clip(**SMALL), frame_into=tmp_path / "no" / "folder" / "a.png")


async def test_a_crash_fails_the_job_and_not_the_next_one(decoder: Decoder, make_clip: MakeClip) -> None:
    """A signal in the middle of a job is reported as what it was."""
    clip = make_clip(**SMALL)
    await stop(process_of(decoder))  # The job cannot be over before it dies.
    job = asyncio.create_task(decoder.examine(clip, frame_into=clip.with_suffix(".png")))
    await until(decoder._free.locked)
    os.killpg(process_of(decoder), signal.SIGSEGV)
    os.killpg(process_of(decoder), signal.SIGCONT)

    with pytest.raises(DecoderFailed, match="SIGSEGV"):
        await job
    await serve_one(decoder, make_clip)


async def test_a_process_that_died_between_jobs_fails_no_job(decoder: Decoder, make_clip: MakeClip) -> None:
    """The kernel may take it for its memory while it idles."""
    first = process_of(decoder)
    os.kill(first, signal.SIGKILL)
    await until_gone(first)
    await until(lambda: not decoder_process.has_child(starting(decoder)))

    await serve_one(decoder, make_clip)
    assert process_of(decoder) != first


async def test_a_hang_is_ended_by_the_clock(make_clip: MakeClip) -> None:
    """The caller gets its answer in time, and the process that hangs does not stay."""
    clip = make_clip(**SMALL)
    async with Decoder(examine_s_max=1.0) as decoder:
        hanging = process_of(decoder)
        await stop(hanging)

        with pytest.raises(DecoderFailed, match="longer than 1 s"):
            await decoder.examine(clip, frame_into=clip.with_suffix(".png"))
        await serve_one(decoder, make_clip)
        await until_gone(hanging)


async def test_a_cancelled_job_leaves_no_answer_behind(decoder: Decoder, make_clip: MakeClip) -> None:
    """The next caller must not get the facts of a clip that somebody else gave up on."""
    clip = make_clip("cancelled.mp4", frames=20, audio_s=None)
    first = process_of(decoder)
    await stop(first)
    job = asyncio.create_task(decoder.examine(clip, frame_into=clip.with_suffix(".png")))
    await until(decoder._free.locked)  # The request is in the pipe; the process, being stopped, cannot answer it.
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job

    await serve_one(decoder, make_clip)
    await until_gone(first)


async def test_a_wait_that_is_cancelled_costs_the_others_nothing(decoder: Decoder, make_clip: MakeClip) -> None:
    """Who waits for the process has not used it yet, so it is kept."""
    clip = make_clip(**SMALL)
    first = process_of(decoder)
    jobs = [asyncio.create_task(decoder.examine(clip, frame_into=clip.with_name(f"{n}.png"))) for n in range(3)]
    await asyncio.sleep(0)
    jobs[1].cancel()

    results = await asyncio.gather(*jobs, return_exceptions=True)

    assert [type(result).__name__ for result in results] == ["Examination", "CancelledError", "Examination"]
    assert process_of(decoder) == first


async def test_jobs_run_one_after_the_other_and_each_gets_its_own_answer(decoder: Decoder, make_clip: MakeClip) -> None:
    """Many callers at once are the normal case: shots of several runs end together."""
    clips = [make_clip(f"{n}.mp4", frames=n, audio_s=None) for n in range(2, 8)]

    examinations = await asyncio.gather(*(decoder.examine(clip, frame_into=clip.with_suffix(".png")) for clip in clips))

    assert [each.clip.frames for each in examinations] == list(range(2, 8))


async def test_a_process_is_replaced_after_its_share_of_jobs(make_clip: MakeClip) -> None:
    """Whatever a decoder leaks, it leaks for a while only."""
    async with Decoder(jobs_max=2) as decoder:
        processes = []
        for _ in range(4):
            await until(lambda: starting(decoder).done())
            processes.append(process_of(decoder))
            await serve_one(decoder, make_clip)

    assert processes[0] == processes[1] != processes[2] == processes[3]
    for process in {*processes}:
        await until_gone(process)


@pytest.mark.parametrize(
    "says", ["'hello'", f"'{READY}'", """'{"type":"done","result":{"clip":1}}'""", "'x' * 3_000_000"]
)
async def test_nonsense_from_the_process_is_a_failure(
    says: str, make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it was taken over by a clip, what it says is input like any other."""
    script = f"print('{READY}', flush=True); input(); print({says}, flush=True); input()"
    monkeypatch.setattr(decoder_process, "COMMAND", (sys.executable, "-I", "-c", script))
    clip = make_clip(**SMALL)
    async with Decoder() as decoder:
        with pytest.raises(DecoderFailed):
            await decoder.examine(clip, frame_into=clip.with_suffix(".png"))


async def test_a_process_that_cannot_start_is_reported_and_tried_again(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start it stops the program; later it fails a job, and the next one tries again."""
    good = decoder_process.COMMAND
    monkeypatch.setattr(decoder_process, "COMMAND", (sys.executable, "-I", "-c", "raise SystemExit(3)"))
    with pytest.raises(DecoderFailed, match="exit code 3"):
        async with Decoder():
            pass

    monkeypatch.setattr(decoder_process, "COMMAND", good)
    clip = make_clip(**SMALL)
    async with Decoder(jobs_max=1) as decoder:
        monkeypatch.setattr(decoder_process, "COMMAND", (sys.executable, "-I", "-c", "raise SystemExit(3)"))
        await serve_one(decoder, make_clip)
        with pytest.raises(DecoderFailed, match="exit code 3"):
            await decoder.examine(clip, frame_into=clip.with_suffix(".png"))
        monkeypatch.setattr(decoder_process, "COMMAND", good)
        await serve_one(decoder, make_clip)


@pytest.mark.parametrize(("samples", "reason"), [(2_000_000, "not_allowed"), (100_000_000, "no_picture")])
async def test_a_bomb_is_refused_and_the_next_job_is_served(
    samples: int, reason: str, decoder: Decoder, make_clip: MakeClip, clipmaker: ModuleType, tmp_path: Path
) -> None:
    """A kilobyte of index can claim samples by the million: we refuse to read them, or libav to make room for them."""
    clip = make_clip("bomb.mp4", bframes=0, **SMALL)
    bomb = bytearray(clip.read_bytes())
    table = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
    for name, at, claim in (
        (b"stsz", 12, (1, samples)),  # Each has one byte, so no list of sizes is needed.
        (b"stts", 16, (samples, 512)),
        (b"stsc", 16, (1, samples)),  # All in one chunk.
    ):
        (start,) = clipmaker.find_deep(bomb, *table, name)
        struct.pack_into(">II", bomb, start + at, *claim)
    clip.write_bytes(bomb)

    with pytest.raises(ClipUnusable) as failure:
        await decoder.examine(clip, frame_into=tmp_path / "bomb.png")
    assert failure.value.reason == reason
    await serve_one(decoder, make_clip)


async def test_the_process_has_limits_and_no_secrets(decoder: Decoder) -> None:
    """Memory, files and core dumps are bounded; keys of ours are not in its environment; it leads its own group."""
    process = process_of(decoder)
    limits = dict(line.split("  ", 1) for line in told_by_kernel(process, "limits").splitlines())
    environment = told_by_kernel(process, "environ")

    assert limits["Max address space"].split()[:2] == [str(1536 * 1024 * 1024)] * 2
    assert limits["Max open files"].split()[:2] == ["64", "64"]
    assert limits["Max core file size"].split()[:2] == ["0", "0"]
    assert {entry.split("=")[0] for entry in environment.split("\0") if entry} <= {
        *("PATH", "LD_LIBRARY_PATH", "TMPDIR", "MALLOC_ARENA_MAX", "OPENBLAS_NUM_THREADS", "LC_ALL")
    }
    assert os.getpgid(process) == process


def test_the_process_ends_with_its_owner() -> None:
    """Killed without a chance to tidy up, the owner leaves nothing behind, not even what was stopped."""
    script = """
import asyncio, sys
from framerelay.media.decoder import Decoder
async def main():
    async with Decoder() as decoder:
        print((await decoder._warm_child()).process.pid, file=sys.stderr, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as owner:
        assert owner.stderr
        process = int(owner.stderr.readline())
        try:
            asyncio.run(stop(process))
            owner.kill()
            asyncio.run(until(lambda: not states_in_group(process)))
        finally:
            owner.kill()
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)


async def test_leaving_the_decoder_ends_its_process(make_clip: MakeClip) -> None:
    """So does leaving it while a successor is still starting."""
    others = children()  # Those that all tests of this process share.
    async with Decoder(jobs_max=1) as decoder:
        first = process_of(decoder)
        await serve_one(decoder, make_clip)
    await until_gone(first)
    with pytest.raises(DecoderFailed, match="stopped"):
        await serve_one(decoder, make_clip)
    assert children() == others


async def test_leaving_the_decoder_fails_the_job_that_runs(make_clip: MakeClip) -> None:
    """A worker that is told to stop does not wait for a film, and nothing hangs."""
    clip = make_clip(**SMALL)
    async with asyncio.timeout(60), Decoder() as decoder:
        await stop(process_of(decoder))
        jobs = [asyncio.create_task(decoder.examine(clip, frame_into=clip.with_suffix(".png"))) for _ in range(2)]
        await until(decoder._free.locked)

    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(result) for result in results] == [DecoderFailed, DecoderFailed]


async def test_a_start_that_is_given_up_leaves_no_process() -> None:
    """A program may be stopped while it starts."""
    others = children()
    start = asyncio.create_task(Decoder().__aenter__())
    await until(lambda: bool(children()))
    start.cancel()

    with pytest.raises(asyncio.CancelledError):
        await start
    assert children() == others


@pytest.mark.skipif(not cage.IS_LINUX, reason="elsewhere nothing ends a process that is stopped")
@pytest.mark.parametrize("loop", ["asyncio.run", "uvloop.run"])
async def test_a_child_that_is_stopped_before_it_does_anything_ends_with_its_owner(loop: str) -> None:
    """Loading Python takes it a while, in which its owner may be killed."""
    script = (
        "import asyncio, os, signal, uvloop\n"
        "from framerelay.media.decoder_process import spawn\n"
        "async def main():\n"
        "    child = await spawn()\n"
        "    os.kill(child.process.pid, signal.SIGSTOP)\n"
        "    print(child.process.pid, flush=True)\n"
        "    await asyncio.sleep(600)\n"
        f"{loop}(main())\n"
    )
    with subprocess.Popen([sys.executable, "-I", "-c", script], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        child = int(await asyncio.to_thread(owner.stdout.readline))
        await until(lambda: ") T " in told_by_kernel(child, "stat"))
        owner.kill()

    await until_gone(child)


async def test_two_pictures_are_compared_by_levels(decoder: Decoder, tmp_path: Path) -> None:
    """Mean distance over all pixels and channels; no number where no pixel has a counterpart."""
    grey = np.full((20, 30, 3), 100, np.uint8)
    write_png(grey, tmp_path / "a.png")
    write_png(grey + np.uint8(3), tmp_path / "b.png")
    write_png(grey[:, :20], tmp_path / "small.png")
    Image.fromarray(grey).save(tmp_path / "c.webp", lossless=True)

    assert await decoder.difference(tmp_path / "a.png", tmp_path / "a.png") == 0
    assert await decoder.difference(tmp_path / "a.png", tmp_path / "b.png") == 3
    assert await decoder.difference(tmp_path / "a.png", tmp_path / "c.webp") == 0
    assert await decoder.difference(tmp_path / "a.png", tmp_path / "small.png") is None


async def test_what_is_no_picture_cannot_be_compared(decoder: Decoder, tmp_path: Path) -> None:
    """A page, half a file, a bomb: each is refused with its reason."""
    good = tmp_path / "good.png"
    write_png(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8), good)
    bodies = {
        "not_a_clip": b"<html></html>",
        "corrupt": good.read_bytes()[:2000],
        "not_allowed": bomb_png(60_000, 60_000),
    }
    for reason, body in bodies.items():
        bad = tmp_path / f"{reason}.png"
        bad.write_bytes(body)
        with pytest.raises(ClipUnusable) as failure:
            await decoder.difference(good, bad)
        assert failure.value.reason == reason


async def test_a_film_is_joined_in_the_process(decoder: Decoder, make_clip: MakeClip, tmp_path: Path) -> None:
    """The film's facts come back as if the function had been called here, its errors likewise."""
    first = make_clip("1.mp4", frames=12, audio_s=0.6)
    second = make_clip("2.mp4", frames=12, first_number=11, audio_s=0.6)
    parts = [FilmPart(path=first, continued=False), FilmPart(path=second, continued=True)]

    film = await decoder.join(parts, tmp_path / "film.mp4")

    assert film.bytes == (tmp_path / "film.mp4").stat().st_size
    assert (film.copied, film.reason) == (True, None)
    with pytest.raises(RequestInvalid) as failure:
        await decoder.join([], tmp_path / "empty.mp4")
    assert failure.value.param == "parts"


async def test_a_film_needs_no_more_memory_the_longer_it_is(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """Here each frame is converted as for a hand-off, by threads of its own: five seconds of them were refused."""
    options = {"x264-params": "chromaloc=2"}
    clip = make_clip(size=(64, 64), frames=121, shown_frames=119, audio_s=None, encoder_options=options)

    film = await decoder.join([FilmPart(path=clip, continued=False)], tmp_path / "film.mp4")

    assert (film.frames, film.copied, film.warnings) == (119, False, ())


async def test_a_film_that_is_cut_short_leaves_its_finished_shots(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path, wait_until: Any
) -> None:
    """As at a deploy, with the process shut in as it is: another join takes them over, and removes them."""
    sizes = [(160, 90), (1280, 720)]
    clips = [make_clip(f"{n}.mp4", frames=(12, 96)[n], first_number=11 * n, size=size) for n, size in enumerate(sizes)]
    parts = [FilmPart(path=clip, continued=n > 0) for n, clip in enumerate(clips)]
    joining = asyncio.create_task(decoder.join(parts, tmp_path / "film.mp4"))
    await wait_until(lambda: list(tmp_path.glob(".shot-*.mp4")), "the first shot is encoded")
    joining.cancel()
    with suppress(asyncio.CancelledError):
        await joining
    (first, *_) = files = list(tmp_path.glob(".shot-*.mp4"))
    before = first.stat().st_mtime_ns, first.stat().st_ino
    film_is_there = (tmp_path / "film.mp4").exists()

    again = asyncio.create_task(decoder.join(parts, tmp_path / "film.mp4"))
    await wait_until(lambda: again.done() or len(list(tmp_path.glob(".shot-*.mp4"))) > len(files), "the next one is")
    during = [(each.stat().st_mtime_ns, each.stat().st_ino) for each in files if each.exists()]
    film = await again

    assert not film_is_there
    assert during in ([], [before])
    assert film.bytes == (tmp_path / "film.mp4").stat().st_size
    assert list(tmp_path.glob(".shot-*.mp4")) == []


def test_the_owner_never_loads_libav() -> None:
    """The process that holds the keys has no decoder in it."""
    script = "import sys, framerelay.media.decoder; print([name for name in sys.modules if name in ('av', 'PIL')])"
    process = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert process.stdout == "[]\n"


# --- helpers


async def serve_one(decoder: Decoder, make_clip: MakeClip) -> None:
    """One good job, whose facts must be its own."""
    clip = make_clip("served.mp4", frames=3, audio_s=None)
    examination = await decoder.examine(clip, frame_into=clip.with_suffix(".png"))
    assert examination.clip.frames == 3


def starting(decoder: Decoder) -> Any:
    """The task that starts, or started, the current process."""
    assert decoder._starting
    return decoder._starting


def process_of(decoder: Decoder) -> int:
    """The id of the current process."""
    pid: int = starting(decoder).result().process.pid
    return pid


async def stop(process: int) -> None:
    """
    SIGSTOP it and its next job, when both wait for work.

    A job that is stopped in its first millisecond has not yet asked to die with its parent: should this test be killed
    then, it would stay for ever.
    """
    await until(lambda: states_in_group(process) == ["S", "S"])
    os.killpg(process, signal.SIGSTOP)


async def until_gone(process: int) -> None:
    """Wait until a process is no more, or nobody's but the collector's."""
    await until(lambda: not is_alive(process))


def children() -> list[int]:
    """The decoder processes that we are the parent of."""
    ours = told_by_kernel(os.getpid(), f"task/{os.getpid()}/children").split()
    return [int(child) for child in ours if "framerelay.media.child.main" in told_by_kernel(int(child), "cmdline")]


def states_in_group(group: int) -> list[str]:
    """How the living processes of a group are: ``S`` sleeps, ``T`` is stopped."""
    members = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            state, _, its_group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            members += [state] if int(its_group) == group and state != "Z" else []
    return members


def told_by_kernel(process: int, what: str) -> str:
    """A file of /proc."""
    return Path(f"/proc/{process}/{what}").read_text()


def is_alive(process: int) -> bool:
    """Whether a process runs; one that is dead and not yet collected does not."""
    try:
        return ") Z " not in told_by_kernel(process, "stat")
    except (FileNotFoundError, ProcessLookupError):
        return False


async def until(holds: Callable[[], bool], seconds: float = 90) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "It did not come true in time."
        await asyncio.sleep(0.01)


def bomb_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims gigabytes of pixels."""
    from framerelay.media.child.png import chunk

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")

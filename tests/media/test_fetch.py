"""A clip is decoded while it comes: in which order its bytes are asked for, and that only help can come of it."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import framerelay.media.download
import framerelay.media.tail
from framerelay.media.child.boxes import read_box
from framerelay.media.child.frames import examine
from framerelay.media.decoder import Decoder
from framerelay.media.download import DownloadLimits
from framerelay.media.fetch import fetch_clip
from framerelay.media.model import Examination
from framerelay.network.client import guarded_client
from framerelay.runs.errors import ClipUnusable

pytestmark = pytest.mark.anyio

MakeClip = Callable[..., Path]
HEAVY = {"grain": 40, "frames": 49, "audio_s": 2.1}
"""About a megabyte, so that a second request is worth it."""
PIECE = 16_384


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pauses nor the least distance are what is tested."""
    monkeypatch.setattr(framerelay.media.download, "PAUSE_S", 0.001)
    monkeypatch.setattr(framerelay.media.tail, "AHEAD_BYTES", 32_768)


@pytest.fixture
def decoder(decoders: tuple[Decoder, Decoder]) -> Decoder:
    """A decoder that is ready."""
    return decoders[0]


@dataclass
class Store:
    """
    Serves *clip* in pieces, as an object store; the first request stops at *holds_at* until `go_on` is set.

    ``range_headers`` has each request's Range, ``ranges`` the bytes of each answer; ``knows_range`` may be taken away,
    ``cut_at`` cuts the first answer there, ``etags`` names the file differently for each request; one that ``mistakes``
    parts sends others than were asked for.
    """

    clip: bytes
    holds_at: int = 1 << 40
    knows_range: bool = True
    cut_at: int | None = None
    mistakes: bool = False
    etags: list[str] = field(default_factory=lambda: ['"one"'])
    range_headers: list[str] = field(default_factory=list)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        number = len(self.range_headers)
        self.range_headers.append(headers.get("range", ""))
        first, end, status = 0, len(self.clip), "200 OK"
        etag = self.etags[min(number, len(self.etags) - 1)]
        extra = f"ETag: {etag}\r\n"
        if "range" in headers and self.knows_range and headers["if-range"] == etag:
            begin, _, last = headers["range"].removeprefix("bytes=").partition("-")
            first, end, status = int(begin), int(last or end - 1) + 1, "206 Partial Content"
            first, end = (0, end - first) if self.mistakes else (first, end)
            extra += f"Content-Range: bytes {first}-{end - 1}/{len(self.clip)}\r\n"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {end - first}\r\n{extra}\r\n".encode())
        for at in range(first, end, PIECE):
            if number == 0 and at >= self.holds_at:
                await self.go_on.wait()
            if number == 0 and self.cut_at is not None and at >= self.cut_at:
                return
            writer.write(self.clip[at : min(at + PIECE, end)])
            await writer.drain()
            self.ranges.append((at, min(at + PIECE, end)))


@asynccontextmanager
async def serving(store: Store) -> AsyncIterator[Store]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await store.answer(reader, writer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        store.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/clip.mp4"
        try:
            yield store
        finally:
            store.go_on.set()


async def fetch(store: Store, folder: Path, decoder: Decoder, **more: Any) -> Examination:
    """The clip arrives byte for byte, and its frame is that of the whole file; one that never comes is a failure."""
    async with asyncio.timeout(60), guarded_client(frozenset({"127.0.0.1"})) as client:
        download, examination = await fetch_clip(
            store.url,
            folder / "fetched.mp4",
            frame_into=folder / "fetched.png",
            client=client,
            decoder=decoder,
            limits=DownloadLimits(stall_s=10, total_s=60),
            **more,
        )
    assert (folder / "fetched.mp4").read_bytes() == store.clip
    assert download.sha256 == hashlib.sha256(store.clip).hexdigest()
    return examination


def begin_of(range_header: str) -> int:
    """Where a Range begins."""
    return int(range_header.removeprefix("bytes=").partition("-")[0])


def boxes_of(clip: Path) -> dict[bytes, int]:
    """Where each box of an MP4 begins."""
    places, at = {}, 0
    with clip.open("rb") as file:
        while at < clip.stat().st_size:
            length, name, _ = read_box(file, at)
            places[name] = at
            at += length
    return places


def assert_same(examination: Examination, clip: Path) -> None:
    """As a decode of the whole file: the facts, and the frame byte for byte."""
    expected = examine(clip, frame_into=clip.with_name("expected.png"))
    assert examination.clip == expected.clip
    assert examination.frame.sha256 == expected.frame.sha256
    assert clip.with_name("fetched.png").read_bytes() == clip.with_name("expected.png").read_bytes()


async def test_an_index_at_the_end_is_fetched_first_and_no_byte_is_fetched_twice(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """The first request waits far before the index, which a second one brings; together they are the file, once."""
    clip = make_clip(**HEAVY)
    index = boxes_of(clip)[b"moov"]
    async with serving(Store(clip.read_bytes(), holds_at=131_072)) as store:
        coming = asyncio.create_task(fetch(store, tmp_path, decoder))
        async with asyncio.timeout(60):
            while (index, len(store.clip)) not in store.ranges:
                await asyncio.sleep(0.01)
        store.go_on.set()
        assert_same(await coming, clip)

    assert store.range_headers == ["", f"bytes={index}-{len(store.clip) - 1}"]


async def test_a_late_keyframe_gives_the_frame_before_the_rest_has_come(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """Index and last pictures are fetched ahead; the frame is written while most of the clip is still to come."""
    clip = make_clip(**HEAVY, cut_at=40)
    index = boxes_of(clip)[b"moov"]
    frame_event = asyncio.Event()
    async with serving(Store(clip.read_bytes(), holds_at=131_072)) as store:
        coming = asyncio.create_task(fetch(store, tmp_path, decoder, on_frame=lambda _: frame_event.set()))
        async with asyncio.timeout(60):
            await frame_event.wait()
        assert (tmp_path / "fetched.png").exists()
        assert max(end for first, end in store.ranges if first < 131_072) <= 131_072
        store.cut_at = begin_of(store.range_headers[2])  # To read on there takes another request.
        store.go_on.set()
        assert_same(await coming, clip)

    first = begin_of(store.range_headers[2])
    assert store.range_headers == ["", f"bytes={index}-{len(store.clip) - 1}", f"bytes={first}-{index - 1}"]
    assert 131_072 < first < index


async def test_after_a_cut_only_what_is_missing_before_the_tail_is_asked_for(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """The end came ahead, the first answer breaks off: the next request ends where the tail begins."""
    clip = make_clip(**HEAVY, cut_at=40)
    frame_event = asyncio.Event()
    async with serving(Store(clip.read_bytes(), holds_at=131_072, cut_at=262_144)) as store:
        coming = asyncio.create_task(fetch(store, tmp_path, decoder, on_frame=lambda _: frame_event.set()))
        async with asyncio.timeout(60):
            await frame_event.wait()
        store.go_on.set()
        assert_same(await coming, clip)

    assert store.range_headers[3:] == [f"bytes=262144-{begin_of(store.range_headers[2]) - 1}"]


@pytest.mark.parametrize(
    "options",
    [
        {"faststart": True},
        {"audio_first": True, "bframes": 0},
        {"fragmented": True},
        {"shown_frames": 40},
        {"rotation": 90},
        {"codec": "hevc"},
        {"codec": "av1"},
        {"name": "clip.mkv"},
        {"gop": 12, "encoder_options": {"x264-params": "open-gop=1:scenecut=0"}},
    ],
    ids=["faststart", "kling", "fragmented", "edit list", "rotated", "hevc", "av1", "matroska", "open gop"],
)
async def test_every_kind_of_clip_gives_the_frame_of_the_whole_file(
    options: dict[str, Any], decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """Decoding as it comes is only another order of the same work."""
    clip = make_clip(**(HEAVY | options))
    async with serving(Store(clip.read_bytes())) as store:
        assert_same(await fetch(store, tmp_path, decoder), clip)


@pytest.mark.parametrize(
    "trouble",
    [
        {"knows_range": False},
        {"etags": ['W/"weak"']},
        {"etags": ['"one"', '"two"', '"one"']},
        {"cut_at": 262_144},
        {"cut_at": 262_144, "knows_range": False},
        {"mistakes": True},
    ],
    ids=["no Range", "no validator", "changed in the meantime", "cut", "cut, no Range", "another part"],
)
async def test_what_a_server_cannot_do_costs_time_alone(
    trouble: dict[str, Any], decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """The clip comes whole and its frame is right, however little helps."""
    clip = make_clip(**HEAVY, cut_at=40)
    parts_are_asked_for = trouble.get("etags") != ['W/"weak"']
    async with serving(Store(clip.read_bytes(), holds_at=131_072, **trouble)) as store:
        coming = asyncio.create_task(fetch(store, tmp_path, decoder))
        async with asyncio.timeout(60):
            while parts_are_asked_for and len(store.range_headers) < 2:
                await asyncio.sleep(0.01)
        store.go_on.set()
        assert_same(await coming, clip)


async def test_what_was_fetched_of_a_file_before_it_changed_does_not_count(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """The first answer breaks off, the next one is another file from its beginning: the frame is that one's."""
    old, clip = make_clip("old.mp4", **HEAVY, faststart=True), make_clip(**(HEAVY | {"frames": 37}), faststart=True)
    changing = Store(old.read_bytes(), holds_at=131_072, cut_at=131_072, etags=['"one"', '"two"'])
    async with serving(changing) as store:
        coming = asyncio.create_task(fetch(store, tmp_path, decoder))
        async with asyncio.timeout(60):
            while len(store.ranges) < 131_072 // PIECE:
                await asyncio.sleep(0.01)
        store.clip = clip.read_bytes()
        store.go_on.set()
        assert_same(await coming, clip)


async def test_a_slow_download_keeps_no_other_job_waiting(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """A decoder that waits for bytes does what is whole first; the slow clip is examined when it is there."""
    clip, other = make_clip(**HEAVY), make_clip("other.mp4", frames=12, audio_s=None)
    async with serving(Store(clip.read_bytes(), holds_at=131_072)) as store:
        coming = asyncio.create_task(fetch(store, tmp_path, decoder))
        async with asyncio.timeout(60):
            while len(store.range_headers) < 2:
                await asyncio.sleep(0.01)
            process = (await decoder._warm_child()).process.pid
            await decoder.examine(other, frame_into=tmp_path / "other.png")
        assert not coming.done()
        store.go_on.set()
        assert_same(await coming, clip)
        assert (await decoder._warm_child()).process.pid == process, "nobody had to be killed for it"


async def test_a_bad_clip_is_refused_and_the_next_one_is_served(
    decoder: Decoder, make_clip: MakeClip, tmp_path: Path
) -> None:
    """What a clip is to blame for is the same, come or coming."""
    clip = make_clip(**HEAVY)
    body = bytearray(clip.read_bytes())
    body[300_000 : boxes_of(clip)[b"moov"] - 1000] = bytes(boxes_of(clip)[b"moov"] - 301_000)
    async with serving(Store(bytes(body))) as store:
        with pytest.raises(ClipUnusable) as failure:
            await fetch(store, tmp_path, decoder)
    assert failure.value.reason == "corrupt"
    assert not (tmp_path / "fetched.png").exists()

    async with serving(Store(clip.read_bytes())) as store:
        assert_same(await fetch(store, tmp_path, decoder), clip)

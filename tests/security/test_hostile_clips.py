"""A hostile file costs one refusal with its reason: no crash, no hang, nothing opened, and the next clip is served."""

import asyncio
import ctypes
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from PIL import Image

from framerelay.media import decoder_process
from framerelay.media.child.clips import open_clip
from framerelay.media.decoder import Decoder
from framerelay.runs.errors import ClipUnusable, FrameRelayError
from tests.security import hostile_files

pytestmark = pytest.mark.anyio

UNCAGED = "from framerelay.media.child import cage, main; cage.confine = lambda **_: None; main.main()"
IN_OPEN, IN_NONBLOCK = 0x20, 0o4000


@dataclass(slots=True)
class Address:
    """A listening socket that nobody should come to."""

    place: str
    visits: list[bytes] = field(default_factory=list)


@pytest.fixture
async def elsewhere() -> AsyncIterator[Address]:
    """An address of this machine at which every connection is noted."""

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address.visits.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(note, "127.0.0.1", 0)
    address = Address(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield address


@pytest.fixture
def secret(tmp_path: Path) -> Iterator[Callable[[], bool]]:
    """A good clip beside the hostile ones; ``secret()`` tells whether anybody opened it since (by inotify)."""
    path = tmp_path / "secret.mp4"
    path.write_bytes(hostile_files.good())
    libc = ctypes.CDLL(None)
    watch = libc.inotify_init1(IN_NONBLOCK)
    assert libc.inotify_add_watch(watch, bytes(path), IN_OPEN) > 0

    def was_opened() -> bool:
        try:
            return bool(os.read(watch, 4096))
        except BlockingIOError:
            return False

    path.read_bytes()
    assert was_opened(), "The watch does not work."
    yield was_opened
    os.close(watch)


async def test_each_hostile_clip_is_refused_and_the_next_one_served(
    elsewhere: Address, secret: Callable[[], bool], tmp_path: Path
) -> None:
    """Nearly a hundred of them, one after the other, with a good clip after every fourth, all by one warm process."""
    files = hostile_files.clips(elsewhere.place)
    clip, good, frame = tmp_path / "clip.mp4", tmp_path / "good.mp4", tmp_path / "frame.png"
    good.write_bytes(hostile_files.good())
    surprises = {}
    async with Decoder(examine_s_max=20) as decoder:
        first = await decoder._warm_child()
        for n, (name, (body, expected)) in enumerate(files.items()):
            clip.write_bytes(body)
            outcome = await outcome_of(decoder.examine(clip, frame_into=frame))
            if outcome not in expected or frame.exists() != (outcome == "fine"):
                surprises[name] = outcome
            if n % 4 == 3:
                assert (await decoder.examine(good, frame_into=frame)).clip.frames == 8
            frame.unlink(missing_ok=True)
        assert await decoder._warm_child() is first

    assert len(files) > 75
    assert surprises == {}
    assert (elsewhere.visits, secret()) == ([], False)


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".txt"])
async def test_what_names_a_place_opens_nothing_even_without_the_cage(
    suffix: str, elsewhere: Address, secret: Callable[[], bool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demuxer is chosen by content and told to follow no reference, so that the cage is the second lock."""
    monkeypatch.setattr(decoder_process, "COMMAND", (sys.executable, "-I", "-c", UNCAGED))
    clip = tmp_path / f"clip{suffix}"
    async with Decoder(examine_s_max=20) as decoder:
        for name, (body, expected) in hostile_files.naming_places(elsewhere.place).items():
            clip.write_bytes(body)
            assert await outcome_of(decoder.examine(clip, frame_into=tmp_path / "frame.png")) in expected, name

    assert (elsewhere.visits, secret()) == ([], False)


def test_opening_a_clip_decodes_with_the_decoders_of_the_list_alone(tmp_path: Path) -> None:
    """Before any codec is refused, the opening of a film's part may already decode: not with one of the others."""
    clip = tmp_path / "clip.mkv"
    ffv1, _ = hostile_files.other_kinds()["FFV1"]
    for body, pix_fmt in ((ffv1, None), (hostile_files.good("good.mkv"), "yuv420p")):
        clip.write_bytes(body)
        with open_clip(clip, "matroska", probe=True) as container:
            assert container.streams.video[0].pix_fmt == pix_fmt


async def test_a_hundred_damaged_clips_are_decoded_or_refused(tmp_path: Path) -> None:
    """Bits flipped, bytes lost, doubled and overwritten, always in the same places; the reason is always the clip."""
    clip, frame = tmp_path / "clip.mp4", tmp_path / "frame.png"
    outcomes = []
    async with Decoder(examine_s_max=20) as decoder:
        first = await decoder._warm_child()
        for body in hostile_files.mutations(100):
            clip.write_bytes(body)
            outcomes.append(await outcome_of(decoder.examine(clip, frame_into=frame)))
        clip.write_bytes(hostile_files.good())
        assert (await decoder.examine(clip, frame_into=frame)).clip.frames == 8
        assert await decoder._warm_child() is first

    assert set(outcomes) <= {"fine", "corrupt", "truncated", "no_picture", "not_allowed", "not_a_clip"}
    assert len(set(outcomes)) > 2


async def test_each_hostile_picture_is_refused(tmp_path: Path) -> None:
    """The provider's own last frame is a stranger's file like any other."""
    surprises = {}
    async with Decoder(examine_s_max=20) as decoder:
        for name, (body, expected) in hostile_files.pictures().items():
            (tmp_path / "a.png").write_bytes(body)
            outcome = await outcome_of(decoder.difference(tmp_path / "a.png", tmp_path / "a.png"))
            if outcome not in expected:
                surprises[name] = outcome
    assert surprises == {}


async def test_each_hostile_picture_of_a_person_is_refused(tmp_path: Path) -> None:
    """More kinds and larger ones are taken from a person than from a provider; all pixels must be there."""
    picture = tmp_path / "given"
    outcomes = {}
    async with Decoder(examine_s_max=20) as decoder:
        for name, (body, _) in hostile_files.pictures().items():
            picture.write_bytes(body)
            outcomes[name] = await outcome_of(decoder.check(picture))
        for kind in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
            Image.new("RGB", (400, 300)).save(picture, kind)
            assert await decoder.check(picture) == (400, 300)

    assert {name for name, outcome in outcomes.items() if outcome == "fine"} == {
        "PNG of 5000 x 5000 in 75 KB",
        "GIF of a hundred thousand frames",  # Of which one is looked at.
    }
    assert set(outcomes.values()) == {"fine", "corrupt", "not_allowed", "not_a_clip"}


async def outcome_of(job: Awaitable[object]) -> str:
    """``fine``, the reason of a refusal, or what else went wrong."""
    try:
        await job
    except ClipUnusable as error:
        return error.reason
    except (FrameRelayError, OSError) as error:
        return repr(error)
    return "fine"

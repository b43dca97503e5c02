"""A clip that is read while it downloads, when its owner says stop: at whichever byte, the reader gives way."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from framerelay.media.child.frames import examine_coming
from framerelay.media.child.growing import GrowingFile
from framerelay.media.child.main import work_of_follow
from framerelay.media.wire import Follow, GaveWay, Has, Stop, to_json
from framerelay.runs.errors import ClipUnusable

HEAVY: dict[str, Any] = {"grain": 40, "frames": 49, "audio_s": 2.1}
PIECE = 12_000
KINDS: list[dict[str, Any]] = [{"faststart": True}, {"faststart": True, "gop": 8}, {}]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_reader_that_is_told_to_stop_asks_for_no_more(
    make_clip: Callable[..., Path], tmp_path: Path, kind: dict[str, Any]
) -> None:
    """libav passes over some errors of its reader and reads on: the decoder then waited for words that never came."""
    clip = make_clip(**HEAVY, **kind)
    size = clip.stat().st_size
    for end in range(0, size - PIECE, PIECE):
        words: list[Has | Stop] = [Has(first=at, end=at + PIECE) for at in range(0, end, PIECE)]
        after_the_stop = 0

        def listen(words: list[Has | Stop] = words) -> Has | Stop:
            nonlocal after_the_stop
            if words:
                return words.pop(0)
            after_the_stop += 1
            return Stop()

        coming = GrowingFile(clip, size, listen=listen, want=lambda _: None)
        with pytest.raises((GaveWay, ClipUnusable)):
            examine_coming(coming, frame_into=tmp_path / "last.png", announce=lambda _: None)
        assert after_the_stop == 1, f"with {end} bytes of {size}"


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_whatever_the_decoder_makes_of_half_a_clip_it_gives_way(
    make_clip: Callable[..., Path], tmp_path: Path, kind: dict[str, Any]
) -> None:
    """A clip of which the rest was not waited for is not one that cannot be decoded."""
    clip = make_clip(**HEAVY, **kind)
    size = clip.stat().st_size
    request = Follow(clip=clip, size=size, frame_into=tmp_path / "last.png")
    for end in range(0, size - PIECE, PIECE):
        words = b"".join(to_json(word) + b"\n" for word in (Has(first=0, end=max(end, 1)), Stop()))
        with pytest.raises(GaveWay):
            work_of_follow(request, BytesIO(words), BytesIO())(request)

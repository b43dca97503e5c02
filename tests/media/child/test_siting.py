"""Whether a clip itself declares its chroma siting, and what a frame is whose chroma is centered."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from framerelay.media.child.siting import center_chroma, says_siting

MakeClip = Callable[..., Path]
FEW: dict[str, Any] = {"size": (64, 64), "frames": 5, "bframes": 0, "audio_s": None, "manifest": False}


def first_packet(clip: Path) -> bytes:
    """Of the picture."""
    with av.open(str(clip)) as container:
        return bytes(next(container.demux(video=0)))


def asked(clip: Path, **arguments: Any) -> bool:
    """What is found of *clip*."""
    with av.open(str(clip)) as container:
        return says_siting(container.streams.video[0], **arguments)


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_clip_that_states_its_chroma_siting_is_believed(codec: str, kind: int, make_clip: MakeClip) -> None:
    """Each kind of the standard but "left", which x264 writes as silence."""
    key = {"h264": "x264-params", "hevc": "x265-params"}[codec]
    clip = make_clip(codec=codec, encoder_options={key: f"chromaloc={kind}:log-level=none"}, **FEW)

    assert asked(clip)


def test_left_siting_is_believed_where_it_is_declared(make_clip: MakeClip) -> None:
    """By x265."""
    assert asked(make_clip(codec="hevc", encoder_options={"x265-params": "chromaloc=0:log-level=none"}, **FEW))


@pytest.mark.parametrize("tagged", [True, False])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_clip_that_is_silent_is_known_as_such(codec: str, name: str, tagged: bool, make_clip: MakeClip) -> None:
    """Its other tags do not matter."""
    assert not asked(make_clip(name, codec=codec, tagged=tagged, **FEW))


@pytest.mark.parametrize("kind", [0, 2])
def test_headers_within_the_stream_count_where_the_container_has_none(
    kind: int, make_clip: MakeClip, tmp_path: Path
) -> None:
    """As in streams that were cut out of a broadcast."""
    raw = tmp_path / "clip.h264"
    clip = make_clip(encoder_options={"x264-params": f"chromaloc={kind}"}, **FEW)
    with av.open(str(clip)) as source, av.open(str(raw), "w", format="h264") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)

    with av.open(str(raw)) as container:
        stream = container.streams.video[0]
        stream.codec_context.extradata = None
        assert (kind == 2) == says_siting(stream, first_packet(raw))
        assert not says_siting(stream)


def test_headers_that_cannot_be_read_say_nothing(make_clip: MakeClip) -> None:
    """The decoder says what is wrong with them."""
    with av.open(str(make_clip(**FEW))) as container:
        stream = container.streams.video[0]
        configuration = stream.codec_context.extradata or b""
        for configuration_part in (
            configuration[:7],
            configuration[:12],
            b"\x01" + bytes(40),
            bytes(range(1, 60)),
            b"",
        ):
            stream.codec_context.extradata = configuration_part
            assert not says_siting(stream, b"\0\0\0\5nonsense")


def test_a_centered_frame_is_the_same_picture() -> None:
    """Its samples, size, time and tags; only its chroma siting is different."""
    image = np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
    frame.pts, frame.colorspace = 7, 1

    centered_image = center_chroma(frame)

    assert np.array_equal(frame.to_ndarray(), centered_image.to_ndarray())
    assert (centered_image.pts, int(centered_image.colorspace)) == (7, 1)

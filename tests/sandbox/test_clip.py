"""Clips are built like real ones, begin and end on the given pictures, and carry readable numbers."""

import base64
import struct
import threading
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from framerelay.sandbox import renderer
from framerelay.sandbox.clip import EXACT, UUID_BOX_BYTES, ClipOrder, RenderingStopped, render_clip
from framerelay.sandbox.label import read_label, stamp
from framerelay.sandbox.sizes import SIZES, clip_size, closest_ratio
from framerelay.sandbox.street import paint_street

LAST = 12
FRAMES = LAST + 1


def order(**changes: object) -> ClipOrder:
    small = {"number": 3, "width": 320, "height": 180, "frames": FRAMES, "seed": 7, "prompt": "rain"}
    return ClipOrder(**(small | changes))


def render(path: Path, **changes: object) -> list[np.ndarray]:
    """Render, and decode every frame by the exact conversion."""
    render_clip(order(**changes), path, last_frame_into=path.with_suffix(".png"), stop=threading.Event())
    with av.open(str(path), format="mp4") as container:
        frames = list(container.decode(video=0))
    assert [frame.pts for frame in frames] == sorted(frame.pts for frame in frames)
    return [frame.reformat(format="rgb24", interpolation=EXACT).to_ndarray() for frame in frames]


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    error = np.mean((np.asarray(one, np.float64) - np.asarray(other, np.float64)) ** 2)
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def boxes(content: bytes) -> list[tuple[bytes, int]]:
    boxes, at = [], 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        boxes.append((kind, size))
        at += size
    return boxes


def test_a_clip_has_the_anatomy_of_a_real_one(tmp_path: Path) -> None:
    """moov at the end after a uuid box and free, untagged, one keyframe, sound longer than the picture."""
    render(tmp_path / "a.mp4", frames=25)

    layout = boxes((tmp_path / "a.mp4").read_bytes())
    assert [kind for kind, _ in layout] == [b"ftyp", b"uuid", b"free", b"mdat", b"moov"]
    assert (layout[0][1], layout[1][1]) == (32, UUID_BOX_BYTES)
    with av.open(str(tmp_path / "a.mp4")) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        context = video.codec_context
        tags = (context.color_range, context.colorspace, context.color_primaries, context.color_trc)
        assert tuple(int(tag) for tag in tags) == (0, 2, 2, 2)
        assert (context.name, context.profile, context.pix_fmt) == ("h264", "High", "yuv420p")
        assert (video.frames, video.average_rate) == (25, 24)
        overhang_s = float(audio.duration * audio.time_base) - float(video.duration * video.time_base)
        assert 0.040 < overhang_s < 0.046
        assert (audio.codec_context.name, audio.codec_context.channels, audio.codec_context.rate) == ("aac", 2, 44100)
        packets = [packet for packet in container.demux(video) if packet.dts is not None]
        assert sum(packet.is_keyframe for packet in packets) == 1
        assert all(packet.pts == packet.dts for packet in packets)


def test_b_frames_and_silence_are_choices(tmp_path: Path) -> None:
    """B-frames make the last packet another one than the last frame, as in the real files."""
    frames = render(tmp_path / "a.mp4", frames=25, bframes=3, sound=False)

    assert [(3, number) for number in range(25)] == [read_label(frame) for frame in frames]
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert list(container.streams.audio) == []
        packets = [packet for packet in container.demux(video=0) if packet.dts is not None]
        assert any(packet.pts != packet.dts for packet in packets)


def test_a_continued_clip_begins_with_exactly_the_given_frame(tmp_path: Path) -> None:
    """Nothing is drawn on it: it still carries the label of the shot before; from the next frame on, its own."""
    render(tmp_path / "one.mp4", number=1)
    picture = Image.open(tmp_path / "one.png")

    frames = render(tmp_path / "two.mp4", number=2, first=picture, seed=8, prompt="closer")

    difference = frames[0].astype(np.float64) - np.asarray(picture)
    assert psnr(frames[0], picture) > 38
    assert np.abs(difference.mean(axis=(0, 1))).max() < 0.25
    assert [(1, LAST)] + [(2, number) for number in range(1, FRAMES)] == [read_label(frame) for frame in frames]


def test_a_clip_moves_on_from_its_first_frame(tmp_path: Path) -> None:
    """A hand-off of the wrong frame would be seen: each frame is farther from the first than the one before last."""
    frames = render(tmp_path / "a.mp4", frames=25, first=paint_street(320, 180, seed=1, prompt="x"), sound=False)

    upper = [frame[: frame.shape[0] // 2] for frame in frames]
    assert psnr(upper[0], upper[24]) < psnr(upper[0], upper[12]) < psnr(upper[0], upper[1])
    assert psnr(upper[0], upper[24]) < 30


def test_a_fixed_camera_ends_where_it_began(tmp_path: Path) -> None:
    """Rain and cars have gone again by then: nothing frozen is handed on."""
    street = paint_street(320, 180, seed=1, prompt="x")

    frames = render(tmp_path / "a.mp4", frames=25, first=street, still=True)

    upper = slice(0, 90)
    assert psnr(frames[-1][upper], frames[0][upper]) > 36
    assert psnr(frames[12][upper], frames[0][upper]) < 32


def test_a_bridged_clip_ends_with_exactly_the_given_frame(tmp_path: Path, picture) -> None:
    """The target of the bridge, untouched."""
    target = picture(320, 180)

    frames = render(tmp_path / "a.mp4", first=paint_street(320, 180, seed=1, prompt="x"), last=target)

    assert psnr(frames[-1], target) > 38
    assert psnr(frames[0], target) < 20


def test_the_png_is_the_decoded_last_frame(tmp_path: Path) -> None:
    """Same pixels as the video."""
    frames = render(tmp_path / "a.mp4", bframes=2)

    assert np.array_equal(frames[-1], np.asarray(Image.open(tmp_path / "a.png")))


def test_the_png_has_no_watermark(tmp_path: Path) -> None:
    """The clip has: a frame taken from it would carry the mark into the next shot."""
    plain = render(tmp_path / "plain.mp4", first=None)
    marked_frames = render(tmp_path / "marked.mp4", watermark=True)

    corner = (slice(-12, None), slice(-40, None))
    assert psnr(marked_frames[-1][corner], plain[-1][corner]) < 25
    assert psnr(np.asarray(Image.open(tmp_path / "marked.png"))[corner], plain[-1][corner]) > 30


def test_the_same_order_gives_the_same_picture() -> None:
    """And another seed or prompt another one."""
    one, same = (np.asarray(paint_street(160, 90, seed=5, prompt="rain")) for _ in range(2))
    others = [paint_street(160, 90, seed=6, prompt="rain"), paint_street(160, 90, seed=5, prompt="sun")]

    assert np.array_equal(one, same)
    assert not any(np.array_equal(one, np.asarray(other)) for other in others)


def test_a_street_can_be_tiny() -> None:
    """`--scale 0.1` paints houses whose shop is less than a pixel high."""
    for seed in range(20):
        assert paint_street(86, 50, seed=seed, prompt="rain").size == (86, 50)


@pytest.mark.parametrize("resolution", SIZES)
@pytest.mark.parametrize("ratio", SIZES["480p"])
def test_every_size_has_a_readable_label(resolution: str, ratio: str) -> None:
    """Also scaled down, which is what tests use."""
    for scale in (1.0, 0.25):
        width, height = clip_size(resolution, ratio, scale=scale)
        frame = np.full((height, width, 3), 127, np.uint8)
        stamp(frame, clip=200, number=289)
        assert (width % 2, height % 2) == (0, 0)
        assert read_label(frame) == (200, 289)


def test_a_picture_without_a_label_reads_as_none() -> None:
    """Black, white, and a street."""
    for picture in (Image.new("RGB", (320, 180)), Image.new("RGB", (320, 180), "white"), Image.new("RGB", (8, 8))):
        assert read_label(np.asarray(picture)) is None
    assert read_label(np.asarray(paint_street(320, 180, seed=1, prompt="x"))) is None


@pytest.mark.parametrize(
    ("size", "ratio"), [((1920, 1080), "16:9"), ((864, 496), "16:9"), ((1000, 990), "1:1"), ((900, 1600), "9:16")]
)
def test_adaptive_takes_the_closest_ratio(size: tuple[int, int], ratio: str) -> None:
    """The image is cropped to it around its middle."""
    assert closest_ratio(*size) == ratio


def test_a_stopped_rendering_leaves_no_file(tmp_path: Path) -> None:
    """Neither half a clip nor its temporary name."""
    stop = threading.Event()
    stop.set()

    with pytest.raises(RenderingStopped):
        render_clip(order(), tmp_path / "a.mp4", last_frame_into=None, stop=stop)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_an_image_of_another_ratio_is_cropped_around_its_middle(sandbox, picture, as_png) -> None:
    """As the real API does when the ratio is given; ``adaptive`` follows the image."""
    url = f"data:image/png;base64,{base64.b64encode(as_png(picture(300, 300))).decode()}"
    async with sandbox() as client:
        wide = await client.wait_for_end(await client.submit(first_frame_url=url, ratio="16:9", return_last_frame=True))
        square = await client.wait_for_end(await client.submit(first_frame_url=url, resolution="480p"))
        frame = await client.http.get(wide["output"]["last_frame_url"])

    assert (wide["ratio"], square["ratio"]) == ("16:9", "1:1")
    assert frame.headers["content-type"] == "image/png"


@pytest.mark.anyio
async def test_rendering_leaves_the_event_loop_free(sandbox, monkeypatch) -> None:
    """A clip in the making does not keep other requests waiting: here it is not done before some are answered."""
    answer, render = threading.Event(), renderer.Renderer._render

    def held_up(*arguments: Any) -> None:
        assert answer.wait(90)
        render(*arguments)

    monkeypatch.setattr(renderer.Renderer, "_render", held_up)
    async with sandbox() as client:
        job_id = await client.submit()
        states = [(await client.get(job_id))["status"] for _ in range(5)]
        answer.set()
        document = await client.wait_for_end(job_id)

    assert "succeeded" not in states
    assert document["status"] == "succeeded"

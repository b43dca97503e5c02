"""
Render one clip as an MP4 that is built like a real one.

Anatomy of the files that the real model returns, as dissected in 2026: H.264 by x264 superfast, crf 20, one keyframe
unless a scene cut hits; 24 frames a second, ``seconds * 24 + 1`` of them; color untagged, to be read as BT.601;
``moov`` at the end behind a ``uuid`` box and ``free``; AAC sound that is 43 ms longer than the picture.
"""

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.reformatter import Colorspace, Interpolation
from av.video.stream import VideoStream
from PIL import Image

from framerelay.sandbox.label import Pixels, stamp, stamp_watermark
from framerelay.sandbox.motion import Motion
from framerelay.sandbox.street import paint_street

FRAMES_PER_SECOND = 24
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
"""Without all three flags each conversion loses about one level of brightness."""

SOUND_OVERHANG_S = 0.043
SAMPLES_PER_SECOND = 44_100
UUID_BOX_BYTES = 21_674


class RenderingStopped(Exception):
    """The sandbox is shutting down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipOrder:
    """
    What to render. *number* is burnt in; *first* and *last* are exactly *width* x *height*, if given.

    ``bframes`` counts B-frames in a row; 0 lets a film be joined by dropping packets.
    """

    number: int
    width: int
    height: int
    frames: int
    seed: int
    prompt: str
    first: Image.Image | None = None
    last: Image.Image | None = None
    sound: bool = True
    still: bool = False
    watermark: bool = False
    bframes: int = 0


def render_clip(order: ClipOrder, into: Path, *, last_frame_into: Path | None, stop: threading.Event) -> None:
    """
    Render *order* to *into*, and its last frame as PNG to *last_frame_into*; blocks, seconds for a full-size clip.

    The PNG is decoded from the clip, so it has the same pixels; of a clip with a watermark it is the frame before the
    watermark, as the real API gives it. Raises: RenderingStopped once *stop* is set.
    """
    part = into.with_name(into.name + ".part")
    try:
        with av.open(part, "w", format="mp4") as container:
            clean = _encode(order, container, stop)
        _add_uuid_box(part)
        if last_frame_into is not None:
            _write_png(clean if order.watermark else _decode_last_frame(part), last_frame_into)
        part.replace(into)
    finally:
        part.unlink(missing_ok=True)


def _encode(order: ClipOrder, container: OutputContainer, stop: threading.Event) -> Pixels:
    """Write picture and sound in parallel; return the last frame as it was before watermark and codec."""
    video = _video_stream(order, container)
    sound = _Sound(order, container) if order.sound else None
    clean: Pixels = np.zeros((order.height, order.width, 3), np.uint8)
    for number, (frame, clean) in enumerate(_frames(order)):  # noqa: B007 - the last one is returned
        if stop.is_set():
            raise RenderingStopped
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
        picture = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU601, interpolation=EXACT)
        picture.pts = number
        container.mux(video.encode(picture))
        if sound:
            sound.write_until((number + 1) / FRAMES_PER_SECOND)
    container.mux(video.encode(None))
    if sound:
        sound.write_until(order.frames / FRAMES_PER_SECOND + SOUND_OVERHANG_S)
        sound.close()
    return clean


def _frames(order: ClipOrder) -> Iterator[tuple[Pixels, Pixels]]:
    """Each frame as it is shown, and before the watermark. Given frames stay untouched."""
    picture = order.first or paint_street(order.width, order.height, seed=order.seed, prompt=order.prompt)
    motion = Motion(
        picture, frames=order.frames, seed=order.seed, prompt=order.prompt, still=order.still, target=order.last
    )
    for number in range(order.frames):
        frame = motion.frame(number)
        is_given = (number == 0 and order.first) or (number == order.frames - 1 and order.last)
        if not is_given:
            stamp(frame, clip=order.number, number=number)
        clean = frame.copy() if order.watermark else frame
        if order.watermark:
            stamp_watermark(frame)
        yield frame, clean


def _video_stream(order: ClipOrder, container: OutputContainer) -> VideoStream:
    stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
    stream.width, stream.height, stream.pix_fmt = order.width, order.height, "yuv420p"
    stream.codec_context.options = {
        "preset": "superfast",
        "crf": "20",
        "g": "250",
        "bf": str(order.bframes),
        "profile": "high",
    }
    return stream


class _Sound:
    """Rain and a low hum in stereo, written as far as the picture has come."""

    def __init__(self, order: ClipOrder, container: OutputContainer) -> None:
        self._container = container
        self._stream: AudioStream = container.add_stream("aac", rate=SAMPLES_PER_SECOND, layout="stereo")
        self._noise = np.random.default_rng(order.seed % 2**63)
        self._pitch = 55.0 * 2 ** (order.seed % 12 / 12)
        self._frame_count = 0
        self._before = np.zeros((2, 1), np.float32)

    def write_until(self, seconds: float) -> None:
        missing = round(seconds * SAMPLES_PER_SECOND) - self._frame_count
        if missing <= 0:
            return
        frame = av.AudioFrame.from_ndarray(self._samples(missing), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLES_PER_SECOND, self._frame_count
        self._container.mux(self._stream.encode(frame))
        self._frame_count += missing

    def close(self) -> None:
        self._container.mux(self._stream.encode(None))

    def _samples(self, count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        """Noise with its upper half softened, and two low tones that beat slowly."""
        noise = self._noise.normal(0, 0.035, (2, count)).astype(np.float32)
        sound = np.concatenate((self._before, noise), axis=1)
        self._before = noise[:, -1:]
        time = (self._frame_count + np.arange(count, dtype=np.float64)) / SAMPLES_PER_SECOND
        hum = np.sin(2 * np.pi * self._pitch * time) + np.sin(2 * np.pi * (self._pitch * 1.5 + 0.3) * time)
        samples = (sound[:, :-1] + sound[:, 1:]) / 2 + 0.03 * hum.astype(np.float32)
        return np.ascontiguousarray(samples, np.float32)


def _add_uuid_box(path: Path) -> None:
    """
    Put a ``uuid`` box after ``ftyp``, where the real files have their C2PA manifest, and correct the sample offsets.

    It says what made the file; it does not pretend to be a manifest.
    """
    content = path.read_bytes()
    ftyp_bytes = struct.unpack(">I", content[:4])[0]
    kind = UUID("5f5a3c1e-7d0b-4f0e-9c64-6672616d6572").bytes
    note = b"Made by the FrameRelay sandbox: no camera, no model."
    box = struct.pack(">I4s", UUID_BOX_BYTES, b"uuid") + kind + note
    box = box.ljust(UUID_BOX_BYTES, b"\0")
    moov_at = _find_box(content, b"moov")
    moov = bytearray(content[moov_at:])
    _shift_offsets(moov, 8, len(moov), len(box))
    path.write_bytes(content[:ftyp_bytes] + box + content[ftyp_bytes:moov_at] + moov)


def _find_box(content: bytes, kind: bytes) -> int:
    at = 0
    while at + 8 <= len(content):
        size = struct.unpack_from(">I", content, at)[0]
        if size == 1:
            size = struct.unpack_from(">Q", content, at + 8)[0]
        if content[at + 4 : at + 8] == kind:
            return at
        at += max(8, size)
    raise ValueError(f"There is no {kind!r} box.")


def _shift_offsets(moov: bytearray, start: int, end: int, by: int) -> None:
    """Add *by* to every chunk offset in ``stco``; our files stay far below the 4 GiB that would need ``co64``."""
    at = start
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", moov, at)
        if kind in (b"trak", b"mdia", b"minf", b"stbl"):
            _shift_offsets(moov, at + 8, at + size, by)
        elif kind == b"stco":
            count = struct.unpack_from(">I", moov, at + 12)[0]
            offsets = struct.unpack_from(f">{count}I", moov, at + 16)
            struct.pack_into(f">{count}I", moov, at + 16, *(offset + by for offset in offsets))
        at += max(8, size)


def _decode_last_frame(path: Path) -> Pixels:
    """The last frame in presentation order; the sandbox wrote the file, so it is decoded without precautions."""
    with av.open(path, format="mp4") as container:
        last = max(container.decode(video=0), key=lambda frame: frame.pts or 0)
        return last.reformat(format="rgb24", interpolation=EXACT).to_ndarray().astype(np.uint8)


def _write_png(frame: Pixels, into: Path) -> None:
    part = into.with_name(into.name + ".part")
    Image.fromarray(frame).save(part, format="PNG", compress_level=1)
    part.replace(into)

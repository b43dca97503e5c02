"""
Clips for the tests: by default the twin of a real Seedance 2.0 file, with every oddity as an option.

A file of that provider (its manifest removed, its pixels replaced) is built like this, and so is ours:

    ftyp   32      isom, iso2, avc1, mp41
    uuid   21 674  the C2PA manifest: any reader that looks for moov near the start has to pass it
    free   8
    mdat           picture and sound, interleaved
    moov           at the END: nothing can be decoded before the tail of the file is there

Picture: 121 frames at 24 per second (5.0417 s, not 5), H.264 High from x264 superfast, crf 20, one keyframe unless a
scene cut forced a second, three B-frames (so the last packets are not the last frames), color not tagged at all.
Sound: AAC stereo that lasts 5.085 s, longer than the picture.

Each picture carries its number as sixteen black or white blocks along its top edge, most significant bit first.
"""

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.stream import Disposition
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

Image = npt.NDArray[np.uint8]
"""RGB, height x width x 3."""

os.environ.setdefault("SVT_LOG", "1")  # The AV1 encoder prints its settings on stderr otherwise.

MANIFEST_BYTES = 21_674
EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
ENCODERS = {
    "h264": ("libx264", {"preset": "superfast", "crf": "20", "refs": "1", "b_strategy": "0"}),
    "hevc": ("libx265", {"preset": "ultrafast", "crf": "20", "x265-params": "log-level=none"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "crf": "24", "b": "0"}),
    "av1": ("libsvtav1", {"preset": "10", "crf": "30"}),
    "mpeg4": ("mpeg4", {"qscale": "3"}),  # As OpenCV writes it, unless told otherwise.
    "mpeg2": ("mpeg2video", {}),
}


@dataclass(frozen=True)
class Matrix:
    """How RGB becomes YUV, and how a file says so."""

    coefficients: int
    tag: int
    primaries: int
    curve: int


MATRICES = {
    "bt601": Matrix(Colorspace.ITU601, Colorspace.SMPTE170M, ColorPrimaries.SMPTE170M, ColorTrc.SMPTE170M),
    "bt709": Matrix(Colorspace.ITU709, 1, ColorPrimaries.BT709, ColorTrc.BT709),
    "smpte240m": Matrix(Colorspace.SMPTE240M, 7, ColorPrimaries.SMPTE240M, ColorTrc.SMPTE240M),
    "bt2020": Matrix(Colorspace.BT2020, 9, ColorPrimaries.BT2020, ColorTrc.BT2020_10),
}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What to write. The container follows the file's name: ``.mp4``, ``.mkv`` or ``.webm``."""

    size: tuple[int, int] = (320, 180)
    frames: int = 121
    first_number: int = 0  # Printed on the first frame; the others count on.
    fps: Fraction = Fraction(24)
    stands: Sequence[int] | None = None  # How many ticks of 1/fps each frame lasts (VFR); None: one each.
    codec: str = "h264"  # A key of ENCODERS.
    pix_fmt: str = "yuv420p"  # yuv420p10le for ten bits; yuv444p for odd sizes.
    gop: int = 250
    bframes: int = 3
    cut_at: int | None = None  # A scene cut: from this frame on the picture is inverted, and it is a keyframe.
    grain: int = 0  # Noise in levels, for files of realistic weight.
    encoder_options: dict[str, str] | None = None

    matrix: str = "bt601"  # A key of MATRICES: how RGB becomes YUV …
    full_range: bool = False
    tagged: bool = False  # … and if the file says so. Seedance does not.

    picture: bool = True
    audio_s: float | None = 5.085  # None: no sound.
    audio_rate: int = 44_100
    audio_first: bool = False  # Kling writes sound as stream 0.
    cover: bool = False  # Cover art, which readers see as one more video stream; here it comes first.

    fragmented: bool = False
    faststart: bool = False
    manifest: bool = True  # The uuid box; only in plain MP4.
    rotation: int = 0  # Degrees counter-clockwise in which a player must turn the picture.
    shown_frames: int | None = None  # An edit list that hides the frames after these.
    muxer_options: dict[str, str] | None = None


def write_clip(path: Path, clip: Clip | None = None, **options: Any) -> Path:
    """Write the clip that *options* (fields of Clip) describe, a Seedance twin by default; return *path*."""
    clip = clip or Clip(**options)
    with usual_priority(), av.open(str(path), "w", options=muxer_options(path, clip)) as container:
        sound = add_sound(container, clip) if clip.audio_first else None
        picture = add_picture(container, clip) if clip.picture else None
        sound = sound or add_sound(container, clip)
        cover = add_cover(container) if clip.cover else None
        container.start_encoding()
        if cover:
            container.mux(cover_packet(cover))
        if picture:
            encode_picture(container, picture, clip)
        if sound:
            encode_sound(container, sound, clip)
    if path.suffix == ".mp4" and not clip.fragmented:
        path.write_bytes(rebuild(path.read_bytes(), clip))
    return path


@contextmanager
def usual_priority() -> Iterator[None]:
    """
    Afterwards this thread has the priority it had before.

    SVT-AV1 gives a caller who is root the highest there is on Linux, real time (FIFO 99), and does not undo it. All
    processes that the thread starts from then on have it, too, a browser among them: nothing else gets a core.
    """
    before = (os.sched_getscheduler(0), os.sched_getparam(0)) if hasattr(os, "sched_getscheduler") else None
    try:
        yield
    finally:
        if before:
            os.sched_setscheduler(0, *before)


def muxer_options(path: Path, clip: Clip) -> dict[str, str]:
    """The options of the container's writer."""
    flags = "frag_keyframe+empty_moov+default_base_moof" if clip.fragmented else "faststart" if clip.faststart else ""
    muxer = {"movflags": flags} if flags and path.suffix == ".mp4" else {}
    return muxer | (clip.muxer_options or {})


# --- picture


def add_picture(container: Any, clip: Clip) -> Any:
    """Add the video stream, untagged unless asked for."""
    encoder, options = ENCODERS[clip.codec]
    options = options | {"bf": str(clip.bframes)} if clip.codec in ("h264", "hevc", "mpeg4", "mpeg2") else options
    stream = container.add_stream(encoder, rate=clip.fps, options=options | (clip.encoder_options or {}))
    stream.width, stream.height = clip.size
    stream.pix_fmt = clip.pix_fmt
    stream.gop_size = clip.gop
    context = stream.codec_context
    context.time_base = 1 / clip.fps
    if clip.tagged:
        matrix = MATRICES[clip.matrix]
        context.colorspace, context.color_primaries, context.color_trc = matrix.tag, matrix.primaries, matrix.curve
        context.color_range = ColorRange.JPEG if clip.full_range else ColorRange.MPEG
    if clip.rotation:
        stream.set_display_rotation(clip.rotation)
    return stream


def encode_picture(container: Any, stream: Any, clip: Clip) -> None:
    """Draw, convert, encode and write every frame, each with its duration."""
    stands = list(clip.stands or [1] * clip.frames)
    pts = [sum(stands[:n]) for n in range(clip.frames)]
    stands_at = dict(zip(pts, stands, strict=True))
    time_base = 1 / clip.fps

    def write(packets: list[Any]) -> None:
        for packet in packets:
            ticks = round(packet.pts * packet.time_base / time_base)
            packet.duration = round(stands_at[ticks] * time_base / packet.time_base)
            container.mux(packet)

    for n in range(clip.frames):
        frame = to_yuv(draw(clip, n), clip)
        frame.pts, frame.time_base = pts[n], time_base
        if n == clip.cut_at:
            frame.pict_type = PictureType.I
        write(stream.encode(frame))
    write(stream.encode())


def to_yuv(image: Image, clip: Clip) -> Any:
    """RGB to the clip's pixel format by its matrix and range; the tags are taken off again unless wanted."""
    frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format=clip.pix_fmt,
        dst_colorspace=MATRICES[clip.matrix].coefficients,
        dst_color_range=ColorRange.JPEG if clip.full_range else ColorRange.MPEG,
        interpolation=EXACT,
    )
    if not clip.tagged:
        frame.colorspace, frame.color_range = 2, ColorRange.UNSPECIFIED
        frame.color_trc, frame.color_primaries = ColorTrc.UNSPECIFIED, ColorPrimaries.UNSPECIFIED
    return frame


def draw(clip: Clip, n: int) -> Image:
    """Frame *n*: a drifting field of color, a moving square, and the number along the top."""
    width, height = clip.size
    image = np.empty((height, width, 3), np.float32)
    for channel, (across, down, speed) in enumerate(((3, 1, 2.0), (1, 2, -1.5), (2, 3, 1.0))):
        x = 6.2832 * (across * np.arange(width, dtype=np.float32) / width + speed * n / 120)
        y = 6.2832 * down * np.arange(height, dtype=np.float32)[:, np.newaxis] / height
        waves = np.sin(x) * (90 * np.cos(y)) + np.cos(x) * (90 * np.sin(y))  # 90 * sin(x + y), which costs ten times.
        np.add(waves, 128, out=image[..., channel])
    side = max(8, height // 6)
    left_edge = (n * 3) % max(1, width - side)
    image[height // 2 : height // 2 + side, left_edge : left_edge + side] = (230, 40, 60)
    if clip.grain:
        image += np.random.default_rng(n).integers(-clip.grain, clip.grain + 1, (height, width, 1))
    if clip.cut_at is not None and n >= clip.cut_at:
        image = 255 - image
    print_number(image, clip.first_number + n)
    return np.clip(image, 0, 255).astype(np.uint8)


def print_number(image: npt.NDArray[np.float32], number: int) -> None:
    """Sixteen blocks along the top, the highest bit at the left; white is one."""
    height, width = image.shape[:2]
    for bit in range(16):
        block = image[: max(8, height // 8), bit * width // 16 : (bit + 1) * width // 16]
        block[:] = 255 if number >> (15 - bit) & 1 else 0


def read_number(image: Image) -> int:
    """The number that is printed on an RGB *image* (see print_number)."""
    height, width = image.shape[:2]
    number = 0
    for bit in range(16):
        block = image[: max(8, height // 8), bit * width // 16 : (bit + 1) * width // 16]
        number = number << 1 | int(block.mean() > 127)
    return number


# --- sound and cover


def add_sound(container: Any, clip: Clip) -> Any:
    """Add the AAC (in webm: Opus) stream, if the clip has sound."""
    if clip.audio_s is None:
        return None
    codec = "libopus" if container.format.name == "webm" else "aac"
    return container.add_stream(codec, rate=clip.audio_rate, layout="stereo")


def encode_sound(container: Any, stream: Any, clip: Clip) -> None:
    """A quiet tone of ``audio_s`` seconds; its pitch follows the first frame's number, so that shots can be told."""
    samples = round((clip.audio_s or 0) * clip.audio_rate)
    pitch = 220 + clip.first_number % 440
    tone = 0.2 * np.sin(2 * np.pi * pitch * np.arange(samples, dtype=np.float32) / clip.audio_rate)
    for start in range(0, samples, 1024):
        part = np.stack([tone[start : start + 1024]] * 2).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = clip.audio_rate, start, Fraction(1, clip.audio_rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())


def add_cover(container: Any) -> Any:
    """Add cover art: a video stream with one attached picture."""
    stream = container.add_stream("png")
    stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
    stream.disposition = Disposition.attached_pic
    return stream


def cover_packet(stream: Any) -> Any:
    """The attached picture itself, plain gray."""
    frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
    return stream.encode(frame) + stream.encode()


# --- boxes


def rebuild(data: bytes, clip: Clip) -> bytes:
    """Give a plain MP4 what no muxer option gives: the manifest, an edit list that cuts, the cover in front."""
    boxes = dict(find_boxes(data))
    moov = bytearray(data[slice(*boxes[b"moov"])])
    if clip.shown_frames is not None:
        cut_edit_list(moov, clip.shown_frames / clip.fps)
    if clip.cover:
        put_first(moov, b"udta")
    manifest = box(b"uuid", bytes(MANIFEST_BYTES - 8)) if clip.manifest else b""
    shift_chunks(moov, len(manifest))
    parts = (bytes(moov) if name == b"moov" else data[start:end] for name, (start, end) in find_boxes(data))
    first, *others = parts
    return b"".join((first, manifest, *others))


def find_boxes(data: bytes | bytearray, start: int = 0, end: int | None = None) -> Iterator[tuple[bytes, Any]]:
    """(name, (start, end)) of each box in *data*, side by side."""
    end = len(data) if end is None else end
    while start < end:
        size, name = struct.unpack_from(">I4s", data, start)
        if size == 1:
            size = struct.unpack_from(">Q", data, start + 8)[0]
        yield name, (start, start + size)
        start += size


def find_deep(data: bytes | bytearray, *path: bytes, start: int = 0, end: int | None = None) -> Iterator[int]:
    """Where the boxes at *path* begin, e.g. ``b"trak", b"mdia"``."""
    for name, (box_start, box_end) in find_boxes(data, start, end):
        if name == path[0] and len(path) == 1:
            yield box_start
        elif name == path[0]:
            yield from find_deep(data, *path[1:], start=box_start + 8, end=box_end)


def box(name: bytes, body: bytes) -> bytes:
    """One box."""
    return struct.pack(">I4s", 8 + len(body), name) + body


def shift_chunks(moov: bytearray, by: int) -> None:
    """Move every chunk offset: bytes were put in front of the samples."""
    for at in find_deep(moov, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stco"):
        (count,) = struct.unpack_from(">I", moov, at + 12)
        offsets = struct.unpack_from(f">{count}I", moov, at + 16)
        struct.pack_into(f">{count}I", moov, at + 16, *(offset + by for offset in offsets))


def cut_edit_list(moov: bytearray, seconds: Fraction) -> None:
    """Let the picture's edit list end after *seconds* (the movie's time scale is 1000)."""
    for trak in find_deep(moov, b"moov", b"trak"):
        (size,) = struct.unpack_from(">I", moov, trak)
        if b"vmhd" in moov[trak : trak + size]:
            (elst,) = find_deep(moov, b"edts", b"elst", start=trak + 8, end=trak + size)
            struct.pack_into(">I", moov, elst + 16, int(seconds * 1000))


def put_first(moov: bytearray, name: bytes) -> None:
    """Move a box of the moov to its front."""
    start, end = dict(find_boxes(moov, 8))[name]
    moov[8:end] = moov[start:end] + moov[8:start]

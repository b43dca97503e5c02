"""How the clips of the census are made: clipmaker's, FFmpeg's, and the bytes of both changed by hand."""

import hashlib
import io
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

SIZE = (160, 96)
FRAMES = 7
ONE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Picture:
    """
    The frame that is handed on.

    ``like``: what is compared. ``samples``: every pixel with those that FFmpeg decodes, by matrix, range and siting.
    ``drawn``: with the RGB that was encoded. ``plain``: with the frame of the clip that it was made of, byte for byte.
    """

    like: str = "samples"
    number: int = FRAMES - 1
    frames: int = FRAMES
    size: tuple[int, int] = SIZE
    matrix: str = "bt601"
    full: bool = False
    siting: tuple[float, float] = (0.5, 0.5)
    display: tuple[int, int, int, int] = (1, 0, 0, 1)  # a, b, c, d of the display matrix.
    notes: tuple[str, ...] = ()
    codec: str = "h264"
    stream: str = "v:0"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """No frame, for that ``reason``, and ``words`` are in the message."""

    reason: str
    words: str


@dataclass(frozen=True)
class Kit:
    """What rows are made with."""

    folder: Path
    shelf: Path
    ffmpeg: str
    clipmaker: ModuleType
    make_clip: Callable[..., Path]

    def clip(self, name: str = "clip.mp4", **fields: Any) -> Path:
        """By PyAV."""
        return self.make_clip(name, **{"size": SIZE, "frames": FRAMES, "audio_s": None, "manifest": False, **fields})

    def remade(self, name: str, *options: str, of: Path | None = None) -> Path:
        """By FFmpeg, of the plain clip unless of another."""
        into = self.folder / name
        command = [
            self.ffmpeg,
            "-v",
            "error",
            "-nostdin",
            "-y",
            "-threads",
            "1",
            "-i",
            str(of or self.clip("plain.mp4")),
        ]
        subprocess.run([*command, *options, str(into)], check=True, capture_output=True)
        return into

    def encoded(self, name: str, *options: str, frames: int = FRAMES) -> Path:
        """By FFmpeg, of the drawn pictures."""
        into = self.folder / name
        frames_raw = b"".join(self.draw(n).tobytes() for n in range(frames))
        command = [self.ffmpeg, "-v", "error", "-y", "-threads", "1", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        command += ["-s", f"{SIZE[0]}x{SIZE[1]}", "-r", "24", "-i", "-", *options, str(into)]
        subprocess.run(command, input=frames_raw, check=True, capture_output=True)
        return into

    def write(self, name: str, body: bytes) -> Path:
        """Anything."""
        into = self.folder / name
        into.write_bytes(body)
        return into

    def encoded_hdr(self, name: str, curve: str, *encoder: str) -> Path:
        """The drawn pictures as light of a screen, by *curve* in BT.2020 and ten bits."""
        into = self.folder / name
        pictures = b"".join(hdr_codes(self.draw(n), curve).tobytes() for n in range(FRAMES))
        transfer = {"pq": "smpte2084", "hlg": "arib-std-b67"}[curve]
        tags = ["-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv"]
        command = [self.ffmpeg, "-v", "error", "-y", "-threads", "1", "-f", "rawvideo", "-pix_fmt", "rgb48le"]
        command += ["-s", f"{SIZE[0]}x{SIZE[1]}", "-r", "24", "-i", "-"]
        command += [
            "-vf",
            "scale=out_color_matrix=bt2020:flags=bicubic+accurate_rnd+full_chroma_int,format=yuv420p10le",
        ]
        subprocess.run([*command, *tags, *encoder, str(into)], input=pictures, check=True, capture_output=True)
        return into

    def large(self, name: str, encoder: str) -> Path:
        """One grey picture of 8K."""
        into = self.folder / name
        command = [self.ffmpeg, "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", "color=gray:s=7680x4320:d=0.04"]
        options = ["-c:v", encoder, "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
        subprocess.run([*command, *options, str(into)], check=True, capture_output=True)
        return into

    def draw(self, n: int) -> Any:
        """The picture of number *n* before it is encoded."""
        return self.clipmaker.draw(self.clipmaker.Clip(size=SIZE), n)


def hdr_codes(picture: Any, curve: str) -> Any:
    """RGB of SDR as codes of HDR, 16 bits: a white of 255 is at 203 cd/m² (ITU-R BT.2408)."""
    to_bt2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    candelas = 203 * (picture / 255) ** 2.4 @ to_bt2020.T
    if curve == "pq":
        power = (candelas / 10_000) ** (2610 / 16384)
        codes = ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    else:
        levels = np.maximum(candelas / 1000, 1e-9)
        scene = levels * (levels @ np.array([0.2627, 0.678, 0.0593]))[..., np.newaxis] ** (1 / 1.2 - 1)
        log = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
        codes = np.where(scene <= 1 / 12, np.sqrt(3 * scene), log)
    return np.rint(codes * 65_535).astype("<u2")


Make = Callable[[Kit], Path]


@dataclass(frozen=True)
class Row:
    """One clip."""

    kind: str
    name: str
    make: Make
    right: Picture | Refusal

    def clip(self, kit: Kit) -> Path:
        """It is made once in a test run; a test gets a copy of its own."""
        key = hashlib.sha256(f"{self.kind}: {self.name}".encode()).hexdigest()
        if file := next(kit.shelf.glob(f"{key} *"), None):
            return Path(shutil.copyfile(file, kit.folder / file.name.removeprefix(f"{key} ")))
        clip, draft = self.make(kit), kit.shelf / f"{os.getpid()}.row"
        shutil.copyfile(clip, draft)
        draft.replace(kit.shelf / f"{key} {clip.name}")
        return clip


def by_pyav(name: str = "clip.mp4", **fields: Any) -> Make:
    """A clip of clipmaker's."""
    return lambda kit: kit.clip(name, **fields)


def by_ffmpeg(name: str, *options: str) -> Make:
    """The drawn pictures, encoded by FFmpeg's command."""
    return lambda kit: kit.encoded(name, *options)


def remade(name: str, *options: str, **fields: Any) -> Make:
    """A clip of clipmaker's in another container, or with something more in it, by FFmpeg's command."""
    return lambda kit: kit.remade(name, *options, of=kit.clip("plain.mp4", **fields))


def edited(change: Callable[[bytes, ModuleType], bytes], name: str = "edited.mp4", **fields: Any) -> Make:
    """The bytes of a clip of clipmaker's, changed; its index is at its end, so that nothing moves with it."""
    return lambda kit: kit.write(
        name, change(kit.clip(f"plain{Path(name).suffix}", **fields).read_bytes(), kit.clipmaker)
    )


def no_clip(name: str, body: bytes) -> Make:
    """What is no clip at all."""
    return lambda kit: kit.write(name, body)


def animated(name: str, format_: str) -> Make:
    """The drawn pictures as an animation of Pillow's."""

    def make(kit: Kit) -> Path:
        first, *others = (Image.fromarray(kit.draw(n)) for n in range(FRAMES))
        file = io.BytesIO()
        first.save(file, format_, save_all=True, append_images=others, duration=40)
        return kit.write(name, file.getvalue())

    return make


def box(name: bytes, *parts: bytes) -> bytes:
    """One."""
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def with_box(data: bytes, path: Sequence[bytes], more: bytes) -> bytes:
    """*data* with *more* at the end of the box at *path*."""
    out, start, end = bytearray(data), 0, len(data)
    for name in path:
        at = data.index(name, start, end) - 4
        size = struct.unpack_from(">I", data, at)[0]
        struct.pack_into(">I", out, at, size + len(more))
        start, end = at + 8, at + size
    return bytes(out[:end]) + more + bytes(out[end:])


def prefixed(more: bytes) -> Callable[[bytes, ModuleType], bytes]:
    """*more* in front of everything, which moves all of it."""

    def change(data: bytes, maker: ModuleType) -> bytes:
        start, end = dict(maker.find_boxes(data))[b"moov"]
        moov = bytearray(data[start:end])
        maker.shift_chunks(moov, len(more))
        return more + data[:start] + bytes(moov) + data[end:]

    return change


def endless(data: bytes, maker: ModuleType) -> bytes:
    """Its mdat comes last, and says "up to the end"."""
    out = bytearray(data)
    struct.pack_into(">I", out, dict(maker.find_boxes(data))[b"mdat"][0], 0)
    return bytes(out)


def wide(data: bytes, maker: ModuleType) -> bytes:
    """Its mdat says its size in 64 bits; the free box before it makes room."""
    start, end = dict(maker.find_boxes(data))[b"mdat"]
    return data[: start - 8] + struct.pack(">I4sQ", 1, b"mdat", end - start + 8) + data[start + 8 :]


def told_length(seconds: float) -> Callable[[bytes, ModuleType], bytes]:
    """An index that says how long its fragments last together; it is in front, and they hold no offsets."""

    def change(data: bytes, maker: ModuleType) -> bytes:
        return with_box(data, (b"moov", b"mvex"), box(b"mehd", bytes(4), struct.pack(">I", round(seconds * 1000))))

    return change


def without_last_fragment(data: bytes, maker: ModuleType) -> bytes:
    """Cut between two boxes."""
    return data[: data.rindex(b"moof") - 4]


def grown_entry(data: bytes, entry: bytes, more: bytes) -> bytes:
    """*data* with *more* in its kind of samples."""
    return with_box(data, (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", entry), more)


def turned(matrix: tuple[int, int, int, int]) -> Make:
    """With that display matrix in the header of its track."""
    a, b, c, d = (value * ONE for value in matrix)

    def change(data: bytes, maker: ModuleType) -> bytes:
        out = bytearray(data)
        (at,) = maker.find_deep(data, b"moov", b"trak", b"tkhd")
        struct.pack_into(">9i", out, at + 48, a, b, 0, c, d, 0, 0, 0, 1 << 30)
        return bytes(out)

    return edited(change)


def switched_off(data: bytes, maker: ModuleType) -> bytes:
    """The first track is not to be shown."""
    out = bytearray(data)
    at = next(iter(maker.find_deep(data, b"moov", b"trak", b"tkhd")))
    out[at + 11] &= ~1
    return bytes(out)


def two_pictures(first: tuple[str, ...], second: tuple[str, ...], name: str = "two.mp4") -> Make:
    """Two tracks: the first is half as large, and shows something else."""

    def make(kit: Kit) -> Path:
        other = kit.remade("other.mp4", "-vf", "scale=80:48,negate", *first)
        plain = kit.clip("plain.mp4")
        return kit.remade(name, "-i", str(plain), "-map", "0:v", "-map", "1:v", "-c", "copy", *second, of=other)

    return make


def only_second(kit: Kit) -> Path:
    """Two tracks, of which the first is switched off."""
    clip = two_pictures(("-c:v", "libx264"), ())(kit)
    return kit.write("second.mp4", switched_off(clip.read_bytes(), kit.clipmaker))


COMPACT = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def hdr(name: str, curve: str, *encoder: str) -> Make:
    """The drawn pictures as light in BT.2020, by that curve."""

    def make(kit: Kit) -> Path:
        return kit.encoded_hdr(name, curve, *encoder)

    return make

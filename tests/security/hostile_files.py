"""
Files that a hostile or broken provider may serve as a clip, and pictures that a person may be made to give.

All are made here from a small good clip and a few bytes. `clips` and `pictures` name each and say for which reasons
it may be refused; many are one change away from being accepted, so that the guard in question does the refusing.
"""

import gzip
import io
import random
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from tests.media.clipmaker import box, find_boxes, find_deep, write_clip

NOT_A_CLIP, NOT_ALLOWED, NO_PICTURE = {"not_a_clip"}, {"not_allowed"}, {"no_picture"}
CORRUPT, TRUNCATED = {"corrupt"}, {"truncated"}
DAMAGED = CORRUPT | TRUNCATED
FINE = {"fine"}
"""What lies does not matter to our reader: it may find the clip as good as it was."""

TABLE = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
Hostile = tuple[bytes, set[str]]


@cache
def good(name: str = "good.mp4", **options: Any) -> bytes:
    """The bytes of a small clip that is accepted, unless the options say otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        fields = {"frames": 8, "audio_s": None, "manifest": False, "bframes": 0} | options
        return write_clip(Path(folder) / name, **fields).read_bytes()


def clips(elsewhere: str) -> dict[str, Hostile]:
    """Every hostile clip by its name; *elsewhere*, ``host:port``, is where those lead to that name an address."""
    return {**naming_places(elsewhere), **no_clips(), **lying_boxes(), **excesses(), **other_kinds(), **matroska()}


def naming_places(elsewhere: str) -> dict[str, Hostile]:
    """What would make a reader open something: an address, or ``secret.mp4`` beside the clip, or /etc/passwd."""
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
        f'<Representation id="1"><BaseURL>http://{elsewhere}/dash.mp4</BaseURL></Representation></AdaptationSet>'
        "</Period></MPD>"
    )
    host, port = elsewhere.split(":")
    sdp = (
        f"v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )
    texts = {
        "playlist of an address": playlist.format(f"http://{elsewhere}/a.ts"),
        "playlist of a file": playlist.format("file:///etc/passwd"),
        "playlist of a neighbour": playlist.format("secret.mp4"),
        "playlist by concat": playlist.format(f"concat:http://{elsewhere}/a|file:///etc/passwd"),
        "concat script": "ffconcat version 1.0\nfile secret.mp4\n",
        "concat script of an address": f"ffconcat version 1.0\nfile http://{elsewhere}/b.mp4\n",
        "dash manifest": dash,
        "session description": sdp,
        "reference movie": f"RTSPtextRTSP://{elsewhere}/c.mov",
        "image list": "secret%d.png",
    }
    return {name: (text.encode(), NOT_A_CLIP) for name, text in texts.items()} | {
        "samples in a neighbour": (with_reference(b"secret.mp4", levels=1), DAMAGED | NO_PICTURE),
        "samples in /etc/passwd": (with_reference(b"/etc/passwd", levels=0), DAMAGED | NO_PICTURE),
        "playlist behind ftyp": (
            box(b"ftyp", b"isom\0\0\0\0") + playlist.format(f"http://{elsewhere}/d.ts").encode(),
            DAMAGED,
        ),
    }


def no_clips() -> dict[str, Hostile]:
    """Everything else that may be at the address of a clip."""
    archive_file = io.BytesIO()
    with zipfile.ZipFile(archive_file, "w") as archive:
        archive.writestr("clip.mp4", good())
    texts = {
        "text": "a clip, honestly",
        "error page": "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>",
        "error as JSON": '{"error":{"code":"AccessDenied","message":"Request has expired"}}',
        "error as XML": '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        "vector drawing": '<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "subtitles": "WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n",
        "styled subtitles": "[Script Info]\nScriptType: v4.00+\n",
    }
    return {name: (text.encode(), NOT_A_CLIP) for name, text in texts.items()} | {
        "nothing": (b"", TRUNCATED),
        "zeros": (bytes(100_000), NOT_A_CLIP),
        "noise": (random.Random(4).randbytes(100_000), NOT_A_CLIP),
        "packed by gzip": (gzip.compress(good()), NOT_A_CLIP),
        "packed by zip": (archive_file.getvalue(), NOT_A_CLIP),
        **{f"picture: {name}": (body, NOT_A_CLIP) for name, (body, _) in pictures().items()},
    }


def lying_boxes() -> dict[str, Hostile]:
    """MP4 whose structure is not what it says."""
    clip = good()
    moov = dict(find_boxes(clip))[b"moov"]
    (stbl,) = find_deep(clip, *TABLE)
    fragments = good(fragmented=True, frames=30, gop=5)
    deep = b""
    for _ in range(10_000):
        deep = box(b"moov", deep)
    return {
        "cut within moov": (clip[: moov[0] + 200], TRUNCATED),
        "cut within mdat": (clip[: moov[0] - 500], TRUNCATED),
        "moov gone": (clip[: moov[0]], DAMAGED),
        "index in front, samples cut": (good(faststart=True)[:-500], TRUNCATED),
        "fragments without end": (fragments[: len(fragments) * 2 // 3], DAMAGED),
        "last fragment's samples cut": (fragments[:-300], DAMAGED),
        "ten thousand moov deep": (box(b"ftyp", b"isom\0\0\0\0") + deep, DAMAGED | NO_PICTURE),
        "box that ends after its parent": (patched(clip, stbl, ">I", 0x7FFF_FFFF), FINE | DAMAGED | NO_PICTURE),
        "box of negative size": (patched(clip, stbl, ">I", 0xFFFF_FFF0), FINE | DAMAGED | NO_PICTURE),
        "box shorter than its header": (patched(clip, stbl, ">I", 4), DAMAGED | NO_PICTURE | NOT_ALLOWED),
        "first box without end": (patched(clip, 0, ">I", 0), DAMAGED),
        "first box of 2^63 bytes": (b"\0\0\0\1ftyp" + struct.pack(">Q", 1 << 63) + clip, DAMAGED),
        "first box of 64-bit size 0": (b"\0\0\0\1ftyp" + bytes(8) + clip, DAMAGED),
        "a hundred thousand boxes": (clip + box(b"free", b"") * 100_000, NOT_ALLOWED),
        "packed index": (
            box(b"ftyp", b"qt  \0\0\0\0")
            + box(
                b"moov", box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", struct.pack(">I", 0xFFFF_FFF0) + bomb(64)))
            ),
            DAMAGED | NO_PICTURE | NOT_ALLOWED,
        ),
    }


def excesses() -> dict[str, Hostile]:
    """MP4 that is well-formed, and asks for too much."""
    clip = good()
    place = {name: next(find_deep(clip, *TABLE, name)) for name in (b"stsz", b"stts", b"stsc", b"stco", b"stsd")}
    (mdhd,) = find_deep(clip, *TABLE[:3], b"mdhd")
    (elst,) = find_deep(clip, *TABLE[:2], b"edts", b"elst")
    entry = place[b"stsd"] + 16
    huge = 0x7FFF_FFFF
    many = patched(clip, place[b"stsz"] + 12, ">II", 1, 40_000)
    many = patched(many, place[b"stts"] + 16, ">II", 40_000, timescale(clip))
    many = patched(many, place[b"stsc"] + 16, ">II", 1, 40_000)
    any_reason = DAMAGED | NO_PICTURE | NOT_ALLOWED
    return {
        "stsz of two thousand million": (patched(clip, place[b"stsz"] + 12, ">II", 1, huge), any_reason),
        "stsz that is not there": (patched(clip, place[b"stsz"] + 12, ">II", 0, huge), any_reason),
        "stco that is not there": (patched(clip, place[b"stco"] + 12, ">I", huge), FINE | any_reason),
        "stts of two thousand million": (patched(clip, place[b"stts"] + 12, ">I", huge), any_reason),
        "samples far behind the end": (patched(clip, place[b"stco"] + 16, ">I", huge), DAMAGED),
        "ten hours": (patched(clip, place[b"stts"] + 20, ">I", 4500 * timescale(clip)), NOT_ALLOWED),
        "ten hours at one frame per second": (patched(many, elst + 4, ">4s", b"free"), NOT_ALLOWED),
        "a hundred thousand frames per second": (
            patched(patched(clip, mdhd + 20, ">I", 100_000), place[b"stts"] + 20, ">I", 1),
            NOT_ALLOWED,
        ),
        "65535 x 65535 by its index alone": (patched(clip, entry + 32, ">HH", 65535, 65535), FINE),
        "ten thousand streams": (with_more_tracks(clip, 10_000), NOT_ALLOWED),
        "seventeen streams": (with_more_tracks(clip, 16), NOT_ALLOWED),
        "edit list of four thousand million": (patched(clip, elst + 12, ">I", 0xFFFF_FFFF), FINE | any_reason),
        "edit list that loops": (looping(clip), NOT_ALLOWED),
    }


def other_kinds() -> dict[str, Hostile]:
    """Real media, of which none is a clip for us."""
    return {
        "transport stream": (grey_clip("mpegts", "libx264"), NOT_A_CLIP),
        "AVI": (grey_clip("avi", "mpeg4"), NOT_A_CLIP),
        "flash video": (grey_clip("flv", "libx264"), NOT_A_CLIP),
        "MPEG-2": (good(codec="mpeg2"), NOT_ALLOWED),
        "ProRes": (grey_clip("mov", "prores_ks", "yuv422p10le"), NOT_ALLOWED),
        "FFV1": (grey_clip("matroska", "ffv1"), NOT_ALLOWED),
        "motion JPEG": (grey_clip("mp4", "mjpeg", "yuvj420p"), NOT_ALLOWED),
        "sound alone": (good(picture=False, audio_s=0.5), NO_PICTURE),
        "sound and cover art": (good(picture=False, cover=True, audio_s=0.5), NO_PICTURE),
        "encrypted": (encrypted(), DAMAGED | NOT_ALLOWED),
    }


def matroska() -> dict[str, Hostile]:
    """Matroska that lies."""
    clip = good("good.webm", codec="vp9")
    segment = clip.index(b"\x18\x53\x80\x67")
    picture = clip.index(b"\x49\x83\x42")  # What each keyframe of VP9 begins with; its size follows half a byte later.
    header = clip[:segment]
    deep = b""
    for _ in range(5000):
        deep = b"\x1f\x43\xb6\x75" + vint(len(deep)) + deep
    vast = clip[: picture + 3] + bytes([clip[picture + 3] | 0x0F]) + b"\xff\xff\xff\xff" + clip[picture + 8 :]
    return {
        "header of 2^56 bytes": (clip[:4] + b"\x01" + b"\xff" * 6 + b"\xfe" + clip[5:], DAMAGED),
        "segment without content": (header + b"\x18\x53\x80\x67\x01" + b"\xff" * 7, DAMAGED | NO_PICTURE),
        "clusters within clusters": (header + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + deep, DAMAGED | NO_PICTURE),
        "live, and cut off": (live(clip, segment)[:-400], DAMAGED),
        "cut": (clip[:-400], TRUNCATED),
        "Matroska of 65535 x 180 by its index alone": (clip.replace(b"\xb0\x82\x01\x40", b"\xb0\x82\xff\xff"), FINE),
        "VP9 of 65536 x 65536": (vast, DAMAGED | NOT_ALLOWED),
        "noise behind the header": (header + random.Random(5).randbytes(50_000), DAMAGED | NO_PICTURE),
    }


@cache
def pictures() -> dict[str, Hostile]:
    """Pictures that cost more than they show, or are not pictures."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    jpeg, gif = io.BytesIO(), io.BytesIO()
    noise.save(jpeg, "JPEG", progressive=True)
    noise.save(gif, "GIF")
    frame = gif.getvalue()[gif.getvalue().index(b"\x2c") : -1]
    vp8l = b"VP8L" + struct.pack("<IBI", 10, 0x2F, 0x3FFF | 0x3FFF << 14) + bytes(5)
    vp8x = b"VP8X" + struct.pack("<IB3x", 10, 2) + (16_383).to_bytes(3, "little") * 2
    note = b"k\0\0" + bomb(64)
    return {
        "PNG of 60000 x 60000": (png(60_000, 60_000, zlib.compress(bytes(9))), NOT_ALLOWED),
        "PNG of 2^31 x 1": (png(0x7FFF_FFFF, 1, zlib.compress(bytes(9))), NOT_ALLOWED),
        "PNG of 9000 x 2": (png(9000, 2, zlib.compress(bytes(2 * 27_001))), NOT_ALLOWED),
        "PNG of 5000 x 5000 in 75 KB": (png(5000, 5000, bomb(72)), NOT_ALLOWED),
        "PNG with too few pixels": (png(2000, 2000, zlib.compress(bytes(9))), CORRUPT),
        "PNG with a packed note of 64 MB": (png(64, 64, zlib.compress(bytes(64 * 193)), note), CORRUPT),
        "JPEG cut": (jpeg.getvalue()[:1500], CORRUPT),
        "WebP of 16384 x 16384": (
            b"RIFF" + struct.pack("<I", len(vp8l) + 4) + b"WEBP" + vp8l,
            {*CORRUPT, *NOT_ALLOWED},
        ),
        "WebP canvas of 16384 x 16384": (
            b"RIFF" + struct.pack("<I", len(vp8x) + 4) + b"WEBP" + vp8x,
            {*CORRUPT, *NOT_ALLOWED, *NOT_A_CLIP},
        ),
        "GIF of a hundred thousand frames": (gif.getvalue()[:-1] + frame[:60] * 100_000, NOT_A_CLIP),
        "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', NOT_A_CLIP),
        "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", NOT_A_CLIP),
    }


def mutations(count: int) -> Iterator[bytes]:
    """*count* clips, each damaged in another place and way, the same ones every time."""
    originals = [good(), good(fragmented=True), good("good.mkv"), good("good.webm", codec="vp9"), good(audio_s=0.4)]
    for n in range(count):
        dice = random.Random(n)
        clip = bytearray(originals[n % len(originals)])
        for _ in range(dice.choice((1, 4, 30))):
            at = dice.randrange(len(clip))
            match dice.randrange(4):
                case 0:
                    clip[at] ^= 1 << dice.randrange(8)
                case 1:
                    clip[at : at + 4] = dice.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
                case 2:
                    del clip[at : at + dice.randrange(64)]
                case 3:
                    clip[at:at] = clip[(start := dice.randrange(len(clip))) : start + dice.randrange(64)]
        yield bytes(clip)


# --- how they are made


def patched(data: bytes, at: int, form: str, *values: Any) -> bytes:
    """*data* with *values* at *at*."""
    body = bytearray(data)
    struct.pack_into(form, body, at, *values)
    return bytes(body)


def with_more_tracks(clip: bytes, count: int) -> bytes:
    """*clip* with its first track *count* more times."""
    start, end = dict(find_boxes(clip))[b"moov"]
    first = next(find_deep(clip, b"moov", b"trak"))
    (size,) = struct.unpack_from(">I", clip, first)
    return clip[:start] + box(b"moov", clip[start + 8 : end] + clip[first : first + size] * count) + clip[end:]


def timescale(clip: bytes) -> int:
    """Ticks per second of the picture."""
    (mdhd,) = find_deep(clip, *TABLE[:3], b"mdhd")
    return int(struct.unpack_from(">I", clip, mdhd + 20)[0])


def with_reference(path: bytes, *, levels: int) -> bytes:
    """A clip whose samples are declared to be in the file *path*, as QuickTime wrote it (an alias record)."""
    place = struct.pack(">HH", 2, len(path)) + path + bytes(len(path) % 2) + struct.pack(">HH", 0xFFFF, 0)
    record = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16) + struct.pack(">hh", levels, levels) + bytes(16)
    entry = box(b"alis", bytes(4) + record + place)
    return replaced(good(), (*TABLE[:4], b"dinf", b"dref"), struct.pack(">II", 0, 1) + entry)


def replaced(data: bytes, path: tuple[bytes, ...], body: bytes) -> bytes:
    """*data* with another body in the box at *path*, the boxes around it resized."""
    if not path:
        return body
    return b"".join(
        box(name, replaced(data[start + 8 : end], path[1:], body)) if name == path[0] else data[start:end]
        for name, (start, end) in find_boxes(data)
    )


def looping(clip: bytes) -> bytes:
    """A clip whose edit list shows it twenty thousand times."""
    edit = struct.pack(">IiHH", 300, 0, 1, 0)
    return replaced(clip, (*TABLE[:2], b"edts", b"elst"), struct.pack(">II", 0, 20_000) + edit * 20_000)


def encrypted() -> bytes:
    """A clip that says it is encrypted (common encryption), as one behind rights management would be."""
    clip = good()
    (stsd,) = find_deep(clip, *TABLE, b"stsd")
    (size,) = struct.unpack_from(">I", clip, stsd)
    entry = clip[stsd + 16 : stsd + size]
    scheme = box(b"schm", struct.pack(">I4sI", 0, b"cenc", 0x10000))
    tenc = box(b"tenc", struct.pack(">IBBBB", 0, 0, 0, 1, 8) + bytes(range(16)))
    sinf = box(b"sinf", box(b"frma", entry[4:8]) + scheme + box(b"schi", tenc))
    body = struct.pack(">II", 0, 1) + box(b"encv", entry[8:] + sinf)
    clip = replaced(clip, (*TABLE, b"stsd"), body)
    (mdat,) = find_deep(clip, b"mdat")
    noise = random.Random(6).randbytes(2000)
    return clip[: mdat + 12] + noise + clip[mdat + 12 + len(noise) :]


def grey_clip(container: str, encoder: str, pix_fmt: str = "yuv420p") -> bytes:
    """Eight grey pictures in another container or codec."""
    file = io.BytesIO()
    with av.open(file, "w", format=container, options={"strict": "-2"}) as output:
        stream: Any = output.add_stream(encoder, rate=Fraction(24))
        stream.width, stream.height, stream.pix_fmt = 64, 64, pix_fmt
        for _n in range(8):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 99, np.uint8), format="rgb24")
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


def live(clip: bytes, segment: int) -> bytes:
    """A WebM as a recorder writes it, which does not know yet how long it will be."""
    length = 9 - clip[segment + 4].bit_length()
    return clip[: segment + 4] + b"\x01" + b"\xff" * 7 + clip[segment + 4 + length :]


def vint(value: int) -> bytes:
    """A length as EBML writes it, in eight bytes."""
    return (1 << 56 | value).to_bytes(8)


@cache
def bomb(megabytes: int) -> bytes:
    """A thousandth of that, packed."""
    return zlib.compress(bytes(megabytes << 20), 9)


def png(width: int, height: int, pixels: bytes, note: bytes | None = None) -> bytes:
    """A PNG that claims that size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    notes = chunk(b"zTXt", note) if note else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + notes + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")

"""
The census: clips of every codec, container, color and structure that a generator, an editor or an uploader may give.

Each row says how a clip is made and what must come of it: the frame, or a refusal and its words. ``docs/film.md`` has
the counts. All are small: the rows together take some twenty seconds of one core.
"""

import struct
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.media.odd_clip_making import (
    COMPACT,
    FRAMES,
    SIZE,
    Kit,
    Make,
    Picture,
    Refusal,
    Row,
    animated,
    box,
    by_ffmpeg,
    by_pyav,
    edited,
    endless,
    grown_entry,
    hdr,
    no_clip,
    only_second,
    prefixed,
    remade,
    told_length,
    turned,
    two_pictures,
    wide,
    without_last_fragment,
)

ROWS: list[Row] = []


def row(kind: str, name: str, make: Make, right: Picture | Refusal | None = None, **fields: Any) -> None:
    """Add one."""
    ROWS.append(Row(kind, name, make, right or Picture(**fields)))


def codecs() -> None:
    """Each codec that is taken, in each container, depth and layout."""
    for suffix in ("mp4", "mov", "mkv"):
        row("codec", f"H.264 in {suffix}", by_pyav(f"clip.{suffix}"))
        row("codec", f"HEVC in {suffix}", by_pyav(f"clip.{suffix}", codec="hevc", bframes=0), codec="hevc")
        row("codec", f"mp4v in {suffix}", by_pyav(f"clip.{suffix}", codec="mpeg4", bframes=0), codec="mpeg4")
    row("codec", "mp4v with B-frames", by_pyav(codec="mpeg4", bframes=2), codec="mpeg4")
    for suffix in ("mp4", "mkv", "webm"):
        row("codec", f"VP9 in {suffix}", by_pyav(f"clip.{suffix}", codec="vp9"), codec="vp9")
        row("codec", f"AV1 in {suffix}", by_pyav(f"clip.{suffix}", codec="av1"), codec="av1")
    for layout in ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "gray"):
        row("codec", f"H.264 {layout}", by_pyav(pix_fmt=layout))
    for layout in ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p12le", "gray"):
        row("codec", f"HEVC {layout}", by_pyav(codec="hevc", pix_fmt=layout, bframes=0), codec="hevc")
    row("codec", "HEVC RGB", by_pyav(codec="hevc", pix_fmt="gbrp", bframes=0), codec="hevc", matrix="rgb")
    for layout in ("yuv422p", "yuv444p"):
        row("codec", f"VP9 {layout}", by_pyav("clip.webm", codec="vp9", pix_fmt=layout), codec="vp9")
    ten = (
        "-c:v",
        "libvpx-vp9",
        "-pix_fmt",
        "yuv420p10le",
        "-b:v",
        "0",
        "-crf",
        "20",
        "-cpu-used",
        "8",
        "-deadline",
        "realtime",
    )
    row("codec", "VP9 yuv420p10le", by_ffmpeg("clip.webm", *ten), codec="vp9")
    alpha = ("-vf", "format=yuva420p", "-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-b:v", "0", "-crf", "10")
    row("codec", "VP9 with alpha", by_ffmpeg("clip.webm", *alpha, "-auto-alt-ref", "0"), codec="vp9", like="drawn")
    row("codec", "AV1 yuv420p10le", by_pyav(codec="av1", pix_fmt="yuv420p10le"), codec="av1")
    row("codec", "H.264 RGB", by_ffmpeg("clip.mp4", "-c:v", "libx264rgb", "-qp", "0"), like="drawn", matrix="rgb")
    row("codec", "H.264 lossless", by_ffmpeg("clip.mp4", "-c:v", "libx264", "-qp", "0", "-pix_fmt", "yuv444p"))


def colors() -> None:
    """Tags, and where they stand."""
    for codec in ("h264", "hevc", "vp9", "av1"):
        for matrix in ("bt601", "bt709", "smpte240m", "bt2020"):
            for full in (False, True):
                fields = {"codec": codec, "bframes": 0, "matrix": matrix, "full_range": full, "tagged": True}
                if (codec, matrix) != ("vp9", "smpte240m") and (full is False or matrix == "bt709"):
                    row(
                        "color",
                        f"{codec} {matrix}{' full' * full}",
                        by_pyav(**fields),
                        codec=codec,
                        matrix=matrix,
                        full=full,
                    )
    deep = {
        "codec": "hevc",
        "pix_fmt": "yuv420p10le",
        "bframes": 0,
        "matrix": "bt709",
        "full_range": True,
        "tagged": True,
    }
    row("color", "HEVC 10 bit full", by_pyav(**deep), codec="hevc", matrix="bt709", full=True)
    for kind, place in ((1, (0.5, 0.5)), (2, (0.0, 0.0)), (3, (0.5, 0.0))):
        params = {"x264-params": f"chromaloc={kind}"}
        row("color", f"H.264 sited {kind}", by_pyav(encoder_options=params), siting=place)
    for kind, place in ((0, (0.0, 0.5)), (1, (0.5, 0.5)), (2, (0.0, 0.0))):
        params = {"x265-params": f"chromaloc={kind}:log-level=none"}
        row(
            "color",
            f"HEVC sited {kind}",
            by_pyav(codec="hevc", bframes=0, encoder_options=params),
            codec="hevc",
            siting=place,
        )
    row("color", "colr alone", edited(lambda data, _: grown_entry(data, b"avc1", COLR_709)), matrix="bt709")
    row("color", "colr, VUI unspecified", silent_about_color, matrix="bt709")
    for curve in ("pq", "hlg"):
        for codec, name, encoder in (
            ("hevc", "clip.mp4", ("libx265", "-x265-params", "log-level=none:crf=8")),
            ("h264", "clip.mkv", ("libx264", "-crf", "8")),
            ("vp9", "clip.webm", ("libvpx-vp9", "-b:v", "0", "-crf", "8", "-cpu-used", "8", "-deadline", "realtime")),
        ):
            right = Picture(like="light", matrix="bt2020", notes=(f"hdr_{curve}",), codec=codec)
            row("color", f"{curve.upper()} {codec}", hdr(name, curve, "-c:v", *encoder), right)
    ycgco = Refusal(reason="not_allowed", words="color matrix YCgCo")
    row("color", "YCgCo", by_pyav(encoder_options={"x264-params": "colormatrix=YCgCo"}), ycgco)


COLR_709 = box(b"colr", b"nclx", struct.pack(">HHHB", 1, 1, 1, 0))


def silent_about_color(kit: Kit) -> Path:
    """H.264 that says "unspecified" itself, in a container that says BT.709."""
    options = {"x264-params": "colorprim=undef:transfer=undef:colormatrix=undef:range=tv:fullrange=off:videoformat=pal"}
    silent = kit.clip("silent.mp4", encoder_options=options)
    clip = kit.remade("vui.mp4", "-c", "copy", "-bsf:v", UNSPECIFIED, of=silent)
    return kit.write("colr.mp4", grown_entry(clip.read_bytes(), b"avc1", COLR_709))


UNSPECIFIED = "h264_metadata=colour_primaries=2:transfer_characteristics=2:matrix_coefficients=2"


def shapes() -> None:
    """Turns, mirrors, and pixels that are not square."""
    for a, b, c, d in [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1)]:
        for matrix in ((a, b, c, d), (b, a, d, c)):
            size = SIZE if matrix[0] else SIZE[::-1]
            row("shape", f"display matrix {matrix}", turned(matrix), display=matrix, size=size)
    row("shape", "turned Matroska", remade("turned.mkv", "-c", "copy", "-metadata:s:v", "rotate=90"))
    for shape, size in (("4/3", (213, 96)), ("1/2", (80, 96)), ("3/2", (240, 96)), ("100/101", SIZE)):
        like = "samples" if size == SIZE else "drawn"
        row("shape", f"pixels {shape}", by_ffmpeg("clip.mp4", "-vf", f"setsar={shape}", *COMPACT), size=size, like=like)
    wide = ("-c", "copy", "-aspect", "20:9")
    row("shape", "pixels, by the container", remade("wide.mp4", *wide), size=(213, 96), like="drawn")
    row("shape", "pixels, by Matroska", remade("wide.mkv", *wide), size=(213, 96), like="drawn")
    row("shape", "odd sides", by_pyav(size=(161, 97), pix_fmt="yuv444p"), size=(161, 97))
    row(
        "shape",
        "odd sides of VP9",
        by_pyav("clip.webm", codec="vp9", size=(161, 97)),
        like="drawn",
        size=(161, 97),
        codec="vp9",
    )


def structures() -> None:
    """Indexes, fragments, time and order."""
    row("structure", "index in front", by_pyav(faststart=True))
    row("structure", "manifest in front", by_pyav(manifest=True))
    row("structure", "scene cut", by_pyav(cut_at=4))
    row("structure", "scene cut in the last frame", by_pyav(cut_at=FRAMES - 1))
    row("structure", "keyframes alone", by_pyav(gop=1, bframes=0))
    row("structure", "no B-frames", by_pyav(bframes=0))
    row(
        "structure",
        "open groups",
        by_pyav(encoder_options={"x264-params": "open-gop=1:keyint=4:min-keyint=2:bframes=2"}),
    )
    row("structure", "intra refresh", by_pyav(encoder_options={"x264-params": "intra-refresh=1:keyint=4"}))
    row("structure", "8 slices", by_pyav(encoder_options={"x264-params": "slices=6"}))
    row("structure", "one frame", by_pyav(frames=1), frames=1, number=0)
    row("structure", "two frames", by_pyav(frames=2), frames=2, number=1)
    row("structure", "frames of unequal length", by_pyav(stands=[1, 3, 1, 1, 9, 1, 2]))
    row("structure", "a long last frame", by_pyav(stands=[1] * 6 + [40]))
    row("structure", "cut by an edit list", by_pyav(shown_frames=5), frames=5, number=4)
    row("structure", "0.5 frames a second", by_pyav(fps=Fraction(1, 2)))
    row("structure", "240 frames a second", by_pyav(fps=Fraction(240)))
    for flags in (
        "frag_keyframe+empty_moov",
        "frag_keyframe",
        "frag_every_frame",
    ):
        row("structure", f"fragments: {flags}", remade("frag.mp4", "-c", "copy", "-movflags", f"+{flags}", gop=3))
    row("structure", "fragments that say their length", edited(told_length(FRAMES / 24), fragmented=True, gop=3))
    row("structure", "fragments with an overview", edited(overview, fragmented=True, gop=3))
    row("structure", "fragments of VP9", by_pyav(codec="vp9", fragmented=True), codec="vp9")
    row("structure", "live Matroska", by_pyav("live.webm", codec="vp9", muxer_options={"live": "1"}), codec="vp9")
    late = ("-c", "copy", "-output_ts_offset", "1.5")
    row("structure", "a late start in Matroska", remade("late.mkv", *late))
    row("structure", "a late start in MP4", remade("late.mp4", *late))
    row("structure", "a late start beside sound", remade("late.mkv", *late, audio_s=0.3))
    row("structure", "negative times", remade("early.mp4", "-c", "copy", "-output_ts_offset", "-0.1"), frames=4)
    row("structure", "uuid first", edited(prefixed(box(b"uuid", bytes(400)))), like="plain")
    row("structure", "pnot first", edited(prefixed(box(b"pnot", bytes(12)))), like="plain")
    row("structure", "junk after the end", edited(lambda data, _: data + b"\0\1\2junk" * 9), like="plain")
    row("structure", "zeros after the end", edited(lambda data, _: data + bytes(700)), like="plain")
    row("structure", "free after the end", edited(lambda data, _: data + box(b"free", bytes(90))), like="plain")
    row("structure", "no ftyp", edited(lambda data, _: box(b"free", bytes(24)) + data[32:]), like="plain")
    row("structure", "64-bit mdat", edited(wide), like="plain")
    row("structure", "mdat up to the end", edited(endless, faststart=True), like="plain")


def streams() -> None:
    """What else is in the file."""
    sound = {"audio_s": 0.3, "audio_rate": 48_000}
    row("stream", "sound first", by_pyav(audio_first=True, **sound))
    row("stream", "sound that lasts longer", by_pyav(audio_s=3))
    for codec, suffix in (
        ("libmp3lame", "mp4"),
        ("flac", "mkv"),
        ("pcm_s16le", "mov"),
        ("libopus", "mkv"),
        ("ac3", "mp4"),
    ):
        row("stream", f"sound in {codec}", remade(f"sound.{suffix}", "-c:v", "copy", "-c:a", codec, **sound))
    row("stream", "cover art first", by_pyav(cover=True, audio_s=0.3), stream="v:1")
    row("stream", "subtitles in MP4", with_lines("lines.mp4", "mov_text"))
    row("stream", "subtitles (srt)", with_lines("lines.mkv", "srt"))
    row("stream", "subtitles (ass)", with_lines("lines.mkv", "ass"))
    row("stream", "subtitles in WebM", with_lines("lines.webm", "webvtt", codec="vp9"), codec="vp9")
    row("stream", "a time code", remade("code.mov", "-c", "copy", "-timecode", "01:00:00:00"))
    row("stream", "chapters", with_chapters)
    row("stream", "an attachment", with_attachment)
    row("stream", "a thumbnail track first", two_pictures(("-c:v", "mjpeg"), (), "two.mov"), stream="v:1")
    row("stream", "a thumbnail track behind", thumbnails_behind)
    row("stream", "a track that is switched off", only_second, stream="v:1")
    row("stream", "a still track first", two_pictures(("-frames:v", "1", "-c:v", "libx264"), ()), stream="v:1")
    row("stream", "a shorter track first", shorter_first, stream="v:1")


def shorter_first(kit: Kit) -> Path:
    """Both are to be shown; the first lasts three frames."""
    clip = two_pictures(("-frames:v", "3", "-c:v", "libx264"), ("-disposition:v:1", "default"))(kit)
    return clip


def thumbnails_behind(kit: Kit) -> Path:
    """The track of small pictures comes second."""
    small = kit.remade("small.mov", "-vf", "scale=80:48,negate", "-c:v", "mjpeg")
    return kit.remade("two.mov", "-i", str(small), "-map", "0:v", "-map", "1:v", "-c", "copy")


def with_lines(name: str, lines_in: str, **fields: Any) -> Make:
    """A track of subtitles in it."""

    def make(kit: Kit) -> Path:
        lines = kit.write(
            "lines.srt", b"1\n00:00:00,000 --> 00:00:00,100\nHello\n\n2\n00:00:00,100 --> 00:00:00,200\nyou\n"
        )
        plain = kit.clip(f"plain{Path(name).suffix}", **fields)
        return kit.remade(name, "-i", str(lines), "-map", "0", "-map", "1", "-c", "copy", "-c:s", lines_in, of=plain)

    return make


def with_chapters(kit: Kit) -> Path:
    """Two of them, with names of other alphabets."""
    text = ";FFMETADATA1\ntitle=Caf\u00e9\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=90\ntitle=\u65e5\u672c\n"
    chapters = kit.write("chapters.txt", text.encode())
    return kit.remade("chapters.mp4", "-i", str(chapters), "-map_metadata", "1", "-map_chapters", "1", "-c", "copy")


def with_attachment(kit: Kit) -> Path:
    """A font, so it says."""
    font = kit.write("font.ttf", bytes(300))
    return kit.remade(
        "font.mkv", "-c", "copy", "-attach", str(font), "-metadata:s:t", "mimetype=application/x-font-ttf"
    )


def oddities() -> None:
    """What is accepted, and reported as odd."""
    for name, flags in (("top first", "tff=1"), ("bottom first", "bff=1")):
        options = (
            "-c:v",
            "libx264",
            "-pix_fmt",
            "yuv420p",
            "-crf",
            "12",
            "-flags",
            "+ildct+ilme",
            "-x264-params",
            flags,
        )
        row("oddity", f"interlaced, {name}", by_ffmpeg("clip.mp4", *options), like="drawn", notes=("interlaced",))


def refusals() -> None:
    """No clip, no clip of ours, or not all of one."""
    copy = ("-c", "copy")
    for name, options, words in (
        ("clip.ts", copy, "MPEG-TS"),
        ("clip.m2ts", (*copy, "-mpegts_m2ts_mode", "1"), "MPEG-TS"),
        ("clip.flv", copy, "FLV"),
        ("clip.avi", copy, "AVI"),
        ("clip.h264", copy, "an H.264 stream without a container"),
        ("clip.gif", (), "GIF"),
        ("clip.mpg", ("-c:v", "mpeg2video", "-r", "25"), "MPEG-PS"),
        ("clip.m2v", ("-c:v", "mpeg2video", "-r", "25"), "MPEG video stream without a container"),
        ("clip.ogv", ("-c:v", "libtheora"), "Ogg"),
        ("clip.asf", ("-c:v", "mpeg4"), "WMV"),
        ("clip.y4m", (), "YUV4MPEG2"),
    ):
        row("refused", name, remade(name, *options), Refusal(reason="not_a_clip", words=f"{words}, which is not taken"))
    hevc = ("clip.hevc", *copy)
    words = "an HEVC stream without a container, which is not taken: ask the provider for MP4"
    row("refused", "clip.hevc", remade(*hevc, codec="hevc", bframes=0), Refusal(reason="not_a_clip", words=words))
    row("refused", "clip.ivf", remade("clip.ivf", *copy, codec="vp9"), Refusal(reason="not_a_clip", words="IVF"))
    for name, format_, words in (("clip.png", "PNG", "APNG"), ("clip.webp", "WEBP", "animated WebP")):
        row("refused", f"animated {format_}", animated(name, format_), Refusal(reason="not_a_clip", words=words))
    for name, body, words in (
        ("still.png", b"\x89PNG\r\n\x1a\n" + bytes(64), "a still picture (PNG)"),
        ("still.jpg", b"\xff\xd8\xff\xe0" + bytes(64), "a still picture (JPEG)"),
        ("list.mp4", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n", "a playlist (HLS)"),
        ("list2.mp4", b"ffconcat version 1.0\nfile secret.mp4\n", "neither MP4 nor Matroska"),
        ("page.mp4", b"<!doctype html><title>502 Bad Gateway</title>", "neither MP4 nor Matroska"),
        ("zeros.mp4", bytes(4096), "neither MP4 nor Matroska"),
        ("clips.zip", b"PK\x03\x04" + bytes(64), "ZIP"),
        ("sound.mp3", b"ID3\4" + bytes(64), "MP3"),
    ):
        row("refused", name, no_clip(name, body), Refusal(reason="not_a_clip", words=words))
    row("refused", "an empty file", no_clip("empty.mp4", b""), Refusal(reason="truncated", words="has 0 bytes"))

    early = Refusal(reason="truncated", words="too early")
    for name, fields in (
        ("cut.mp4", {}),
        ("cut.mkv", {}),
        ("cut.webm", {"codec": "vp9"}),
        ("cut_in_fragment.mp4", {"fragmented": True, "gop": 3}),
    ):
        row("refused", name, edited(lambda data, _: data[: len(data) * 6 // 10], name, **fields), early)
    cut = lambda data, maker: without_last_fragment(overview(data, maker), maker)  # noqa: E731
    row("refused", "cut between fragments, by sidx", edited(cut, fragmented=True, gop=3), early)
    fewer = Refusal(reason="truncated", words="fewer fragments than it says")
    length = told_length(12 / 24)
    change = lambda data, maker: without_last_fragment(length(data, maker), maker)  # noqa: E731
    row("refused", "cut between fragments, by mehd", edited(change, fragmented=True, frames=12, gop=4), fewer)
    row(
        "refused",
        "no index",
        edited(lambda data, _: data[: data.index(b"moov") - 4]),
        Refusal(reason="truncated", words="no index"),
    )
    damage = Refusal(reason="corrupt", words="cannot be decoded")
    row("refused", "pixels that are zeros", edited(zeroed, bframes=0), damage)

    lock = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "0" * 32, "-encryption_kid", "1" * 32)
    refusal = Refusal(reason="not_allowed", words="the clip is encrypted")
    row("refused", "encrypted", remade("cenc.mp4", *copy, *lock), refusal)
    row("refused", "encrypted, with sound", remade("cenc.mp4", *copy, *lock, audio_s=0.3), refusal)
    for codec, name, options in (
        ("vp8", "clip.webm", ("-c:v", "libvpx")),
        ("mpeg2video", "clip.mp4", ("-c:v", "mpeg2video", "-r", "25")),
        ("mjpeg", "clip.mov", ("-c:v", "mjpeg")),
        ("prores", "clip.mov", ("-c:v", "prores_ks")),
        ("theora", "clip.mkv", ("-c:v", "libtheora")),
    ):
        row(
            "refused",
            codec,
            remade(name, *options),
            Refusal(reason="not_allowed", words=f"codec {codec} is not accepted"),
        )
    none = Refusal(reason="no_picture", words="no picture")
    row("refused", "sound alone", by_pyav(picture=False, audio_s=0.3), none)
    row("refused", "sound and cover art", by_pyav(picture=False, audio_s=0.3, cover=True), none)
    many = remade("many.mkv", "-map", "0:v", *("-map", "0:a") * 16, "-c", "copy", audio_s=0.3)
    row("refused", "17 streams in Matroska", many, Refusal(reason="not_allowed", words="more than 16 streams"))
    row("refused", "no frames", by_pyav(frames=0, fragmented=True), Refusal(reason="no_picture", words="no "))
    large = Refusal(reason="not_allowed", words="the picture is too large: 7680x4320")
    row("refused", "8K H.264", lambda kit: kit.large("large.mp4", "libx264"), large)
    row("refused", "8K HEVC in Matroska", lambda kit: kit.large("large.mkv", "libx265"), large)
    row("refused", "pixels that make it too large", huge_pixels, Refusal(reason="not_allowed", words="too large"))
    row(
        "refused",
        "ten minutes and more",
        by_pyav(frames=2, stands=[1, 24 * 700]),
        Refusal(reason="not_allowed", words="lasts"),
    )
    row(
        "refused",
        "300 frames a second",
        by_pyav(fps=Fraction(300)),
        Refusal(reason="not_allowed", words="240 frames per second"),
    )


def huge_pixels(kit: Kit) -> Path:
    """Each a hundred times as wide as high."""
    return kit.encoded("clip.mp4", "-vf", "setsar=100/1", *COMPACT)


def zeroed(data: bytes, maker: ModuleType) -> bytes:
    """A hole in the middle of what was written."""
    start, end = dict(maker.find_boxes(data))[b"mdat"]
    hole = range(start + (end - start) * 6 // 10, end)
    return data[: hole.start] + bytes(len(hole)) + data[hole.stop :]


def overview(data: bytes, maker: ModuleType) -> bytes:
    """An overview of the fragments in front of them."""
    boxes = list(maker.find_boxes(data))
    first = next(start for name, (start, _) in boxes if name == b"moof")
    sizes = [end - start for name, (start, end) in boxes if name in (b"moof", b"mdat")]
    entries = [
        struct.pack(">III", moof + mdat, 3, 0x9000_0000) for moof, mdat in zip(sizes[::2], sizes[1::2], strict=True)
    ]
    head = struct.pack(">IIIIIHH", 0, 1, 24, 0, 0, 0, len(entries))
    return data[:first] + box(b"sidx", head, *entries) + data[first:]


codecs()
colors()
shapes()
structures()
streams()
oddities()
refusals()

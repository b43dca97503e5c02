"""The picture of a film: packets copied unchanged, or frames encoded again; both on the same timeline."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from typing import Protocol

from av import VideoFormat, VideoFrame
from av.container import InputContainer, OutputContainer
from av.filter import Graph
from av.video.stream import VideoStream

from framerelay.media.child.clips import check_size, find_picture, open_clip
from framerelay.media.child.color import to_rgb
from framerelay.media.child.film_parts import ClipPart, TrackFormat, clip_errors, decode, read_packets
from framerelay.media.child.film_shots import EncodedShots
from framerelay.media.child.frames import set_up_decoder
from framerelay.media.child.orientation import Orientation, square_pixel_size
from framerelay.media.child.siting import SEQUENCE_HEADERS
from framerelay.media.child.tone import CURVES
from framerelay.media.model import FilmWarning
from framerelay.runs.errors import ClipUnusable

EXACT = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"
CRF, PRESET = "17", "veryfast"
"""
Measured on 240 frames of 720p: 45.5 dB at 20 frames per second and core; ``faster`` is half a decibel better and takes
half as long again. Without B-frames decoding and display order are the same, for 0 to 20 % more bytes.
"""

THREADS = 4
"""Fixed: x264 writes different bytes with another number, and a film must not depend on the machine that made it."""

MB_TREE_WIDTH_MIN = 16 * 16
"""Pixels: x264's macroblock tree takes sixteen blocks at a time; data after the end of a shorter row is random."""

STOOD_IN = "are missing or damaged, and the nearest that could be decoded is shown instead"
RGB, BT709, BT601 = 0, 1, 6
CENTER = 1  # Where the chroma of the film is sited; most clips do not say, and mean that (media/child/siting.py).
MATRIX_NAMES = {1: "bt709", 4: "fcc", 5: "bt470", 6: "smpte170m", 7: "smpte240m", 9: "bt2020"}
LIMITED_RANGE, FULL_RANGE = 1, 2


class PicturePlace(Protocol):
    """Where a part is in the film (see film.py)."""

    @property
    def part(self) -> ClipPart: ...
    @property
    def frames(self) -> range: ...
    @property
    def number(self) -> int: ...
    @property
    def scale(self) -> int: ...
    def tick(self, frame: int) -> int: ...


class Copier:
    """Copies the packets of the shots, with new time stamps."""

    def __init__(self, output: OutputContainer, shots: Sequence[PicturePlace]) -> None:
        first = shots[0].part
        with clip_errors(first.path), open_clip(first.path, first.demuxer, probe=True) as container:
            source = find_picture(container)
            self._stream = output.add_stream_from_template(source, opaque=True)
            if source.codec_context.codec_tag == "hvc1":
                self._stream.codec_context.codec_tag = "hvc1"  # Apple's players require this one.
        self._stream.time_base = self._time_base = Fraction(1, shots[0].scale)
        if first.picture.pixel_shape != 1:  # It may be that only the container said so.
            self._stream.sample_aspect_ratio = first.picture.pixel_shape
        self._output = output
        self.warnings: list[FilmWarning] = []
        # Decoding order runs ahead of display; the film needs the largest lead of all its shots.
        self._lead = max(_lead(shot) for shot in shots)

    def add(self, shot: PicturePlace) -> None:
        """Write one shot's packets, except those of frames that the film leaves out."""
        order = shot.part.order
        for place, (packet, frame) in enumerate(zip(read_packets(shot.part), order, strict=True)):
            if frame not in shot.frames:
                continue
            # A track ends where its last packet does, so that one has to last as long as the last frame.
            lasts = frame if place < len(order) - 1 else place
            packet.stream, packet.time_base = self._stream, self._time_base
            packet.pts = shot.tick(frame)
            packet.dts = shot.tick(place) - self._lead
            packet.duration = shot.tick(lasts + 1) - shot.tick(lasts)
            self._output.mux_one(packet)

    def close(self) -> None:
        """Nothing is held back."""


def _lead(shot: PicturePlace) -> int:
    """
    By how many ticks a shot's packets must come before they show.

    The n-th packet is decoded when the n-th frame shows, minus this: so decoding times rise as strictly as display
    times do, across seams too, and none is later than its own frame.
    """
    return max(shot.tick(place) - shot.tick(frame) for place, frame in enumerate(shot.part.order))


class Encoder:
    """
    Decodes the shots and encodes them as H.264, in the size, shape and color of the first one.

    Each by itself, with the same parameters, and only if it is not among those that are *kept*.
    """

    def __init__(
        self, output: OutputContainer, shots: Sequence[PicturePlace], threads: int, cache: EncodedShots
    ) -> None:
        self._target = _target(shots[0].part.picture)
        self._output = output
        self._time_base = Fraction(1, shots[0].scale)
        self._threads = threads
        self._cache = cache
        self.warnings: list[FilmWarning] = []
        with self._open_shot(next(shot for shot in shots if shot.frames)) as (container, _):
            self._stream = output.add_stream_from_template(container.streams.video[0], opaque=True)
        self._stream.time_base = self._time_base

    def add(self, shot: PicturePlace) -> None:
        """Write every frame of one shot that the film shows."""
        if not shot.frames:  # Its only frame is the one that the next shot begins with.
            return
        with self._open_shot(shot) as (container, missing):
            packets = (packet for packet in container.demux(container.streams.video[0]) if packet.size)
            for frame, packet in zip(shot.frames, packets, strict=True):  # Without B-frames they come in display order.
                packet.stream, packet.time_base = self._stream, self._time_base
                packet.pts = packet.dts = shot.tick(frame)
                packet.duration = shot.tick(frame + 1) - shot.tick(frame)
                self._output.mux_one(packet)
        if missing:
            self.warnings.append(FilmWarning(part=shot.number, message=f"{missing} of its frames {STOOD_IN}"))

    def close(self) -> None:
        """Nothing is held back."""

    def _open_shot(self, shot: PicturePlace) -> AbstractContextManager[tuple[InputContainer, int]]:
        ticks = [shot.tick(frame) - shot.tick(shot.frames[0]) for frame in shot.frames]
        with shot.part.path.open("rb") as clip:  # Its name and time may differ for a copy of it.
            content = hashlib.file_digest(clip, "sha256").hexdigest()
        about = (
            content,
            shot.part.picture,
            shot.part.tags,
            self._target,
            CRF,
            PRESET,
            self._threads,
            shot.scale,
            shot.frames,
            ticks,
        )
        return self._cache.shot_of(about, lambda output: self._encode(shot, output))

    def _encode(self, shot: PicturePlace, output: OutputContainer) -> int:
        """One shot, from 0 on; returns how many of its frames are substitutes."""
        stream = self._h264(output)
        convert = Converter(shot.part, self._target)
        missing, start = 0, shot.tick(shot.frames[0])
        for n, (frame, is_itself) in enumerate(frames_of(shot.part, threads=self._threads)):
            if n in shot.frames:
                missing += not is_itself
                frame = convert(frame)
                frame.pts, frame.time_base = shot.tick(n) - start, self._time_base
                frame.pict_type = 0  # The encoder decides, not the clip.
                frame.color_range, frame.colorspace = self._target.range, self._target.matrix
                frame.color_primaries, frame.color_trc = self._target.primaries, self._target.transfer
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        return missing

    def _h264(self, output: OutputContainer) -> VideoStream:
        rate = self._target.rate or Fraction(24)
        mb_tree = int(self._target.size[0] >= MB_TREE_WIDTH_MIN)
        params = f"chromaloc={CENTER}:mbtree={mb_tree}"
        options = {"crf": CRF, "preset": PRESET, "bf": "0", "x264-params": params}
        stream: VideoStream = output.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height = self._target.size
        stream.pix_fmt = self._target.pixel_format
        stream.time_base = self._time_base
        context = stream.codec_context
        context.time_base = self._time_base
        context.thread_count = self._threads
        context.color_range, context.colorspace = self._target.range, self._target.matrix
        context.color_primaries, context.color_trc = self._target.primaries, self._target.transfer
        return stream


def frames_of(part: ClipPart, *, threads: int) -> Iterator[tuple[VideoFrame, bool]]:
    """
    One frame for each entry of ``part.pts``, in that order, and whether it is the clip's own.

    If one is missing or damaged, as may happen in a clip whose last frame is intact, the one before it takes its place,
    or a picture that the decoder made from what there is: the clip was paid for, and so were those that follow it.
    """
    count = 0
    with suppress(ClipUnusable), clip_errors(part.path):
        for frame in _all_frames(part, threads=threads, strict=True):
            if count == len(part.pts) or frame.pts != part.pts[count] or frame.is_corrupt:
                break
            count += 1
            yield frame, True
    if count < len(part.pts):
        yield from islice(_decode_leniently(part), count, None)


def _decode_leniently(part: ClipPart) -> Iterator[tuple[VideoFrame, bool]]:
    """Like `frames_of`, for a clip that is damaged, or whose decoder does not give what the packets promise."""
    with clip_errors(part.path):
        counts = len(set(part.pts)) < len(part.pts)  # If two have the same time, only their order tells which is which.
        slot, place, latest = 0, -1, None
        for n, frame in enumerate(_all_frames(part, threads=1, strict=False)):
            theirs = n if counts or frame.pts is None else bisect_left(part.pts, frame.pts)
            if theirs < place:
                continue
            while slot < min(theirs, len(part.pts)):
                yield latest or frame, place == slot and bool(latest and not latest.is_corrupt)
                slot += 1
            place, latest = theirs, frame
        if latest is None:
            raise ClipUnusable("none of its frames can be decoded", reason="corrupt")
        while slot < len(part.pts):
            yield latest, place == slot and not latest.is_corrupt
            slot += 1


def _all_frames(part: ClipPart, *, threads: int, strict: bool) -> Iterator[VideoFrame]:
    """
    What the decoder gives for *part*, in its order.

    *strict*: its first complaint is an error; otherwise packets that it cannot use are skipped.
    """
    with open_clip(part.path, part.demuxer, probe=True) as container:
        stream = find_picture(container)
        if strict:
            set_up_decoder(stream, threads=threads)
        else:
            stream.codec_context.thread_count, stream.codec_context.thread_type = threads, "NONE"
        for packet in container.demux(stream):
            for frame in packet.decode() if strict else decode(packet):
                check_size(frame.width, frame.height)
                yield frame


def _target(picture: TrackFormat) -> TrackFormat:
    """The form that all frames take: as the first shot is displayed, in square pixels, even sides, eight bits, SDR."""
    width, height = _display_size(picture)
    upright = replace(picture, codec="h264", pixel_shape=Fraction(1), orientation=Orientation(), says_siting=False)
    target = replace(upright, size=(width + width % 2, height + height % 2), pixel_format="yuv420p", headers=b"")
    if picture.transfer in CURVES:
        return replace(target, range=LIMITED_RANGE, matrix=BT709, primaries=BT709, transfer=BT709)
    return replace(target, matrix=BT601) if picture.matrix == RGB else target


def _display_size(picture: TrackFormat) -> tuple[int, int]:
    return picture.orientation.turn_size(square_pixel_size(*picture.size, picture.pixel_shape))


def is_developed(picture: TrackFormat) -> bool:
    """
    Whether frames are first converted as if they were handed on, by the same code, which takes longer.

    The scaler alone does not handle HDR, reads gray differently, and leaves chroma where it is if nothing else has to
    be done.
    """
    is_sited = picture.says_siting and picture.codec in SEQUENCE_HEADERS
    return picture.transfer in CURVES or picture.pixel_format.startswith("gray") or is_sited


class Converter:
    """Turns frames of a clip into frames of *target*: upright, scaled to fit, black at the sides, in SDR."""

    def __init__(self, part: ClipPart, target: TrackFormat) -> None:
        self._part, self._target = part, target
        self._source = part.picture
        self._is_developed = is_developed(part.picture)
        if self._is_developed:
            upright = replace(part.picture, orientation=Orientation(), pixel_shape=Fraction(1), says_siting=True)
            self._source = replace(upright, range=FULL_RANGE, matrix=RGB)
        self._form: tuple[int, int, str] | None = None
        self._graph: Graph | None = None

    def __call__(self, frame: VideoFrame) -> VideoFrame:
        if self._is_developed:
            image, _ = to_rgb(frame, self._part.tags, self._part.picture.pixel_shape)
            frame = VideoFrame.from_ndarray(image, format="rgb24")
        form = (frame.width, frame.height, frame.format.name)
        if form != self._form:  # The first one, or the clip continues in another size.
            self._form = form
            size = frame.width, frame.height
            self._graph = _graph(replace(self._source, size=size, pixel_format=frame.format.name), self._target)
        if self._graph is None:
            return frame
        self._graph.vpush(frame)
        return self._graph.vpull()


def _graph(source: TrackFormat, target: TrackFormat) -> Graph | None:
    """What converts *source* to *target*; None if they match."""
    if replace(source, codec="h264", rate=target.rate, headers=b"") == target:
        return None
    width, height = _display_size(source)
    factor = min(Fraction(target.size[0], width), Fraction(target.size[1], height))
    inner = [max(2, round(side * factor / 2) * 2) for side in (width, height)]
    graph = Graph()
    graph.threads = THREADS
    width, height = source.size
    chain = [graph.add_buffer(None, width, height, VideoFormat(source.pixel_format), time_base=Fraction(1, 1000))]
    if not source.says_siting:
        chain.append(graph.add("setparams", "chroma_location=center"))
    chain += [graph.add(name, arguments) for name, arguments in source.orientation.filters()]
    colors = f"{_colors(source, target)}:out_chroma_loc=center"
    chain.append(graph.add("scale", f"{inner[0]}:{inner[1]}:flags={EXACT}:{colors}"))
    chain.append(graph.add("format", target.pixel_format))
    chain.append(graph.add("pad", f"{target.size[0]}:{target.size[1]}:-1:-1:black"))
    chain.append(graph.add("buffersink"))
    graph.link_nodes(*chain).configure()
    return graph


def _colors(source: TrackFormat, target: TrackFormat) -> str:
    """The scaler's options for range and matrix; untagged frames count as limited range and BT.601."""
    matrices = [MATRIX_NAMES.get(picture.matrix, "smpte170m") for picture in (source, target)]
    ranges = ["full" if picture.range == FULL_RANGE else "limited" for picture in (source, target)]
    return ":".join(
        f"{end}_color_matrix={matrix}:{end}_range={span}"
        for end, matrix, span in zip(("in", "out"), matrices, ranges, strict=True)
    )

"""
Where the chroma samples of a 4:2:0 or 4:2:2 picture lie between the luma samples.

Encoders that are fed RGB put them in the center and rarely say so. The decoders of H.264 and HEVC take a missing value
for "left", as the standards would have it, and the converter believes them: eight hand-offs would move all color by a
pixel or more. So what the decoder says counts only if the clip itself says it; otherwise, it is the center.
"""

from fractions import Fraction

from av.bitstream import BitStreamFilterContext
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

SEQUENCE_HEADERS = {"h264": 7, "hevc": 33}
"""The kinds of units that describe color (ITU-T H.264 table 7-1, H.265 table 7-1)."""

TRUTHFUL_CODECS = frozenset({"av1", "vp9"})
"""Their decoders say nothing if the clip says nothing; that already counts as the center."""

ANY_TIME_BASE = Fraction(1, 1000)  # The display time of a single picture does not matter.
KINDS = range(6)  # Of siting (ITU-T H.273, figure 1).


def says_siting(stream: VideoStream, first_packet: bytes = b"") -> bool:
    """
    Whether the clip itself says where its chroma is sited, so that its frames can be trusted.

    *first_packet*: of a picture that needs no other; its headers count if the container holds none.
    """
    codec = stream.codec_context.codec.canonical_name
    if codec not in SEQUENCE_HEADERS:
        return codec in TRUTHFUL_CODECS
    headers = sequence_headers(stream.codec_context.extradata or b"", codec) or first_packet
    return bool(headers) and matches_retelling(headers, stream, codec)


def needs_first_packet(stream: VideoStream) -> bool:
    """Whether the description of its pictures only comes with them."""
    codec = stream.codec_context.codec.canonical_name
    return codec in SEQUENCE_HEADERS and not sequence_headers(stream.codec_context.extradata or b"", codec)


def matches_retelling(headers: bytes, stream: VideoStream, codec: str) -> bool:
    """
    Whether *headers* stay the same when they are rewritten to say one kind of siting or another.

    A filter of libav rewrites them; this changes them unless exactly this kind was there before.
    """
    try:
        before = retell(headers, stream, f"{codec}_metadata")
        retellings = [retell(headers, stream, f"{codec}_metadata=chroma_sample_loc_type={n}") for n in KINDS]
    except Exception:  # If the filter cannot read it, the decoder notices, and reports it better.
        return False
    return retellings.count(before) == 1  # If pictures are not described at all, nothing changes.


def retell(headers: bytes, stream: VideoStream, bit_filter: str) -> list[bytes]:
    """What *bit_filter* makes of *headers*."""
    return [bytes(packet) for packet in BitStreamFilterContext(bit_filter, stream).filter(Packet(headers))]


def sequence_headers(configuration: bytes, codec: str) -> bytes:
    """
    Those in the decoder's *configuration* (ISO 14496-15, 5.3.3 and 8.3.3), each preceded by its length.

    Empty if it has another form, or holds none: then they come with the pictures.
    """
    head_bytes = {"h264": 6, "hevc": 23}[codec]
    if len(configuration) < head_bytes or configuration[0] != 1:
        return b""
    width = (configuration[21 if codec == "hevc" else 4] & 3) + 1
    lists = configuration[22] if codec == "hevc" else 1
    headers, at = b"", head_bytes
    for _ in range(lists):
        if codec == "hevc":
            kind, count = configuration[at] & 0x3F, int.from_bytes(configuration[at + 1 : at + 3])
            at += 3
        else:
            kind, count = SEQUENCE_HEADERS[codec], configuration[5] & 0x1F
        for _ in range(count):
            unit = configuration[at + 2 : at + 2 + int.from_bytes(configuration[at : at + 2])]
            at += 2 + len(unit)
            headers += len(unit).to_bytes(width) + unit if kind == SEQUENCE_HEADERS[codec] else b""
    return headers


def center_chroma(frame: VideoFrame) -> VideoFrame:
    """The same picture, with its chroma in the center; no pixel is copied."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(None, frame.width, frame.height, frame.format, time_base=frame.time_base or ANY_TIME_BASE)
    graph.link_nodes(source, graph.add("setparams", "chroma_location=center"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()

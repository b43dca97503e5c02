"""
Where the samples of color of a 4:2:0 or 4:2:2 picture lie between those of brightness.

Encoders that are fed RGB put them in the center and rarely say so. The decoders of H.264 and HEVC take silence for
"left", as the standards would have it, and the converter believes them: eight hand-offs would move all color by a
pixel or more. So what the decoder says counts if the clip itself says it, and else the center.
"""

from fractions import Fraction

from av.bitstream import BitStreamFilterContext
from av.filter import Graph
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

SEQUENCE_HEADERS = {"h264": 7, "hevc": 33}
"""The kinds of unit that hold what is said of color (ITU-T H.264 table 7-1, H.265 table 7-1)."""

TRUTHFUL_CODECS = frozenset({"av1", "vp9"})
"""Their decoders say nothing where the clip says nothing; that counts as the center already."""

ANY_TIME_BASE = Fraction(1, 1000)  # Nobody asks a single picture when it is shown.
KINDS = range(6)  # Of siting (ITU-T H.273, figure 1).


def says_siting(stream: VideoStream, first_packet: bytes = b"") -> bool:
    """
    Whether the clip itself says where its color lies, so that its frames are to be believed.

    *first_packet*: of a picture that needs no other; its headers count where the container holds none.
    """
    codec = stream.codec_context.codec.canonical_name
    if codec not in SEQUENCE_HEADERS:
        return codec in TRUTHFUL_CODECS
    headers = sequence_headers(stream.codec_context.extradata or b"", codec) or first_packet
    return bool(headers) and matches_retelling(headers, stream, codec)


def needs_first_packet(stream: VideoStream) -> bool:
    """Whether what is said of its pictures comes with them alone."""
    codec = stream.codec_context.codec.canonical_name
    return codec in SEQUENCE_HEADERS and not sequence_headers(stream.codec_context.extradata or b"", codec)


def matches_retelling(headers: bytes, stream: VideoStream, codec: str) -> bool:
    """
    Whether *headers* stay the same when they are made to say one kind of siting or another.

    A filter of libav writes them again; they change by that unless just this kind was there before.
    """
    try:
        before = retell(headers, stream, f"{codec}_metadata")
        retellings = [retell(headers, stream, f"{codec}_metadata=chroma_sample_loc_type={n}") for n in KINDS]
    except Exception:  # What the filter cannot read is seen by the decoder, which says so better.
        return False
    return retellings.count(before) == 1  # Where nothing is said of pictures at all, nothing changes.


def retell(headers: bytes, stream: VideoStream, bit_filter: str) -> list[bytes]:
    """What *bit_filter* makes of *headers*."""
    return [bytes(packet) for packet in BitStreamFilterContext(bit_filter, stream).filter(Packet(headers))]


def sequence_headers(configuration: bytes, codec: str) -> bytes:
    """
    Those in the decoder's *configuration* (ISO 14496-15, 5.3.3 and 8.3.3), each with its length before it.

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
    """The same picture, its color in the center; no pixel is copied."""
    graph = Graph()
    graph.threads = 1
    source = graph.add_buffer(None, frame.width, frame.height, frame.format, time_base=frame.time_base or ANY_TIME_BASE)
    graph.link_nodes(source, graph.add("setparams", "chroma_location=center"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()

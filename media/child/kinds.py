"""What a file is if it is not a clip that we accept, by its first bytes: the sender should be told its name."""

HEAD_BYTES = 512

MARKS = (
    (0, b"FLV", "FLV"),
    (8, b"AVI ", "AVI"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMV"),
    (0, b"OggS", "Ogg"),
    (0, b"DKIF", "IVF"),
    (0, b"YUV4MPEG2", "YUV4MPEG2"),
    (0, b"\x06\x0e\x2b\x34", "MXF"),
    (0, b"\0\0\x01\xba", "MPEG-PS"),
    (0, b"\0\0\x01\xb3", "an MPEG video stream without a container"),
    (0, b"GIF8", "GIF"),
    (8, b"WAVE", "WAV (sound alone)"),
    (0, b"ID3", "MP3 (sound alone)"),
    (0, b"fLaC", "FLAC (sound alone)"),
    (0, b"#EXTM3U", "a playlist (HLS)"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\xff\xd8\xff", "a still picture (JPEG)"),
    (0, b"\x89PNG\r\n\x1a\n", "a still picture (PNG)"),
    (8, b"WEBP", "a still picture (WebP)"),
)
"""Where, which bytes, and what they mean."""

TS_PACKETS = ((188, 0), (192, 4))
"""How long a packet of MPEG-TS is, and where its sync byte is; the longer kind is that of Blu-ray."""

RAW_STREAMS = ((0x1F, frozenset({6, 7, 9}), "an H.264"), (0x7E, frozenset({64, 66, 70, 78}), "an HEVC"))
"""Which bits of a unit's first byte are its kind, the kinds that streams begin with, and their names."""


def name_of(head: bytes) -> str | None:
    """The name of a file that begins with *head* (`HEAD_BYTES`, if there are as many); None if we do not know it."""
    if any(head[at : at + 1] == head[at + size : at + size + 1] == b"G" for size, at in TS_PACKETS):
        return "MPEG-TS"
    if head.startswith(b"\x89PNG") and b"acTL" in head:
        return "APNG"
    if head[8:16] == b"WEBPVP8X" and head[20:21] and head[20] & 2:
        return "animated WebP"
    by_mark = next((name for at, mark, name in MARKS if head[at : at + len(mark)] == mark), None)
    return by_mark or name_of_raw_stream(head)


def name_of_raw_stream(head: bytes) -> str | None:
    """What it is if it consists of the units of a codec, each after a start code and nothing else."""
    unit = head.lstrip(b"\0")
    if len(head) - len(unit) not in (2, 3) or unit[:1] != b"\1" or len(unit) < 2:
        return None
    for mask, kinds, name in RAW_STREAMS:
        if unit[1] & mask in kinds:
            return f"{name} stream without a container"
    return None

"""Fetch a clip and take its last frame, which is ready when the clip's last byte is, or before."""

from collections.abc import Callable
from pathlib import Path

import httpx

from framerelay.config.metrics import DOWNLOAD, DOWNLOADED
from framerelay.media.decoder import Decoder
from framerelay.media.download import Download, DownloadLimits, download
from framerelay.media.follow import Follower
from framerelay.media.host_headers import HostHeaders
from framerelay.media.model import Examination, FrameFacts


async def fetch_clip(
    url: str,
    into: Path,
    *,
    frame_into: Path,
    client: httpx.AsyncClient,
    decoder: Decoder,
    limits: DownloadLimits | None = None,
    on_frame: Callable[[FrameFacts], object] | None = None,
    key: HostHeaders | None = None,
) -> tuple[Download, Examination]:
    """
    Stream the clip at *url* to *into* and write its last frame to *frame_into*, decoding while it arrives.

    *on_frame* is called with a frame that is written before the clip is complete, as happens if a keyframe comes late;
    the clip may still turn out to be unusable. If the decoder has other work, it takes the frame when the clip is
    complete. *key* as in `download`.
    Raises: as `download`, and then as `Decoder.examine`.
    """
    follower = Follower(decoder.follow, frame_into=frame_into, on_frame=on_frame)
    try:
        with DOWNLOAD.time():
            clip = await download(url, into, client=client, limits=limits, follower=follower, key=key)
        DOWNLOADED.add(by=clip.bytes)
        examination = await follower.result() or await decoder.examine(into, frame_into=frame_into)
    finally:
        await follower.close()
    return clip, examination

"""The hand-off through the whole program: what the provider is given is the last frame of the shot before."""

import io
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.library import Library
from framerelay.cli.http import listening_on, serving

pytestmark = pytest.mark.anyio

SHORT: dict[str, Any] = {"frames": 9, "audio_s": 0.4}
KINDS: dict[str, dict[str, Any]] = {
    "seedance_twin.mp4": {},
    "720p.mp4": {"size": (1280, 720), **SHORT},
    "hevc.mp4": {"codec": "hevc", **SHORT},
    "av1.mp4": {"codec": "av1", **SHORT},
    "vp9.webm": {"codec": "vp9", "audio_rate": 48_000, **SHORT},
    "h264.mkv": {"frames": 9, "audio_s": None},
    "fragmented.mp4": {"fragmented": True, **SHORT},
    "sound_first_and_longer.mp4": {"frames": 9, "audio_first": True, "audio_s": 1.0},
    "cut_near_the_end.mp4": {"cut_at": 109},
    "edit_list.mp4": {"shown_frames": 100},
    "bt709_tagged.mp4": {"matrix": "bt709", "tagged": True, **SHORT},
    "odd_size.mp4": {"size": (834, 1112), **SHORT},
    "ten_bits.mp4": {"codec": "hevc", "pix_fmt": "yuv420p10le", **SHORT},
}


@pytest.mark.slow
async def test_the_provider_is_given_the_last_frame_of_each_kind_of_clip(
    make_clip: Any, start_relay: Any, oracle: ModuleType, ffmpeg: str
) -> None:
    """Thirteen codecs, containers and oddities in one chain: each as FFmpeg's own command decodes it."""
    clips = [make_clip(name, **options) for name, options in KINDS.items()]
    library = Library([*clips, clips[0]])
    shots = [{"id": f"s{number}", "prompt": "x"} for number in range(len(library.clips))]
    with listening_on("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with serving(library.app(), listener), start_relay(url) as relay:
            run = await relay.wait_for_end(await relay.run({"title": "kinds", "model": "m", "shots": shots}))

    assert [shot["status"] for shot in run["shots"]] == ["done"] * len(shots), run["error"]
    for number, (clip, options) in enumerate(zip(clips, KINDS.values(), strict=True), start=1):
        picture = np.asarray(Image.open(io.BytesIO(library.picture_given_to(number))).convert("RGB"))
        frames, layout = oracle.frames(ffmpeg, clip)
        oracle.assert_same(oracle.to_rgb(frames[-1], layout, matrix=options.get("matrix", "bt601")), picture)
    assert run["status"] == "succeeded", run["error"]
    assert not run["film"]["copied"], "clips of many kinds are encoded into one film"

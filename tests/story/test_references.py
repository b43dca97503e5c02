"""Pictures and videos that a clip is to look like, given as files."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from framerelay.storyboards.storyboard import read_storyboard
from tests.media.clipmaker import write_clip

pytestmark = pytest.mark.anyio


def png() -> bytes:
    """A picture of a size that providers take."""
    into = io.BytesIO()
    Image.new("RGB", (400, 400), (200, 40, 40)).save(into, "PNG")
    return into.getvalue()


async def test_files_are_uploaded_under_their_kind_and_named_in_the_job(
    start_provider: Any, start_relay: Any, tmp_path: Path
) -> None:
    """The provider gets addresses of its own; what was an address before stays one."""
    video = write_clip(tmp_path / "motion.mp4").read_bytes()
    async with start_provider() as provider, start_relay(provider.url) as relay:
        picture_name, video_name = [
            (await relay.api.post("/v1/files", content=content)).json()["name"] for content in (png(), video)
        ]
        shot = {
            "prompt": "a car",
            "reference_images": [picture_name, "https://example.com/look.png"],
            "reference_videos": [video_name],
        }
        run = await relay.wait_for_end(await relay.run({"model": "m", "shots": [shot]}))
        (job,) = (await provider.journal())["jobs"]

    assert run["status"] == "succeeded"
    images, videos = job["input"]["reference_image_urls"], job["input"]["reference_video_urls"]
    assert images[0].startswith(provider.url)
    assert images[1] == "https://example.com/look.png"
    assert videos[0].startswith(provider.url)
    assert videos[0].endswith(".mp4")


async def test_a_file_that_is_not_what_it_seems_stops_the_shot_before_money(
    start_provider: Any, start_relay: Any
) -> None:
    """It began like a video, and is not one; nothing was submitted."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        response = await relay.api.post("/v1/files", content=b"\x00\x00\x00\x18ftypmp42" + bytes(200))
        shot = {"prompt": "a car", "reference_videos": [response.json()["name"]]}
        run = await relay.wait_for_end(await relay.run({"model": "m", "shots": [shot]}))
        submits = (await provider.journal())["submits"]

    assert run["status"] == "failed"
    assert "the video that was given cannot be used" in run["error"]["message"]
    assert submits == []


def test_local_files_are_handed_over_like_frames() -> None:
    """Each once, with the places that name it; the document then names what was given."""
    text = """
model: m
defaults: {reference_images: [look.png]}
shots:
  - {prompt: a, first_frame: look.png}
  - {prompt: b, from: cut, reference_images: [other.png, "https://example.com/x.png"], reference_videos: [m.mp4]}
"""
    board = read_storyboard(text, form="yaml")

    assert board.local_files() == {
        "look.png": ["defaults.reference_images[0]", "shots[0].first_frame"],
        "other.png": ["shots[1].reference_images[0]"],
        "m.mp4": ["shots[1].reference_videos[0]"],
    }
    names = {"look.png": "file:given/1.png", "other.png": "file:given/2.png", "m.mp4": "file:given/3.mp4"}
    board_sent = board.with_files(names)
    assert board_sent.local_files() == {}
    assert board_sent.shots[0].input["reference_image_urls"] == ["file:given/1.png"]
    assert board_sent.shots[1].input["reference_image_urls"] == ["file:given/2.png", "https://example.com/x.png"]
    assert board_sent.document["shots"][1]["reference_videos"] == ["file:given/3.mp4"]

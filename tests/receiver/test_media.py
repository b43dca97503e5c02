"""``GET /media/{path}``: whole or in part, for the key or a signed link; never anything outside the folder."""

import mimetypes
import os
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from framerelay.runs.tokens import Links

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
CLIP = f"{RUN}/s1.1.mp4"
BYTES = bytes(range(256)) * 1000
SECRET = "only for tests"


@pytest.fixture
def clip(relay: Any) -> str:
    """A clip in the media folder; the address of it."""
    place: Path = relay.settings.data_dir / "media" / CLIP
    place.parent.mkdir(parents=True)
    place.write_bytes(BYTES)
    return f"/media/{CLIP}"


async def test_a_clip_is_sent_whole(relay: Any, clip: str) -> None:
    """With its type, its length, and nothing that a browser could run."""
    answer = await relay.api.get(clip)

    assert (answer.status_code, answer.content) == (200, BYTES)
    assert answer.headers["Content-Type"] == "video/mp4"
    assert answer.headers["Content-Length"] == str(len(BYTES))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Security-Policy"] == "sandbox"
    assert "private" in answer.headers["Cache-Control"]


async def test_a_frame_is_sent_small_if_there_is_a_small_copy(relay: Any, clip: str) -> None:
    """Else whole, to be asked for again soon; nothing else changes for files that have no small copy."""
    folder = (relay.settings.data_dir / "media" / CLIP).parent
    (folder / "s1.1.last.png").write_bytes(b"whole")
    frame = f"/media/{RUN}/s1.1.last.png"

    whole = await relay.api.get(f"{frame}?small")
    (folder / "s1.1.last.jpg").write_bytes(b"small")
    small = await relay.api.get(f"{frame}?small")

    assert (whole.content, whole.headers["Cache-Control"]) == (b"whole", "private, max-age=10")
    assert (small.content, small.headers["Cache-Control"]) == (b"small", "private, max-age=3600")
    assert small.headers["Content-Type"] == "image/jpeg"
    assert (await relay.api.get(frame)).content == b"whole"
    assert (await relay.api.get(f"{clip}?small")).content == BYTES
    assert (await relay.api.get(f"/media/{RUN}/s2.1.last.png?small")).status_code == 404


async def test_head_has_no_body(relay: Any, clip: str) -> None:
    """As long as the whole, without the bytes."""
    answer = await relay.api.head(clip)

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(BYTES))


async def test_a_range_is_sent_as_requested(relay: Any, clip: str) -> None:
    """From the front, to the end, the last bytes, past the end: as players ask."""
    size = len(BYTES)
    for byte_range, part in (
        ("bytes=0-9", slice(0, 10)),
        ("bytes=255990-", slice(255990, None)),
        ("bytes=-10", slice(-10, None)),
        ("bytes=255999-999999", slice(255999, None)),
        (f"bytes=-{size * 2}", slice(None)),
    ):
        answer = await relay.api.get(clip, headers={"Range": byte_range})
        assert (answer.status_code, answer.content) == (206, BYTES[part]), byte_range
        start, stop, _ = part.indices(size)
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}", byte_range


async def test_several_parts_come_in_one_answer(relay: Any, clip: str) -> None:
    """Each with its place."""
    answer = await relay.api.get(clip, headers={"Range": "bytes=0-9,100-109"})

    assert answer.status_code == 206
    assert answer.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert BYTES[0:10] in answer.content
    assert BYTES[100:110] in answer.content
    assert f"Content-Range: bytes 100-109/{len(BYTES)}".encode() in answer.content
    assert int(answer.headers["Content-Length"]) == len(answer.content)


async def test_a_part_that_is_not_there_is_416_with_the_size(relay: Any, clip: str) -> None:
    """In the envelope of all errors; a Range that means nothing is 400."""
    for byte_range, status in (("bytes=256000-", 416), ("bytes=-0", 416), ("bytes=9-5", 400), ("frames=1-2", 400)):
        answer = await relay.api.get(clip, headers={"Range": byte_range})
        assert (answer.status_code, answer.json()["error"]["param"]) == (status, "Range"), byte_range
        assert answer.headers.get("Content-Range") == (f"bytes */{len(BYTES)}" if status == 416 else None)


async def test_a_signed_link_opens_its_file_only_and_only_in_time(relay: Any, clip: str) -> None:
    """Without any key: this is what a provider gets. Not another file, not after its time, not with a longer one."""
    links = Links(SECRET)
    now = int(time.time())
    link = links.sign(clip, expires_at=now + 60)
    other = Path(relay.settings.data_dir) / "media" / RUN / "s2.1.mp4"
    other.write_bytes(b"other")
    async with httpx.AsyncClient(base_url=relay.settings.listen_url, trust_env=False) as stranger:
        assert (await stranger.get(link)).content == BYTES
        assert (await stranger.get(link, headers={"Range": "bytes=0-4"})).content == BYTES[:5]
        assert (await stranger.head(link)).status_code == 200
        paths = [
            link.replace("s1.1", "s2.1"),
            link.replace(f"expires={now + 60}", f"expires={now + 9999}"),
            links.sign(clip, expires_at=now - 1),
            Links("another secret").sign(clip, expires_at=now + 60),
            clip,
            f"{clip}?expires=&signature=",
            f"{clip}?expires=9999999999&signature=" + "A" * 24,
            link.replace("signature=", "signature=%C3%A9"),
        ]
        assert {(await stranger.get(each)).status_code for each in paths} == {401}
        assert (await stranger.post(link)).status_code == 405


async def test_nothing_outside_the_folder_can_be_reached(relay: Any, clip: str, tmp_path: Path) -> None:
    """Whatever is tried, with the key in hand: 404, and no error of ours."""
    data = relay.settings.data_dir
    (data / "secret").write_text("secret")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "s1.1.mp4").write_text("secret")
    media = data / "media"
    (media / RUN / "s3.1.mp4").symlink_to(outside / "s1.1.mp4")
    (media / ("run_" + "b" * 24)).symlink_to(outside)
    (media / RUN / "s4.1.mp4").mkdir()
    os.mkfifo(media / RUN / "s5.1.mp4")
    for path in (
        "../secret",
        "..%2fsecret",
        "..%2Fsecret",
        "%2e%2e/secret",
        "%2e%2e%2fsecret",
        f"{RUN}/..%2f..%2f..%2fsecret",
        f"{RUN}/%2e%2e/%2e%2e/secret",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        f"{data}/secret",
        f"{CLIP}%00",
        f"{CLIP}%00.png",
        f"{CLIP}/",
        f"./{CLIP}".replace("/", "%2f"),
        f"{RUN}\\s1.1.mp4",
        f"{RUN}/s1.1.mp4:x",
        f"{RUN}/S1.1.mp4",
        f"{RUN}/.s1.1.mp4.abc.part",
        f"{RUN}/s3.1.mp4",
        "run_" + "b" * 24 + "/s1.1.mp4",
        f"{RUN}/s4.1.mp4",
        f"{RUN}/s5.1.mp4",
        f"{RUN}/",
        RUN,
        "",
        "霓虹.mp4",
        "%ff%fe.mp4",
        "a" * 8000,
    ):
        answer = await relay.api.get(f"/media/{path}")
        assert (answer.status_code, answer.content != BYTES) == (404, True), path
        assert answer.json()["error"]["code"] == "not_found"
    assert (await relay.api.get(clip)).status_code == 200


async def test_pictures_have_their_types(relay: Any, clip: str) -> None:
    """By the ending that we gave them ourselves."""
    folder = Path(relay.settings.data_dir) / "media" / RUN
    for ending, kind in ((".last.png", "image/png"), (".provider.png", "image/png"), (".mp4", "video/mp4")):
        (folder / f"s7.1{ending}").write_bytes(b"x")
        assert (await relay.api.get(f"/media/{RUN}/s7.1{ending}")).headers["Content-Type"] == kind


async def test_a_webp_picture_has_its_type_where_the_system_does_not_know_it(
    relay: Any, clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a small container: Python 3.11 alone does not know it."""
    monkeypatch.setattr("mimetypes._db", mimetypes.MimeTypes())
    response = await relay.api.post("/v1/files", content=b"RIFF\0\0\0\0WEBPVP8 ")
    name = response.json()["name"].removeprefix("file:")

    assert (await relay.api.get(f"/media/{name}")).headers["Content-Type"] == "image/webp"

"""Downloads that arrive whole, however the connection behaves."""

import re
from pathlib import Path

import pytest

from framerelay.media.download import DownloadLimits
from framerelay.runs.errors import (
    DownloadInterrupted,
)
from tests.media.download_server import (
    CLIP,
    OTHER_CLIP,
    answer,
    assert_whole,
    capped_rest,
    chunked,
    cut,
    cut_rest,
    drip,
    fails,
    fetch,
    lying,
    other_whole,
    part_with,
    reset,
    rest,
    serving,
    silent,
    stall,
    too_long_rest,
    whole,
)

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("short_pauses")]


async def test_file_arrives_whole_with_its_size_and_hash(tmp_path: Path) -> None:
    """What is written, counted and hashed is what was served; only the file itself is left in the folder."""
    async with serving(whole) as server:
        download = await fetch(server, tmp_path)
    assert_whole(download, tmp_path)
    assert server.requests[0]["accept-encoding"] == "identity"
    assert "authorization" not in server.requests[0]


async def test_calling_it_again_replaces_the_file(tmp_path: Path) -> None:
    """A task that runs twice does no harm."""
    (tmp_path / "clip.mp4").write_bytes(b"older")
    async with serving(whole, whole) as server:
        await fetch(server, tmp_path)
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_cut_is_resumed_and_no_byte_is_sent_twice(tmp_path: Path) -> None:
    """After a reset in the body, the rest is asked for by Range, bound to the same ETag."""
    async with serving(cut(at=100_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert re.fullmatch(r"bytes=[1-9]\d*-", server.requests[1]["range"])
    assert server.requests[1]["if-range"] == '"one"'
    bytes_there = int(server.requests[1]["range"][6:-1])
    assert server.bytes_sent[1] == len(CLIP) - bytes_there


async def test_reset_in_the_body_is_resumed(tmp_path: Path) -> None:
    """The connection is reset, not closed: what had come is kept."""
    async with serving(reset(at=200_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_cut_twice_is_resumed_twice(tmp_path: Path) -> None:
    """A second cut continues from the second place."""
    async with serving(cut(at=100_000), cut_rest(after=50_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    first, second = (int(server.requests[n]["range"][6:-1]) for n in (1, 2))
    assert first < second <= first + 50_000


async def test_date_stands_in_for_a_missing_etag(tmp_path: Path) -> None:
    """If-Range takes Last-Modified where the server gives no ETag, or a weak one."""
    date = "Wed, 04 Nov 2026 12:00:00 GMT"
    headers = {"ETag": 'W/"weak"', "Last-Modified": date}
    async with serving(cut(at=100_000, headers=headers), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert server.requests[1]["if-range"] == date


async def test_without_a_validator_it_starts_over(tmp_path: Path) -> None:
    """Bytes of two versions are never put together on trust."""
    async with serving(cut(at=100_000, headers={}), whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" not in server.requests[1]


async def test_server_without_range_starts_over(tmp_path: Path) -> None:
    """A 200 to a Range request is taken as the whole file."""
    async with serving(cut(at=100_000), whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" in server.requests[1]


async def test_changed_file_starts_over(tmp_path: Path) -> None:
    """If-Range fails on the server's side: the new version is taken from its first byte."""
    async with serving(cut(at=100_000), other_whole) as server:
        download = await fetch(server, tmp_path)
    assert_whole(download, tmp_path, OTHER_CLIP)


@pytest.mark.parametrize(
    "wrong",
    [
        {"Content-Range": f"bytes 0-{len(CLIP) - 1}/{len(CLIP)}"},
        {"Content-Range": f"bytes 50000-{len(CLIP) - 1}/{len(CLIP)}"},
        {"Content-Range": "bytes {from}-299998/299999"},
        {"Content-Range": "octets of some kind"},
        {},
        {"Content-Range": "bytes {from}-299999/300000", "ETag": '"two"'},
    ],
    ids=["from 0", "elsewhere", "another total", "unreadable", "no Content-Range", "changed ETag"],
)
async def test_wrong_206_is_not_appended(tmp_path: Path, wrong: dict[str, str]) -> None:
    """A part that does not continue our bytes is thrown away and the file fetched whole, without Range."""
    async with serving(cut(at=100_000), part_with(wrong), whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" not in server.requests[2]


async def test_206_that_nobody_asked_for_is_refused(tmp_path: Path) -> None:
    """The first answer must be the whole file."""
    part = part_with({"Content-Range": f"bytes 0-99/{len(CLIP)}"})
    async with serving(part, part, part) as server:
        await fails(DownloadInterrupted, server, tmp_path, "not asked for")


async def test_part_that_is_longer_than_announced_starts_over(tmp_path: Path) -> None:
    """Chunked, a 206 can send more than its Content-Range says; nothing of it is kept."""
    async with serving(cut(at=100_000), too_long_rest, whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_416_starts_over(tmp_path: Path) -> None:
    """The file has become shorter than what we have of it."""
    async with serving(cut(at=100_000), answer(416), other_whole) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path, OTHER_CLIP)


async def test_shorter_part_than_asked_for_is_continued(tmp_path: Path) -> None:
    """A server may cap the length of a part; the next request goes on from there."""
    async with serving(cut(at=100_000), capped_rest(50_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_chunked_body_without_length_arrives_whole(tmp_path: Path) -> None:
    """No Content-Length: the last chunk says that it is whole."""
    async with serving(chunked()) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)


async def test_chunked_body_that_is_cut_is_resumed(tmp_path: Path) -> None:
    """A missing last chunk is a cut, also when the server closes politely; Content-Range tells the length then."""
    async with serving(chunked(at=100_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" in server.requests[1]


async def test_polite_close_before_the_announced_length_is_a_cut(tmp_path: Path) -> None:
    """Content-Length says more than comes, each time: interrupted, and no file."""
    async with serving(*[cut(at=100_000, headers={})] * 3) as server:
        await fails(DownloadInterrupted, server, tmp_path, "gave up after 3 tries")


async def test_content_length_beyond_the_file_never_yields_one(tmp_path: Path) -> None:
    """The server announces one byte more than it has and keeps the connection open."""
    async with serving(*[lying(by=1)] * 3) as server:
        await fails(DownloadInterrupted, server, tmp_path, "gave up")


async def test_stall_ends_the_try_and_the_rest_is_fetched(tmp_path: Path) -> None:
    """No byte for stall_s seconds: the connection is given up, what came is kept."""
    async with serving(stall(at=100_000), rest) as server:
        assert_whole(await fetch(server, tmp_path), tmp_path)
    assert "range" in server.requests[1]


async def test_stall_before_the_headers_ends_the_try(tmp_path: Path) -> None:
    """A server that accepts and says nothing."""
    async with serving(silent, silent, silent) as server:
        await fails(DownloadInterrupted, server, tmp_path, r"no byte came for 0\.3 s")


async def test_dripping_body_ends_at_the_total_time(tmp_path: Path) -> None:
    """One byte every 20 ms never stalls, yet the call ends."""
    limits = DownloadLimits(size_bytes_max=1_000_000, total_s=0.3, stall_s=5)
    async with serving(drip) as server:
        await fails(DownloadInterrupted, server, tmp_path, r"longer than 0\.3 s", limits)

"""Hosts that misbehave below HTTP: whatever bytes they send, a fetch ends soon, small, and in a file or a reason."""

import asyncio
import contextlib
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

import framerelay.media.download
from framerelay.media.download import FRAMING_BYTES_MAX, Download, DownloadLimits, download
from framerelay.network.client import guarded_client
from framerelay.runs.errors import (
    DownloadInterrupted,
    DownloadTooLarge,
    FrameRelayError,
    UpstreamAnswerUnreadable,
)

pytestmark = pytest.mark.anyio

LIMITS = DownloadLimits(size_bytes_max=1_000_000, total_s=20, stall_s=0.25, tries=2)
PATIENT = replace(LIMITS, stall_s=5)  # For a host that does answer, be this machine ever so busy.
CLIP = random.Random(1).randbytes(200_000)
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pause between tries is not what is tested."""
    monkeypatch.setattr(framerelay.media.download, "PAUSE_S", 0.001)


@dataclass
class Host:
    """What it was sent, and how many bytes it got rid of."""

    url: str = ""
    heads: list[str] = field(default_factory=list)
    bytes_sent: int = 0


Behaviour = Callable[[asyncio.StreamReader, "Speaker"], Awaitable[None]]


class Speaker:
    """Sends raw bytes, and counts them."""

    def __init__(self, host: Host, writer: asyncio.StreamWriter) -> None:
        self.host, self._writer = host, writer

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()
        self.host.bytes_sent += len(data)


@asynccontextmanager
async def a_host(*behaviours: Behaviour) -> AsyncIterator[Host]:
    """Meets the n-th connection with the n-th of *behaviours*, the last one for ever."""
    host = Host()
    talks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())  # type: ignore[arg-type]
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            host.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
            await behaviours[min(len(host.heads), len(behaviours)) - 1](reader, Speaker(host, writer))
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        host.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/clip.mp4?X-Amz-Signature=canary"
        yield host
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks)


def saying(*parts: bytes, pause_s: float = 0, over_and_over: bytes = b"") -> Behaviour:
    """Say *parts*, then *over_and_over* for as long as somebody listens, at most a gigabyte."""

    async def behave(_: asyncio.StreamReader, speaker: Speaker) -> None:
        for part in parts:
            await speaker.say(part)
        for _ in range((1 << 30) // len(over_and_over) if over_and_over else 0):
            await speaker.say(over_and_over)
            await asyncio.sleep(pause_s)

    return behave


async def fetch(host: Host, folder: Path, limits: DownloadLimits = PATIENT) -> Download:
    """Whatever is to stall, a connection is given time: a busy machine needs some to look up the name, in a thread."""
    hosts = frozenset({"127.0.0.1"})
    async with guarded_client(hosts, connect_timeout_s=2, read_timeout_s=limits.stall_s) as client:
        return await download(host.url, folder / "clip.mp4", client=client, limits=limits)


async def fails(
    kind: type[FrameRelayError],
    folder: Path,
    *behaviours: Behaviour,
    words: str = ".",
    limits: DownloadLimits = LIMITS,
) -> Host:
    """The fetch ends in *kind* and leaves no file; its words hold nothing of the address."""
    async with a_host(*behaviours) as host:
        with pytest.raises(kind, match=words) as failure:
            await fetch(host, folder, limits)
    assert list(folder.iterdir()) == []
    assert "canary" not in str(failure.value)
    return host


# --- size and time


@pytest.mark.parametrize(
    "behaviour",
    [
        saying(OK + b"X-Long: ", over_and_over=b"a" * 65_536),
        saying(OK, over_and_over=b"X-Many: " + b"a" * 1000 + b"\r\n"),
        saying(b"HTTP/1.1 ", over_and_over=b"2" * 65_536),
        saying(b"", over_and_over=bytes(65_536)),
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n", over_and_over=b"0" * 65_536),
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", over_and_over=b"a" * 65_536),
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-Trailer: ", over_and_over=b"a" * 65_536),
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", over_and_over=b"X-Trailer: " + b"a" * 1000 + b"\r\n"),
    ],
    ids=[
        "one header",
        "many headers",
        "status line",
        "no line",
        "chunk size",
        "chunk extension",
        "trailer",
        "trailers",
    ],
)
async def test_endless_head_ends_after_a_few_kilobytes(behaviour: Behaviour, tmp_path: Path) -> None:
    """What must be read before a byte of the file can be is bounded; a gigabyte of it would be on offer."""
    host = await fails(DownloadInterrupted, tmp_path, behaviour)
    assert host.bytes_sent < 32 << 20, "no more than the buffers of two connections"


@pytest.mark.parametrize(
    "behaviour",
    [
        saying(OK + b"X-Slow: ", over_and_over=b"a", pause_s=0.02),
        saying(over_and_over=b"HTTP/1.1 103 Early Hints\r\n\r\n", pause_s=0.02),
        saying(over_and_over=b"HTTP/1.1 100 Continue\r\n\r\n"),
        saying(OK + b"Content-Length: 200000\r\n\r\n", over_and_over=b"a", pause_s=0.02),
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n", over_and_over=b"1\r\na\r\n", pause_s=0.02),
    ],
    ids=["header", "hints", "hints at full speed", "body", "chunks"],
)
async def test_trickle_is_a_stall(behaviour: Behaviour, tmp_path: Path) -> None:
    """A byte now and then keeps no task busy: both tries are over long before the whole call's time is."""
    async with asyncio.timeout(60):
        await fails(DownloadInterrupted, tmp_path, behaviour, words="hardly a byte")


async def test_slow_but_steady_host_is_waited_for(tmp_path: Path) -> None:
    """Longer than a stall may take in all, and never a stall in between: the file comes, in one request."""

    async def behave(_: asyncio.StreamReader, speaker: Speaker) -> None:
        await speaker.say(OK + b"Content-Length: 200000\r\n\r\n")
        for start in range(0, len(CLIP), 20_000):
            await speaker.say(CLIP[start : start + 20_000])
            await asyncio.sleep(0.15)

    limits = DownloadLimits(size_bytes_max=1_000_000, total_s=20, stall_s=1, tries=1)
    async with a_host(behave) as host:
        assert (await fetch(host, tmp_path, limits)).bytes == 200_000


@pytest.mark.parametrize("extension", [60_000, 200])
async def test_bytes_are_counted_on_the_wire(extension: int, tmp_path: Path) -> None:
    """Chunk extensions are no part of the file, but of what we pay for: a byte in each chunk, and kilobytes around."""
    flood = b"1;" + b"a" * extension + b"\r\nx\r\n"
    host = await fails(
        DownloadTooLarge,
        tmp_path,
        saying(OK + b"Transfer-Encoding: chunked\r\n\r\n", over_and_over=flood),
        words="more framing than file",
        limits=DownloadLimits(size_bytes_max=1_000_000, total_s=20, stall_s=10, tries=1),
    )
    assert host.bytes_sent < FRAMING_BYTES_MAX + (16 << 20), "the limit, and what buffers hold"


async def test_small_chunks_are_no_flood(tmp_path: Path) -> None:
    """Framing of some servers is as large as what it frames."""
    body = b"".join(b"10\r\n" + CLIP[n : n + 16] + b"\r\n" for n in range(0, len(CLIP), 16)) + b"0\r\n\r\n"
    async with a_host(saying(OK + b"Transfer-Encoding: chunked\r\n\r\n", body)) as host:
        assert (await fetch(host, tmp_path)).bytes == len(CLIP)
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP


async def test_announced_length_is_not_passed(tmp_path: Path) -> None:
    """Four bytes announced, a flood sent: of a plain body four are read, of a chunked one none is kept."""
    async with a_host(saying(OK + b"Content-Length: 4\r\n\r\n", over_and_over=bytes(65_536))) as host:
        assert (await fetch(host, tmp_path)).bytes == 4
    (tmp_path / "clip.mp4").unlink()
    both = OK + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    await fails(DownloadInterrupted, tmp_path, saying(both, over_and_over=b"2000\r\n" + bytes(0x2000) + b"\r\n"))


# --- what is not HTTP, or not the HTTP that was asked for


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>an answer of 1991</html>\r\n",
        b"\x00\x00\x00\x20ftypisom" + CLIP[:1000],
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"-ERR unknown command 'GET'\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"HTTP/2 200 OK\r\nContent-Length: 4\r\n\r\nclip",
        b"HTTP/1.1 99999 OK\r\nContent-Length: 4\r\n\r\nclip",
        b"HTTP/1.1 -20 OK\r\nContent-Length: 4\r\n\r\nclip",
        b"HTTP/1.1 20 OK\r\nContent-Length: 4\r\n\r\nclip",
        b"GET /clip.mp4?X-Amz-Signature=canary HTTP/1.1\r\n\r\n",
        OK + b"Bad\x00Name: x\r\nContent-Length: 4\r\n\r\nclip",
        OK + b"Bad Name: x\r\nContent-Length: 4\r\n\r\nclip",
        OK + b"Name : x\r\nContent-Length: 4\r\n\r\nclip",
        OK + b"no colon, but canary\r\nContent-Length: 4\r\n\r\nclip",
        OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nclips",
        OK + b"Content-Length: 4, 5\r\n\r\nclips",
        OK + b"Content-Length: -4\r\n\r\nclip",
        OK + b"Content-Length: +4\r\n\r\nclip",
        OK + b"Content-Length: 0x4\r\n\r\nclip",
        OK + b"Content-Length: 4e0\r\n\r\nclip",
        OK + "Content-Length: ４\r\n\r\nclip".encode(),
        OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nclip",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nclip\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n4\r\nclip\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: identity\r\n\r\nclip",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nclip\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-4\r\nclip\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n0x4\r\nclip\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4 4\r\nclip\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\nclip",
        OK + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\nclip",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nclipclip\r\n0\r\n\r\n",
        OK + b"Content-Length: 4\r\n\r\nHTT",
        b"",
    ],
    ids=lambda answer: repr(answer[-40:]),
)
async def test_broken_answer_gives_no_file(answer: bytes, tmp_path: Path) -> None:
    """Bodies of two lengths, headers of two readings, other protocols: nothing is guessed, nothing is quoted."""
    await fails(DownloadInterrupted, tmp_path, saying(answer))


async def test_echo_of_our_request_is_not_repeated(tmp_path: Path) -> None:
    """A host that sends back what it got would have the signed address put into our error, for a person to see."""

    async def echo(_: asyncio.StreamReader, speaker: Speaker) -> None:
        await speaker.say(OK + b"GET /clip.mp4?X-Amz-Signature=canary HTTP/1.1\r\n\r\n")

    await fails(DownloadInterrupted, tmp_path, echo, words="illegal header line$")


async def test_any_damaged_answer_ends_in_a_file_or_a_reason(tmp_path: Path) -> None:
    """Three hundred answers with bytes flipped, cut, doubled and put in: no other exception than our own."""
    dice = random.Random(20261122)
    sound = [
        OK + b'Content-Length: 4\r\nETag: "a"\r\n\r\nclip',
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nclip\r\n0\r\nX: y\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1]:8080/x?y#z\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-3/4\r\nContent-Length: 4\r\n\r\nclip",
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\ngone",
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy",
    ]
    answers = iter([damaged(dice.choice(sound), dice) for _ in range(300)])

    async def behave(_: asyncio.StreamReader, speaker: Speaker) -> None:
        await speaker.say(next(answers, b""))

    ends = set()
    once = DownloadLimits(size_bytes_max=1000, total_s=2, stall_s=0.05, tries=1)
    async with a_host(behave) as host, guarded_client(frozenset({"127.0.0.1"})) as client:
        for _ in range(250):
            try:
                await download(host.url, tmp_path / "clip.mp4", client=client, limits=once)
                ends.add("file")
            except FrameRelayError as error:
                ends.add(error.code)
    assert {"file", "download_interrupted", "download_expired", "address_forbidden"} <= ends


def damaged(answer: bytes, dice: random.Random) -> bytes:
    """*answer* with one to three small faults, often in its headers."""
    data = bytearray(answer)
    for _ in range(dice.randint(1, 3)):
        at = dice.randrange(len(data))
        match dice.randrange(4):
            case 0:
                data[at] = dice.randrange(256)
            case 1:
                del data[at : at + dice.randint(1, 8)]
            case 2:
                data[at:at] = dice.randbytes(dice.randint(1, 4))
            case _:
                data[at:at] = dice.choice(
                    [b"\r\n", b"\n", b"\x00", b"\xff", b"%0d%0a", b": ", "é".encode(), b"99999999999"]
                )
        data = data or bytearray(b"x")
    return bytes(data)


# --- encodings, and parts


@pytest.mark.parametrize(
    "encoding",
    [
        "gzip",
        "GZIP",
        "x-gzip",
        "deflate",
        "br",
        "zstd",
        "compress",
        "identity, gzip",
        "gzip, identity",
        "aes128gcm",
        "x",
    ],
)
async def test_encoded_body_is_refused_unread(encoding: str, tmp_path: Path) -> None:
    """It was asked for as it is; what could unpack to a thousand times its size is not unpacked."""
    head = OK + f"Content-Encoding: {encoding}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    flood = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    host = await fails(UpstreamAnswerUnreadable, tmp_path, saying(head, over_and_over=flood), words="compresses")
    assert len(host.heads) == 1
    assert "accept-encoding: identity" in host.heads[0].lower()


def cut_at(size: int, **headers: str) -> Behaviour:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return saying(OK + f"Content-Length: {len(CLIP)}\r\n{lines}\r\n".encode(), CLIP[:size])


@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 100000-99999/200000",
        "bytes 100000-199999/199999",
        "bytes 100000-200000/200000",
        "bytes 100000-199999/100000",
        "bytes 100000-199999/*0",
        "bytes 100000-/200000",
        "bytes -100000/200000",
        "bytes */200000",
        "bytes 100000-999999999999999999999999/200000",
        "bytes １00000-199999/200000",
        "bits 100000-199999/200000",
        "bytes=100000-199999/200000",
        "bytes 100000-199999/200000, bytes 0-1/2",
        "bytes 99999-199999/200000",
    ],
)
async def test_part_of_an_impossible_range_is_not_put_to_the_rest(content_range: str, tmp_path: Path) -> None:
    """Start, end and size must agree with each other and with what we have; else the file is fetched again."""
    wrong = f"HTTP/1.1 206 X\r\nContent-Length: 100000\r\nContent-Range: {content_range}\r\n\r\n".encode()
    behaviours = (cut_at(100_000, ETag='"a"'), saying(wrong, bytes(100_000)), cut_at(200_000))
    async with a_host(*behaviours) as host:
        limits = DownloadLimits(size_bytes_max=1_000_000, total_s=20, stall_s=2, tries=3)
        assert (await fetch(host, tmp_path, limits)).bytes == 200_000
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP
    assert "range: bytes=100000-" in host.heads[1].lower()


async def test_part_of_a_file_of_unknown_size_is_not_taken_for_its_end(tmp_path: Path) -> None:
    """Neither answer says how long the file is, so nothing can say that it is whole."""
    start = OK + b'Transfer-Encoding: chunked\r\nETag: "a"\r\n\r\n' + b"186a0\r\n" + CLIP[:100_000] + b"\r\n"
    unknown = b"HTTP/1.1 206 X\r\nContent-Length: 50000\r\nContent-Range: bytes 100000-149999/*\r\n\r\n"
    behaviours = (saying(start), saying(unknown, CLIP[100_000:150_000]), cut_at(200_000))
    async with a_host(*behaviours) as host:
        limits = DownloadLimits(size_bytes_max=1_000_000, total_s=20, stall_s=2, tries=3)
        assert (await fetch(host, tmp_path, limits)).bytes == 200_000
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP


async def test_part_that_is_longer_than_its_range_is_not_kept(tmp_path: Path) -> None:
    """It ends within the file, but not where it said: what came after that could be from anywhere."""
    head = b"HTTP/1.1 206 X\r\nTransfer-Encoding: chunked\r\nContent-Range: bytes 100000-100099/200000\r\n\r\n"
    body = b"c8\r\n" + CLIP[100_000:100_100] + bytes(100) + b"\r\n0\r\n\r\n"

    async def honest(_: asyncio.StreamReader, speaker: Speaker) -> None:
        match = re.search(r"range: bytes=(\d+)-", speaker.host.heads[-1].lower())
        first = int(match[1]) if match else 0
        part = f"HTTP/1.1 206 X\r\nContent-Range: bytes {first}-199999/200000\r\n".encode()
        await speaker.say(
            (part if first else OK) + f"Content-Length: {200_000 - first}\r\n\r\n".encode() + CLIP[first:]
        )

    async with a_host(cut_at(100_000, ETag='"a"'), saying(head, body), honest) as host:
        limits = DownloadLimits(size_bytes_max=1_000_000, total_s=20, stall_s=2, tries=3)
        await fetch(host, tmp_path, limits)
    assert (tmp_path / "clip.mp4").read_bytes() == CLIP
    assert len(host.heads) == 3


@pytest.mark.parametrize(
    "etag", ['"é"', '"\x7f"', '"' + "a" * 90_000 + '"', '"霓虹"'], ids=["latin", "del", "long", "chinese"]
)
async def test_validator_that_fits_no_header_is_not_sent_back(etag: str, tmp_path: Path) -> None:
    """A cut file of such a host is fetched again; the host's bytes never shape a header of ours."""
    async with a_host(cut_at(100_000, ETag=etag), cut_at(200_000)) as host:
        assert (await fetch(host, tmp_path)).bytes == 200_000
    assert "if-range" not in host.heads[1].lower()


async def test_endless_patience_is_not_asked_for(tmp_path: Path) -> None:
    """A Retry-After of a million years counts as a day."""
    behaviour = saying(b"HTTP/1.1 503 X\r\nRetry-After: 99999999999999\r\nContent-Length: 0\r\n\r\n")
    async with a_host(behaviour) as host:
        with pytest.raises(DownloadInterrupted) as failure:
            await fetch(host, tmp_path)
    assert failure.value.retry_after_s == 86_400


# --- what leaves, and where it lands


async def test_credentials_of_the_machine_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No netrc, no proxy, no cookie: a fetch says what it wants and nothing about who we are."""
    (tmp_path / ".netrc").write_text("default login canary password canary\n")
    (tmp_path / ".netrc").chmod(0o600)
    for name, value in {
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / ".netrc"),
        "HTTP_PROXY": "http://canary@127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    (folder := tmp_path / "clips").mkdir()
    async with a_host(cut_at(200_000, Set_Cookie="canary=canary; Path=/")) as host:
        for _ in range(2):
            await fetch(host, folder)
    for head in host.heads:
        names = {line.partition(":")[0].lower() for line in head.split("\r\n")[1:] if line}
        assert names == {"host", "user-agent", "accept", "accept-encoding", "connection"}
        assert head.count("canary") == 1, "in the address that was asked for"


async def test_name_of_the_file_is_ours(tmp_path: Path) -> None:
    """Neither the address nor a header of the host's chooses where bytes land."""
    (folder := tmp_path / "clips").mkdir()
    disposition = "attachment; filename=../../evil.sh; filename*=UTF-8''%2e%2e%2fevil.sh"
    behaviour = cut_at(200_000, Content_Disposition=disposition, Content_Location="/../../evil.sh")
    async with a_host(behaviour) as host:
        host.url = host.url.replace("/clip.mp4", "/..%2f..%2fevil.sh/../../../etc/passwd")
        await fetch(host, folder)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["clips", "clips/clip.mp4"]


async def test_link_in_the_place_of_a_clip_is_replaced_and_not_followed(tmp_path: Path) -> None:
    """What it points to stays as it was."""
    (folder := tmp_path / "clips").mkdir()
    (tmp_path / "other").write_text("mine")
    (folder / "clip.mp4").symlink_to(tmp_path / "other")
    async with a_host(cut_at(200_000)) as host:
        await fetch(host, folder)
    assert (tmp_path / "other").read_text() == "mine"
    assert (folder / "clip.mp4").read_bytes() == CLIP
    assert not (folder / "clip.mp4").is_symlink()

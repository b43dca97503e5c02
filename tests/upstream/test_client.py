"""The client against a real server: what leaves, what comes back, and which error means what."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from framerelay.runs.errors import (
    FrameRelayError,
    OutcomeUnknown,
    RequestInvalid,
    UpstreamAnswerUnreadable,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from framerelay.upstream.client import JobsClient, Timeouts
from framerelay.upstream.families import Family, family_of
from framerelay.upstream.order import Order
from framerelay.upstream.profile_file import load_shipped
from framerelay.upstream.transport import ANSWER_BYTES_MAX
from framerelay.upstream.wire import JobState

pytestmark = pytest.mark.anyio
ACCEPTED = {"id": "job_1", "object": "job", "status": "processing", "model": "m", "created": 1710000000}
TOO_LARGE = b'{"id":"job_1"' + b" " * ANSWER_BYTES_MAX + b"}"
SHORT = Timeouts(connect_s=2.0, submit_s=0.3, look_up_s=0.3, upload_s=0.3)
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_server(handle: Handler) -> AsyncIterator[str]:
    """A server below HTTP; it waits for its connections to end."""
    tasks: list[asyncio.Task[None]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await handle(reader, writer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await asyncio.wait_for(asyncio.gather(*tasks), 60)


@asynccontextmanager
async def raw_server(answer: bytes | None, requests: list[bytes]) -> AsyncIterator[str]:
    """Reads one request per connection, writes *answer* (None: nothing, for ever), and closes."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
            await writer.drain()

    async with tcp_server(handle) as url:
        yield url


async def submit(client: JobsClient) -> object:
    return await client.submit(Order(model="m", input={"prompt": "rain"}, take="take-1"))


async def look_up(client: JobsClient) -> object:
    return await client.get_job("job_1")


def upload_of(path: Path) -> Callable[[JobsClient], Awaitable[object]]:
    path.write_bytes(b"png")
    return lambda client: client.upload(path, kind="image", purpose="first_frame")


async def test_a_submit_sends_the_input_unchanged_with_key_and_idempotency_key(provider) -> None:
    """Fields that we do not know go out too: the provider's next field needs no new release of ours."""
    provider.answers = [JSONResponse(ACCEPTED)]
    fields = {"prompt": "雨夜", "duration": 5, "seed": 2**32 - 1, "new_field": {"a": [1, None]}}

    async with JobsClient(provider.url, "sk-1") as client:
        answer = await client.submit(Order(model="seedance-1.5-pro-1080p", input=fields, take="take-1"))

    [(method, path, headers, body)] = provider.requests
    assert (method, path) == ("POST", "/v1/jobs")
    assert {"model": "seedance-1.5-pro-1080p", "input": fields} == json.loads(body)
    assert (headers["authorization"], headers["idempotency-key"]) == ("Bearer sk-1", "take-1")
    assert (answer.job_id, answer.status_word, answer.raw) == ("job_1", "processing", ACCEPTED)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
async def test_the_address_may_end_in_v1_or_not(provider, suffix: str) -> None:
    """People paste either."""
    provider.answers = [JSONResponse({"id": "job_1", "status": "running"})]

    async with JobsClient(provider.url + "/api" + suffix, "sk") as client:
        await client.get_job("job_1")

    assert provider.requests[0][1] == "/api/v1/jobs/job_1"


async def test_a_job_id_stays_one_segment_of_the_path(provider) -> None:
    """Ids come out of callbacks, and must not choose the address that our key is sent to."""
    provider.answers = [JSONResponse({"id": "x", "status": "running"})]

    async with JobsClient(provider.url, "sk") as client:
        await client.get_job("../../admin?x=1#é/%2e")
        for bad in ("", ".", "..", "x" * 513):
            with pytest.raises(RequestInvalid):
                await client.get_job(bad)

    assert [path for _, path, _, _ in provider.requests] == ["/v1/jobs/..%2F..%2Fadmin%3Fx%3D1%23%C3%A9%2F%252e"]


async def test_an_upload_is_multipart_with_kind_purpose_and_file(provider, tmp_path: Path) -> None:
    """The file's own name stays here; its suffix and type go along."""
    provider.answers = [JSONResponse({"data": {"url": "/files/1.png"}})]
    (tmp_path / "my secret shot.png").write_bytes(b"\x89PNG-bytes")

    async with JobsClient(provider.url, "sk") as client:
        url = await client.upload(tmp_path / "my secret shot.png", kind="image", purpose="first_frame")

    [(method, path, headers, body)] = provider.requests
    assert (method, path) == ("POST", "/v1/files/upload")
    assert headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="kind"\r\n\r\nimage\r\n' in body
    assert b'name="purpose"\r\n\r\nfirst_frame\r\n' in body
    assert b"Content-Type: image/png\r\n\r\n\x89PNG-bytes\r\n" in body
    assert b"secret" not in body
    assert f"{provider.url}/files/1.png" == url


def refusing(status: int, code: str, **headers: str) -> Response:
    body = {"error": {"code": code, "message": "no", "param": "", "type": ""}}
    return JSONResponse(body, status, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusing(400, "InvalidParameter.duration"), UpstreamRejected),
        (refusing(401, "AuthenticationError"), UpstreamRejected),
        (refusing(429, "QuotaExceeded"), UpstreamRejected),
        (refusing(429, "SetLimitExceeded"), UpstreamRejected),
        (Response("<html>blocked</html>", 403), UpstreamRejected),
        (refusing(429, "ServerOverloaded"), UpstreamRateLimited),
        (Response("slow down", 429), UpstreamRateLimited),
        (refusing(408, "Timeout"), OutcomeUnknown),
        (refusing(500, "InternalServiceError"), OutcomeUnknown),
        (Response("bad gateway", 502), OutcomeUnknown),
        (RedirectResponse("/elsewhere", 307), OutcomeUnknown),
        (JSONResponse({"status": "processing"}), OutcomeUnknown),
        (JSONResponse(["job_1"]), OutcomeUnknown),
        (Response("", 204), OutcomeUnknown),
        (Response("<html>", 200), OutcomeUnknown),
        (Response(TOO_LARGE, 200), OutcomeUnknown),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{value.status_code}-{bytes(value.body[:24])!r}",
)
async def test_a_submit_is_sent_once_whatever_the_answer(provider, answer: Response, error: type[Exception]) -> None:
    """Refused, told to wait, or unknown: three kinds that must not be mixed up, and one POST for each."""
    provider.answers = [answer]

    async with JobsClient(provider.url, "sk") as client:
        with pytest.raises(FrameRelayError) as failure:
            await submit(client)

    assert error is type(failure.value)
    assert [method for method, *_ in provider.requests] == ["POST"]


async def test_a_submit_whose_answer_names_no_job_shows_what_was_answered(provider) -> None:
    """A refusal of a shape that is not known here is one to a person who can read it."""
    provider.answers = [JSONResponse({"verdict": "too long: at most 12 s"})]

    async with JobsClient(provider.url, "sk") as client:
        with pytest.raises(OutcomeUnknown, match="too long: at most 12 s"):
            await submit(client)


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", b"SSH-2.0-x\r\n\r\n"],
    ids=["cut before the answer", "cut in the head", "cut in the body", "not HTTP"],
)
async def test_a_cut_answer_to_a_submit_is_an_unknown_outcome_of_one_post(answer: bytes) -> None:
    """The provider may have the job. Nothing in here, httpx or httpcore sends it again."""
    requests: list[bytes] = []
    async with raw_server(answer, requests) as url, JobsClient(url, "sk") as client:
        with pytest.raises(OutcomeUnknown):
            await submit(client)

    assert len(requests) == 1


async def test_a_submit_without_an_answer_in_time_is_an_unknown_outcome_of_one_post() -> None:
    """The time-out ends our waiting, not the job."""
    requests: list[bytes] = []
    async with raw_server(None, requests) as url, JobsClient(url, "sk", timeouts=SHORT) as client:
        with pytest.raises(OutcomeUnknown):
            await submit(client)

    assert len(requests) == 1


async def test_a_trickle_cannot_hold_a_call_open() -> None:
    """httpx counts the time between two reads, so a byte now and then would last for ever."""

    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(1000):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    timeouts = Timeouts(connect_s=0.3, submit_s=0.2, look_up_s=0.2)
    async with tcp_server(trickle) as url, JobsClient(url, "sk", timeouts=timeouts) as client, asyncio.timeout(60):
        with pytest.raises(UpstreamUnavailable):
            await look_up(client)
        with pytest.raises(OutcomeUnknown):
            await submit(client)


async def test_a_submit_that_cannot_connect_has_sent_nothing() -> None:
    """Safe to try again, so it is distinguished from an unknown outcome."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        async with JobsClient(f"http://127.0.0.1:{port}", "sk") as client:
            with pytest.raises(UpstreamUnavailable, match="nothing was sent"):
                await submit(client)


async def test_each_submit_has_a_connection_of_its_own() -> None:
    """
    A kept-alive connection that the provider closes as we write leaves an unknown outcome.

    This server says keep-alive and hangs up as soon as a second request comes in, the worst case: three submits still
    succeed, where a client that keeps connections would lose the second answer.
    """
    body = json.dumps(ACCEPTED).encode()
    head = f"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    peers: list[object] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peers.append(writer.get_extra_info("peername"))
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(b'{"model":"m","input":{"prompt":"rain"}}'))
        writer.write(head + body)
        await writer.drain()
        # Hang up only when the next request comes in on this connection, if one does.
        await reader.read(1)

    async with tcp_server(handle) as url, JobsClient(url, "sk") as client:
        for _ in range(3):
            await submit(client)

    assert len(set(peers)) == 3


@pytest.mark.parametrize("call", ["look_up", "upload"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusing(404, "NotFound"), UpstreamRejected),
        (Response("", 501), UpstreamRejected),
        (RedirectResponse("https://elsewhere.example/", 301), UpstreamRejected),
        (refusing(429, "RateLimitExceeded.EndpointRPMExceeded"), UpstreamRateLimited),
        (refusing(429, "QuotaExceeded"), UpstreamRejected),
        (Response("", 408), UpstreamUnavailable),
        (Response("", 500), UpstreamUnavailable),
        (Response("", 503), UpstreamUnavailable),
        (Response("<html>", 200), UpstreamAnswerUnreadable),
        (JSONResponse([1]), UpstreamAnswerUnreadable),
        (Response(TOO_LARGE), UpstreamAnswerUnreadable),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else f"{value.status_code}-{bytes(value.body[:24])!r}",
)
async def test_a_harmless_call_says_whether_waiting_helps(
    provider, tmp_path: Path, call: str, answer: Response, error: type[Exception]
) -> None:
    """5xx passes, 4xx does not; the client itself repeats neither."""
    provider.answers = [answer]
    act = look_up if call == "look_up" else upload_of(tmp_path / "a.png")

    async with JobsClient(provider.url, "sk") as client:
        with pytest.raises(FrameRelayError) as failure:
            await act(client)

    assert error is type(failure.value)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("call", ["look_up", "upload"])
async def test_a_harmless_call_without_an_answer_may_be_tried_again(provider, tmp_path: Path, call: str) -> None:
    """A time-out there costs nothing."""
    provider.answers = [JSONResponse({})]
    provider.wait_s = 1.0
    act = look_up if call == "look_up" else upload_of(tmp_path / "a.png")

    async with JobsClient(provider.url, "sk", timeouts=SHORT) as client:
        with pytest.raises(UpstreamUnavailable):
            await act(client)


async def test_a_rate_limit_says_how_long_to_wait(provider) -> None:
    """The caller schedules; nothing sleeps in here."""
    provider.answers = [refusing(429, "ServerOverloaded", retry_after="17")]

    async with JobsClient(provider.url, "sk") as client:
        with pytest.raises(UpstreamRateLimited) as failure:
            await submit(client)

    assert failure.value.retry_after_s == 17.0


async def test_a_refusal_carries_what_a_person_needs(provider) -> None:
    """Code, message, request id, and enough to tell the family; never the key."""
    provider.answers = [refusing(400, "InputTextSensitiveContentDetected.PolicyViolation", x_request_id="req-9")]

    async with JobsClient(provider.url, "sk-secret") as client:
        with pytest.raises(UpstreamRejected) as failure:
            await submit(client)

    error = failure.value
    assert (error.status, error.upstream_code) == (400, "InputTextSensitiveContentDetected.PolicyViolation")
    assert Family.TEXT_MODERATED is family_of(error.upstream_code, error.message, error.status)
    assert "req-9" in error.message
    assert "sk-secret" not in error.message


async def test_a_redirect_does_not_carry_the_key_away(provider) -> None:
    """The key is for the address that it was given for."""
    async with raw_server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", requests := []) as elsewhere:
        provider.answers = [RedirectResponse(elsewhere + "/v1/jobs/job_1", 307)]
        async with JobsClient(provider.url, "sk") as client:
            with pytest.raises(UpstreamRejected, match="redirect"):
                await look_up(client)

    assert requests == []


async def test_proxy_variables_are_not_read(provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address in the settings is the one that is called."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    provider.answers = [JSONResponse({"id": "job_1", "status": "queued"})]

    async with JobsClient(provider.url, "sk") as client:
        report = await client.get_job("job_1")

    assert JobState.QUEUED is report.state


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("backend:8000", "sk"),
        ("ftp://backend", "sk"),
        ("https://", "sk"),
        ("https://user:pw@backend", "sk"),
        ("https://backend/?a=1", "sk"),
        ("https://backend:99999", "sk"),
        ("https://backend", ""),
        ("https://backend", "sk\nX-Evil: 1"),
        ("https://backend", "ключ"),
    ],
)
def test_an_address_or_key_that_cannot_work_is_refused_at_once(url: str, key: str) -> None:
    """At start, not at the first submit."""
    with pytest.raises(RequestInvalid):
        JobsClient(url, key)


async def test_an_input_that_is_not_json_sends_nothing(provider) -> None:
    """Caught before the POST, so it is no unknown outcome."""
    async with JobsClient(provider.url, "sk") as client:
        with pytest.raises(RequestInvalid):
            await client.submit(Order(model="m", input={"prompt": object()}, take="k"))

    assert provider.requests == []


async def test_the_key_of_a_gateway_stays_there() -> None:
    """At another address than the profile's own, the hosts that the profile names are somebody else's."""
    profile, upload = load_shipped("fal"), "https://rest.fal.ai/storage/upload/initiate"
    async with JobsClient("https://queue.fal.run", "sk-fal", profile=profile) as client:
        assert client.is_own(upload)
    async with JobsClient("https://gateway.example/fal", "sk-gateway", profile=profile) as client:
        assert not client.is_own(upload)
        assert client.is_own("https://gateway.example/fal/x/y/requests/1/status")

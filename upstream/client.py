"""
The client of the jobs API: submit a job, look one up, upload a file.

What costs money is never sent twice in here. ``submit`` lets exactly one POST leave, on a connection of its own:

- httpcore 1.0 sends a request again only after ``ConnectionNotAvailable``, which it raises before the first byte is
  written, and connects again only when told to (``retries``, left at 0); httpx sends again only for redirects and auth
  flows, both unused.
- A kept-alive connection may be closed by the provider just as we write. The POST is not sent again then, but nobody
  can say whether it arrived, and the shot would wait for a person. So a submit pays for a fresh connection instead.
"""

import asyncio
import mimetypes
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, quote_plus, urlsplit
from uuid import uuid4

import httpx
import msgspec

from framerelay.config.logs import redacted
from framerelay.config.urls import parse_url
from framerelay.runs.errors import (
    FrameRelayError,
    OutcomeUnknown,
    RequestInvalid,
    UpstreamAnswerUnreadable,
    UpstreamRejected,
    UpstreamUnavailable,
)
from framerelay.upstream.answers import find_upload_url, read_object, refusal, refusal_within, says_why, status_within
from framerelay.upstream.complaints import might_name_a_job
from framerelay.upstream.job import JOB_ID_CHARACTERS_MAX, JobReport, read_job
from framerelay.upstream.wire import JobState
from framerelay.upstream.words import CODE_CHARACTERS_MAX, cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that each call may take; ``connect_s`` bounds each step of making the connection."""

    connect_s: float = 10.0
    submit_s: float = 60.0  # A gateway may fetch and check the images before it answers.
    look_up_s: float = 20.0
    upload_s: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitAnswer:
    """The provider has the job: its id, other ids that the answer gave it, its first status word, the whole answer."""

    job_id: str
    status_word: str | None
    raw: Mapping[str, object]
    aliases: tuple[str, ...] = ()


ANSWER_BYTES_MAX = 4 * 1024 * 1024
KEY_CHARACTERS_MIN = 8
KEPT_S = 4.0  # Many servers end a connection that is idle for 5 s, maybe just when we write to it again.

_NOTHING_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class JobsClient:
    """
    One provider, one key; open it once per process (``async with``) and share it.

    *base_url* is the provider's origin with any path prefix, with or without a trailing ``/v1``. The key is sent there
    and nowhere else: redirects are not followed, proxy and netrc variables are not read. An answer that repeats the key
    (some refusals do) is read as if it said ``[key]``.
    *upload_url_path* is a dotted path to the URL in the upload answer (``data.download_url``), for providers that
    call it something else. *refuses_by_503*: a 503 to a submit, in the provider's own words, says that nothing was
    accepted. *tls* replaces the usual certificate authorities, for a gateway that has its own.

    Raises: RequestInvalid for a base URL or key that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        upload_url_path: str | None = None,
        refuses_by_503: bool = True,
        timeouts: Timeouts | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._root = _root(base_url)
        self._upload_url_path = upload_url_path
        self._refuses_by_503 = refuses_by_503
        self._timeouts = timeouts or Timeouts()
        self._key_spellings = _spellings(key)
        headers = {"Authorization": f"Bearer {_usable(key)}", "Accept-Encoding": "identity"}
        tls = tls or httpx.create_ssl_context(trust_env=False)
        self._free = _open(headers, tls, kept_alive=8)
        self._paid = _open(headers, tls, kept_alive=0)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._free.aclose()
        await self._paid.aclose()

    async def submit(
        self, model: str, input: Mapping[str, object], *, idempotency_key: str, leaving: asyncio.Event | None = None
    ) -> SubmitAnswer:
        """
        Submit one job; this spends money. *input* is passed on unchanged, fields that we do not know included.

        Never repeats itself. *leaving* is set before the first byte of the POST is written: whoever cancels it after
        that must treat the outcome as unknown. *idempotency_key* goes out as ``Idempotency-Key``: a provider that
        honours it will not charge twice, the jobs API does not promise that.

        Raises: UpstreamUnavailable if nothing was sent (safe to try again); UpstreamRateLimited and UpstreamRejected
        if the provider clearly refused; OutcomeUnknown for everything else once bytes may have left; RequestInvalid
        for an input that is not JSON.
        Source: the jobs API's page, ``POST /v1/jobs``.
        """
        headers = {"Idempotency-Key": idempotency_key, "Content-Type": "application/json"}
        content = _encode({"model": model, "input": input})
        request = self._paid.build_request("POST", f"{self._root}/v1/jobs", headers=headers, content=content)
        if leaving is not None:
            request.extensions["trace"] = _setting(leaving)
        try:
            answer = await self._exchange(self._paid, request, self._timeouts.submit_s)
        except _NOTHING_SENT as error:
            raise UpstreamUnavailable(f"the provider cannot be reached; nothing was sent ({_words(error)})") from error
        except Exception as error:  # Whatever it was: the POST may have left.
            raise OutcomeUnknown(f"the submit left, and its answer was lost ({_words(error)})") from error
        return _read_submit(answer, refuses_by_503=self._refuses_by_503)

    async def get_job(self, job_id: str) -> JobReport:
        """
        What the provider says about a job now. Costs nothing; may be called as often as its rate allows.

        Raises: UpstreamUnavailable; UpstreamRateLimited; UpstreamRejected (404: no such job, or no longer);
        UpstreamAnswerUnreadable; RequestInvalid for an id that cannot be part of an address.
        Source: the jobs API's page, ``GET /v1/jobs/{id}``.
        """
        request = self._free.build_request("GET", f"{self._root}/v1/jobs/{_segment(job_id)}")
        answer = await self._ask(request, self._timeouts.look_up_s)
        return _read_report(answer, root=self._root)

    async def upload(self, path: Path, *, kind: str, purpose: str) -> str:
        """
        Upload the file at *path* and return its URL, or the id that the provider takes in place of one.

        The file is read whole: inputs are images and short clips. The provider sees a made-up name with the file's
        suffix, since some keep one file per name and serve the older one for a while.

        Raises: UpstreamUnavailable; UpstreamRateLimited; UpstreamRejected if refused or if there is no such endpoint;
        UpstreamAnswerUnreadable if the answer names no URL; OSError if the file cannot be read.
        Source: the jobs API's page, ``POST /v1/files/upload``; its answer is not documented.
        """
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        file = (f"{uuid4().hex}{path.suffix}", await asyncio.to_thread(path.read_bytes), media_type)
        request = self._free.build_request(
            "POST", f"{self._root}/v1/files/upload", data={"kind": kind, "purpose": purpose}, files={"file": file}
        )
        answer = await self._ask(request, self._timeouts.upload_s)
        document = read_object(answer.content)
        try:
            return find_upload_url(document, root=self._root, path=self._upload_url_path)
        except UpstreamAnswerUnreadable as error:
            raise refusal_within(answer.headers, document) or error from error

    async def _ask(self, request: httpx.Request, seconds: float) -> "_Answer":
        """A call that costs nothing: any trouble on the way may pass."""
        try:
            answer = await self._exchange(self._free, request, seconds)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError) as error:
            raise UpstreamUnavailable(f"the provider did not answer ({_words(error)})") from error
        if not answer.is_success:
            raise answer.as_refusal()
        return answer

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request, seconds: float) -> "_Answer":
        """
        One request out, one whole answer in. Another clock than httpx's covers it all, so that a trickle cannot last.

        Raises: what httpx raises; TimeoutError; UpstreamAnswerUnreadable for more than ``ANSWER_BYTES_MAX``, and for a
        2xx with a ``Content-Encoding``, which nobody asked for: a kilobyte of it may unpack to gigabytes.
        """
        connect_s = self._timeouts.connect_s
        request.extensions["timeout"] = httpx.Timeout(seconds, connect=connect_s, pool=connect_s).as_dict()
        async with asyncio.timeout(seconds + 3 * connect_s):
            response = await client.send(request, stream=True)
            try:
                content = await _read_bounded(response)
            finally:
                await response.aclose()
        headers = {name: self._without_key(value.encode()).decode() for name, value in response.headers.items()}
        return _Answer(status=response.status_code, headers=headers, content=self._without_key(content))

    def _without_key(self, content: bytes) -> bytes:
        for spelling in self._key_spellings:
            content = content.replace(spelling, b"[key]")
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def is_in_own_words(self) -> bool:
        """Whether the provider itself speaks: by an error in JSON, or by when to come again."""
        return "retry-after" in self.headers or says_why(self.content)

    def as_refusal(self) -> FrameRelayError:
        return refusal(self.status, self.headers, self.content)


async def _read_bounded(response: httpx.Response) -> bytes:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        if not response.is_success:
            return b""  # Its status says enough; its words are not unpacked.
        shown = cut(encoding, CODE_CHARACTERS_MAX)
        raise UpstreamAnswerUnreadable(f"the provider's answer is encoded ({shown!r}) although asked not to be")
    content = bytearray()
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) > ANSWER_BYTES_MAX:
            raise UpstreamAnswerUnreadable(f"the provider's answer is larger than {ANSWER_BYTES_MAX} bytes")
    return bytes(content)


def _read_report(answer: _Answer, *, root: str) -> JobReport:
    """What a look-up was answered. Raises: as `JobsClient.get_job`, also for what the body alone says."""
    document = read_object(answer.content)
    report = read_job(document, root=root)
    refused = refusal_within(answer.headers, document)
    if refused is not None and _says_nothing_of_a_job(report, refused):
        raise refused
    if report.status_word is None and not report.job_ids and report.video_url is None:
        keys = cut(", ".join(document)) or "none"
        raise UpstreamAnswerUnreadable(f"the provider's answer describes no job; its keys: {keys}")
    return report


def _says_nothing_of_a_job(report: JobReport, refused: FrameRelayError) -> bool:
    """Of "error", a word for a job that has failed, none can tell if it is about the job or about the question."""
    absent = isinstance(refused, UpstreamRejected) and refused.status == 404
    if report.job_ids:
        return report.status_word is None
    return report.state is JobState.UNKNOWN or (absent and report.state is JobState.FAILED)


def _read_submit(answer: _Answer, *, refuses_by_503: bool) -> SubmitAnswer:
    """
    Accepted, clearly refused, or neither.

    Source: RFC 9110, 15.6.4: a 503 says that the server does not handle the request. A bare one may come from a proxy
    that has passed the request on, and so may a 408, 500, 502 and 504.
    """
    if _refuses(answer.status) and (answer.status != 503 or (refuses_by_503 and answer.is_in_own_words)):
        raise answer.as_refusal()
    if not answer.is_success:
        raise OutcomeUnknown(f"the submit may have been accepted: {answer.as_refusal().message}")
    try:
        document = read_object(answer.content)
    except UpstreamAnswerUnreadable as error:
        raise OutcomeUnknown(f"the submit was accepted without a job id: {error.message}") from error
    report = read_job(document)
    if not report.job_ids:
        raise _without_a_job(answer, document, refuses_by_503=refuses_by_503)
    job_id, *aliases = report.job_ids
    return SubmitAnswer(job_id=job_id, status_word=report.status_word, raw=document, aliases=tuple(aliases))


def _without_a_job(answer: _Answer, document: Mapping[str, object], *, refuses_by_503: bool) -> FrameRelayError:
    """What a 2xx to a submit means that names no job: a refusal only where nothing else can be meant."""
    refused, status = refusal_within(answer.headers, document), status_within(document)
    if refused is None or status is None:
        shown = redacted(cut(answer.content.decode("utf-8", errors="replace")))
        return OutcomeUnknown(f"the submit may have been accepted, and its answer holds no job id: {shown}")
    is_clear = status == 200 or (_refuses(status) and (status != 503 or refuses_by_503))
    if not is_clear or might_name_a_job(document):
        return OutcomeUnknown(f"the submit may have been accepted, and its answer holds no job id: {refused.message}")
    return refused


def _refuses(status: int) -> bool:
    return status == 503 or (400 <= status <= 499 and status != 408)


def _setting(leaving: asyncio.Event) -> Callable[[str, object], Awaitable[None]]:
    """For httpcore, which tells each step beforehand; all that is not about the connection is about the request."""

    async def hear(step: str, _: object) -> None:
        if not step.startswith("connection."):
            leaving.set()

    return hear


def _open(headers: Mapping[str, str], tls: ssl.SSLContext, *, kept_alive: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        headers=headers,
        verify=tls,
        trust_env=False,
        follow_redirects=False,
        limits=httpx.Limits(max_connections=64, max_keepalive_connections=kept_alive, keepalive_expiry=KEPT_S),
    )


def _root(base_url: str) -> str:
    """*base_url* without trailing slashes and ``/v1``."""
    try:
        parts, url = urlsplit(base_url.strip()), parse_url(base_url.strip())
        is_usable = url.scheme in ("http", "https") and url.host and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable or parts.query or parts.fragment:
        raise RequestInvalid("the upstream's address must be http(s)://host[:port][/path]", param="base_url")
    if parts.username or parts.password:
        raise RequestInvalid(
            "the upstream's address must not hold a password; the key has its own place", param="base_url"
        )
    return base_url.strip().rstrip("/").removesuffix("/v1").rstrip("/")


def _usable(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise RequestInvalid("the upstream's key must be one word of printable ASCII", param="key")
    return key


def _spellings(key: str) -> tuple[bytes, ...]:
    """How an answer may write *key*; a short one stands in many an answer by chance, and is left there."""
    if len(key) < KEY_CHARACTERS_MIN:
        return ()
    return tuple({each.encode() for each in (key, key.replace("/", "\\/"), quote(key, safe=""), quote_plus(key))})


def _segment(job_id: str) -> str:
    """*job_id* as one segment of a path. Ids come out of callbacks, so they may try to be more than that."""
    if job_id in ("", ".", "..") or len(job_id) > JOB_ID_CHARACTERS_MAX:
        raise RequestInvalid("the job id cannot be part of an address", param="job_id")
    return quote(job_id, safe="", errors="replace")


def _encode(body: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise RequestInvalid(f"the input cannot be written as JSON: {error}", param="input") from error


def _words(error: Exception) -> str:
    """What happened, without the address: its query may hold a secret. What breaks HTTP is not quoted, either."""
    text = str(error)
    if isinstance(error, httpx.RemoteProtocolError):
        text = text.partition(":")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

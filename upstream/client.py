"""
The client of the jobs API: submit a job, look one up, upload a file.

Nothing that costs money is ever sent twice here. ``submit`` sends exactly one POST, on its own connection:

- httpcore 1.0 sends a request again only after ``ConnectionNotAvailable``, which it raises before the first byte is
  written, and connects again only when told to (``retries``, left at 0); httpx sends again only for redirects and auth
  flows, both unused.
- A kept-alive connection may be closed by the provider just as we write. The POST is not sent again then, but nobody
  can say whether it arrived, and the shot would wait for a person. So a submit pays for a fresh connection instead.
"""

import asyncio
import mimetypes
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import httpx

from framerelay.config.urls import host_of, parse_url
from framerelay.runs.errors import (
    OutcomeUnknown,
    RequestInvalid,
    UpstreamAnswerUnreadable,
    UpstreamRejected,
    UpstreamUnavailable,
)
from framerelay.upstream.answers import find_upload_url, read_object, refusal_within
from framerelay.upstream.batch import LookUpBatch
from framerelay.upstream.create_answer import ApiAnswer, SubmitAnswer, read_create_answer
from framerelay.upstream.credentials import base_of, hosts_of, spellings_of, usable_id, usable_key
from framerelay.upstream.hooks import UPLOADS, UploadFile, auth_headers
from framerelay.upstream.job import JobReport
from framerelay.upstream.job_answer import failed_at_last, read_found_job, read_job_answer
from framerelay.upstream.order import Order, create_request, fill_address
from framerelay.upstream.paths import read_path
from framerelay.upstream.pictures import body_bytes_max
from framerelay.upstream.profile import Get, Profile, Then
from framerelay.upstream.profile_file import DEFAULT, load_shipped
from framerelay.upstream.reading import read_entry, read_words
from framerelay.upstream.refusals import is_ok, refusal_by, refusal_inside
from framerelay.upstream.search import LostSubmit, find_in_list
from framerelay.upstream.template import words_in
from framerelay.upstream.timing import time_call
from framerelay.upstream.transport import (
    NOTHING_SENT,
    encode_body,
    open_client,
    read_body,
    set_on_request,
    transport_words,
)
from framerelay.upstream.wire import JobState


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Seconds that each call may take; ``connect_s`` limits each step of making the connection."""

    connect_s: float = 10.0
    submit_s: float = 60.0  # A gateway may fetch and check the images before it answers.
    look_up_s: float = 20.0
    upload_s: float = 120.0


class JobsClient:
    """
    One provider, one key; open it once per process (``async with``) and share it.

    *base_url* is the provider's address, to which its *profile* adds paths; a ``/v1`` at its end may be in both. The
    key is sent there and, unless the address differs from the profile's, to the hosts that the profile names: redirects
    are not followed, proxy and netrc variables are not read. In an answer that repeats the key (some refusals do), it
    is replaced by ``[key]``.
    *upload_url_path* is a dotted path to the URL in the upload answer (``data.download_url``), for providers that call
    it something else. *refuses_by_503*: a 503 to a submit, in the provider's own words, means that nothing was
    accepted. *tls* replaces the usual certificate authorities, for a gateway that has its own. *elsewhere*, which still
    belongs to the caller, opens addresses at other hosts that the provider names for our bytes: it must refuse private
    ones.

    Raises: RequestInvalid for a base URL or key that cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        profile: Profile | None = None,
        upload_url_path: str | None = None,
        refuses_by_503: bool = True,
        timeouts: Timeouts | None = None,
        tls: ssl.SSLContext | None = None,
        elsewhere: httpx.AsyncClient | None = None,
    ) -> None:
        self.profile = profile or load_shipped(DEFAULT)
        self.base = base_of(base_url, self.profile)
        self.hosts = hosts_of(self.base, self.profile)
        self._upload_url_path = upload_url_path
        self._refuses_by_503 = refuses_by_503
        self._timeouts = timeouts or Timeouts()
        self._key = usable_key(key)
        self._key_spellings = spellings_of(key)
        headers = {**self.profile.headers, "Accept-Encoding": "identity"}
        tls = tls or httpx.create_ssl_context(trust_env=False)
        self._free = open_client(headers, tls, kept_alive=8)
        self._submits = open_client(headers, tls, kept_alive=0)
        self._elsewhere = elsewhere or self._free
        batch = self.profile.get.batch
        self._batch = LookUpBatch(batch, self._look_up_many) if batch else None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; a second call does nothing."""
        await self._free.aclose()
        await self._submits.aclose()

    @time_call("submit")
    async def submit(self, order: Order, *, leaving: asyncio.Event | None = None) -> SubmitAnswer:
        """
        Submit one job; this spends money.

        Never repeats itself. *leaving* is set before the first byte of the POST is written: a caller that cancels it
        after that must treat the outcome as unknown. ``order.take`` is sent if the profile has a place for it: a
        provider that honors it will not charge twice; the jobs API does not promise that.

        Raises: UpstreamUnavailable if nothing was sent (safe to try again); UpstreamRateLimited and UpstreamRejected if
        the provider clearly refused; OutcomeUnknown for everything else once bytes may have left; RequestInvalid for an
        order from which no request can be made.
        """
        plan = create_request(self.profile, order)
        headers = {**plan.headers, "Content-Type": "application/json"}
        content, most = encode_body(plan.body), body_bytes_max(self.profile)
        if most is not None and len(content) > most:
            raise RequestInvalid(f"the request has {len(content):,} bytes, and the provider takes {most:,}")
        request = self._request(self._submits, plan.method, plan.url, plan.query, headers, content=content)
        if leaving is not None:
            request.extensions["trace"] = set_on_request(leaving)
        try:
            answer = await self._exchange(self._submits, request, self._timeouts.submit_s)
        except NOTHING_SENT as error:
            raise UpstreamUnavailable(
                f"the provider cannot be reached; nothing was sent ({transport_words(error)})"
            ) from error
        except Exception as error:  # Whatever it was: the POST may have left.
            raise OutcomeUnknown(f"the submit left, and its answer was lost ({transport_words(error)})") from error
        return read_create_answer(self.profile, answer, refuses_by_503=self._refuses_by_503)

    def key_headers(self) -> dict[str, str]:
        """The header that carries the key, for requests to ``hosts``."""
        return auth_headers(self.profile.auth, self._key)

    def is_own(self, url: str) -> bool:
        """
        Whether *url* is at the provider: at another place it would not get the key, and so is not asked.

        If the provider is reached by TLS, its address without TLS is another place: everybody could read the key. A
        provider that is reached without TLS is on this machine or network, where other services use other ports. An
        address with a user in it is refused as well, since that would be sent in place of the key.
        """
        try:
            there, base = parse_url(url), parse_url(self.base)
        except ValueError:
            return False
        if there.userinfo or host_of(url) not in self.hosts:
            return False
        return there.scheme == "https" or (self.is_plain and there.netloc == base.netloc)

    @property
    def is_plain(self) -> bool:
        """Whether it is reached without TLS: on this machine or network, as its address was given."""
        return self.base.lower().startswith("http://")

    @time_call("look_up")
    async def get_job(
        self,
        job_id: str,
        *,
        addresses: Mapping[str, str] | None = None,
        model: str | None = None,
        is_patient: bool = False,
    ) -> JobReport:
        """
        What the provider says about a job now. Costs nothing; may be called as often as its rate allows.

        *addresses*: those in the answer to the submit, if the profile uses them; *model*: of the job, for addresses
        that are made if none was named. *is_patient*: it may wait a moment for others that are asked about in the same
        GET.
        Raises: UpstreamUnavailable; UpstreamRateLimited; UpstreamRejected (404: no such job, or no longer);
        UpstreamAnswerUnreadable; RequestInvalid for an id that cannot be part of an address.
        """
        words: dict[str, object] = {"id": usable_id(job_id), "id_path": job_id}
        words |= {"model": model, "app": "/".join((model or "").split("/")[:2]) or None}
        words |= {f"kept.{name}": url for name, url in (addresses or {}).items()}
        if is_patient and self._batch is not None:
            answer = await self._batch.answer(job_id)
        else:
            answer = await self._look_up(_address(self.profile.get, words), words)
        report = read_job_answer(self.profile, answer, root=self.base)
        then = self.profile.read.then if self.profile.read else None
        if then is None or report.state is not JobState.SUCCEEDED or report.video_url is not None:
            return report
        return await self._result(then, report, words | read_words(self.profile, answer.document() or {}))

    @time_call("find")
    async def find_job(self, submit: LostSubmit) -> JobReport | None:
        """
        The job of a submit that broke off, by our reference or in the provider's list; None if it has none (yet).

        A job that does not show the reference is not taken for ours: a provider that does not know the query returns
        any job.

        Raises: as `get_job`.
        """
        reference, listing = self.profile.recover.reference, self.profile.recover.list
        if reference != "none" and reference.get is not None:
            return await self._find_by_reference(reference.get, submit.take)
        if listing == "none":
            return None
        entry = await find_in_list(self._ask_list, listing, submit)
        report = read_entry(self.profile, entry, root=self.base) if entry else None
        return report if report is not None and report.job_ids else None

    async def _ask_list(
        self, method: str, address: str, body: object, words: Mapping[str, object]
    ) -> dict[str, object]:
        content = {} if body is None else {"json": body}
        request = self._request(self._free, method, fill_address(address, words), {}, {}, **content)
        return read_object((await self._ask(request)).content)

    async def _find_by_reference(self, address: str, take: str) -> JobReport | None:
        answer = await self._look_up(address, {"take": take})
        try:
            report = read_found_job(self.profile, answer, take, root=self.base)
        except UpstreamRejected as error:
            if error.status == 404:
                return None
            raise
        return report if report.job_ids else None

    async def _look_up(self, address: str, words: Mapping[str, object]) -> ApiAnswer:
        """A GET of *address*, a template; returns any answer."""
        request = self._request(self._free, "GET", fill_address(address, words), {}, {})
        return await self._exchange_freely(request, self._timeouts.look_up_s)

    async def _look_up_many(self, job_ids: str) -> ApiAnswer:
        return await self._look_up(self.profile.get.get, {"id": job_ids})

    async def _result(self, then: Then, report: JobReport, words: Mapping[str, object]) -> JobReport:
        """The second GET, for a job that is done: where its clip is."""
        answer = await self._look_up(_address(then, words), words)
        if then.http_error == "failed" and 400 <= answer.status <= 499 and answer.status not in (404, 408, 429):
            return failed_at_last(self.profile, report, answer.status, answer.document() or {})
        result = read_job_answer(self.profile, answer, root=self.base)
        return replace(
            report,
            video_url=result.video_url,
            last_frame_url=result.last_frame_url or report.last_frame_url,
            seed=result.seed if report.seed is None else report.seed,
        )

    @time_call("upload")
    async def upload(self, path: Path, *, kind: str, purpose: str) -> str:
        """
        Upload the file at *path* and return its URL, or the id that the provider takes instead of one.

        The file is read whole: inputs are images and short clips. The provider sees a made-up name with the file's
        suffix, since some keep one file per name and serve the older one for a while.

        Raises: UpstreamUnavailable; UpstreamRateLimited; UpstreamRejected if refused or if there is no such endpoint;
        UpstreamAnswerUnreadable if the answer names no URL; OSError if the file cannot be read.
        """
        upload = self.profile.media.upload
        if upload is None:
            raise UpstreamRejected("the provider takes no uploads", status=404)
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        name, content = f"{uuid4().hex}{path.suffix}", await asyncio.to_thread(path.read_bytes)
        words = {"name": name, "type": media_type, "kind": kind, "purpose": purpose}
        file = UploadFile(name=name, content=content, media_type=media_type)
        document = await UPLOADS[upload.kind](self, upload, file, words)
        if upload.id is not None and (job_id := read_path(upload.id).find(document, document)) is not None:
            return str(job_id)
        if upload.url is not None and isinstance(url := read_path(upload.url).find(document, document), str):
            return url
        return self._uploaded_url(document)

    async def post_upload(self, address: str, **content: Any) -> dict[str, object]:
        """
        A POST with our key that costs nothing, and its answer; *content* as httpx takes it.

        Raises: UpstreamUnavailable; UpstreamRateLimited; UpstreamRejected; UpstreamAnswerUnreadable.
        """
        request = self._request(self._free, "POST", address, {}, {}, **content)
        answer = await self._ask(request)
        document = read_object(answer.content)
        if not is_ok(self.profile.create.ok_if, document):
            raise refusal_inside(self.profile, answer.headers, document)
        return document

    async def send_elsewhere(self, method: str, address: str, **content: Any) -> None:
        """
        Send bytes to an address that the provider signed for us, without our key; *content* as httpx takes it.

        Raises: as `post_upload`; AddressForbidden for a private address, unless that is the provider's own host.
        """
        client = self._free if self.is_own(address) else self._elsewhere
        headers = {"Accept-Encoding": "identity", **content.pop("headers", {})}
        await self._ask(client.build_request(method, address, headers=headers, **content), client)

    def _uploaded_url(self, document: Mapping[str, object]) -> str:
        try:
            return find_upload_url(document, root=self.base, path=self._upload_url_path)
        except UpstreamAnswerUnreadable as error:
            raise refusal_within({}, document) or error from error

    def _request(
        self,
        client: httpx.AsyncClient,
        method: str,
        address: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        **content: Any,
    ) -> httpx.Request:
        """A request with our key, which is only sent to the provider's own hosts. Raises: UpstreamAnswerUnreadable."""
        url = f"{self.base}{address}" if address.startswith("/") else address
        if not self.is_own(url):
            raise UpstreamAnswerUnreadable(f"the provider names an address that is not its own: {host_of(url)}")
        own_headers = {**headers, **self.key_headers()}
        return client.build_request(method, url, params=query or None, headers=own_headers, **content)

    async def _exchange_freely(
        self, request: httpx.Request, seconds: float, client: httpx.AsyncClient | None = None
    ) -> ApiAnswer:
        """A call that costs nothing, with any answer. Raises: UpstreamUnavailable: any trouble may pass."""
        try:
            return await self._exchange(client or self._free, request, seconds)
        except (httpx.HTTPError, httpx.StreamError, TimeoutError) as error:
            raise UpstreamUnavailable(f"the provider did not answer ({transport_words(error)})") from error

    async def _ask(self, request: httpx.Request, client: httpx.AsyncClient | None = None) -> ApiAnswer:
        """A call that costs nothing; only a 2xx counts as an answer."""
        answer = await self._exchange_freely(request, self._timeouts.upload_s, client)
        if not answer.is_success:
            raise refusal_by(self.profile, answer.status, answer.headers, answer.content, answer.document())
        return answer

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request, seconds: float) -> ApiAnswer:
        """
        One request out, one whole answer in. A timeout besides httpx's covers all of it, so that a slow trickle cannot
        last.

        Raises: what httpx raises; TimeoutError; UpstreamAnswerUnreadable for more than ``ANSWER_BYTES_MAX``, and for a
        2xx with a ``Content-Encoding``, which nobody asked for: a kilobyte of it may unpack to gigabytes.
        """
        connect_s = self._timeouts.connect_s
        request.extensions["timeout"] = httpx.Timeout(seconds, connect=connect_s, pool=connect_s).as_dict()
        async with asyncio.timeout(seconds + 3 * connect_s):
            response = await client.send(request, stream=True)
            try:
                content = await read_body(response)
            finally:
                await response.aclose()
        headers = {name: self._without_key(value.encode()).decode() for name, value in response.headers.items()}
        return ApiAnswer(status=response.status_code, headers=headers, content=self._without_key(content))

    def _without_key(self, content: bytes) -> bytes:
        for spelling in self._key_spellings:
            content = content.replace(spelling, b"[key]")
        return content


def _address(rules: Get | Then, words: Mapping[str, object]) -> str:
    """The template of a look-up: if it names an address from the answer to the create, it needs that answer."""
    is_known = all(words.get(word) is not None for word in words_in(rules.get))
    return rules.get if is_known or rules.fallback is None else rules.fallback

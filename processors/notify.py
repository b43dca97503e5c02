"""
Sending notifications: signed, to public addresses only, for up to a day, and independently of everything else.

They are not tasks: a sender in each worker takes what is due from `store.outbox`. So a receiver that hangs blocks a few
of the sender's slots, and none of those in which films are made.
"""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import httpx
import msgspec
import structlog
from starlette.datastructures import Secret

from framerelay.config.logs import redact
from framerelay.config.metrics import NOTIFICATIONS
from framerelay.config.urls import host_of
from framerelay.config.waiting import wait_within
from framerelay.network.signing import signed_headers
from framerelay.runs.errors import AddressForbidden, Conflict, NotFound, StoreUnavailable
from framerelay.runs.events import NotificationSettled
from framerelay.runs.model import Problem
from framerelay.runs.notice_kinds import NotificationState
from framerelay.runs.notices import Notice
from framerelay.store.outbox import Delivery, NoticeClaim, Outbox
from framerelay.store.progress import record
from framerelay.store.runs import Store
from framerelay.upstream.answers import read_retry_after

LADDER_S: Final = (5.0, 60.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0)
"""Before the second try, the third, …; the last one repeats until a day is over."""
GIVEN_UP_AFTER_S: Final = 86_400.0
ASKED_S_MAX: Final = 21_600.0  # A ``Retry-After`` beyond this would use up the day.
CONNECT_S: Final = 5.0
ANSWER_S: Final = 15.0  # For a whole try: Standard Webhooks asks for 15 to 30 s.
LEASE_S: Final = 30.0
HANDS: Final = 16
HANDS_PER_HOST: Final = 4
IDLE_S: Final = 3.0
FAREWELL_S: Final = 2.0  # What is under way when the worker ends may still be answered.

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """The outcome of one POST; *refusal*: why nothing was sent, which waiting does not change."""

    words: str
    status: int | None = None
    retry_after_s: float | None = None
    refusal: str | None = None


class NotificationSender:
    """Sends what is due; `wake` tells it that there may be something."""

    def __init__(
        self, outbox: Outbox, store: Store, http: httpx.AsyncClient, *, secrets: tuple[Secret, ...], base_url: str
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._http = http
        self._secrets = secrets
        self._base_url = base_url
        self._wake_up = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()
        self._hosts: Counter[str] = Counter()

    def sign_with(self, secrets: tuple[Secret, ...]) -> None:
        """From the next try on; a receiver that changes its secret has both for a while."""
        self._secrets = secrets

    def wake(self) -> None:
        """Look at once."""
        self._wake_up.set()

    async def deliver(self) -> None:
        """For as long as the worker lives."""
        try:
            while True:
                self._wake_up.clear()
                rest_s = IDLE_S
                try:
                    rest_s = await self._start_due()
                except StoreUnavailable as error:
                    log.warning("notifications_put_off", reason=error.message)
                except Exception as error:  # An unforeseen error must not end it for good.
                    log.exception("notifications_surprised", reason=str(error))
                await wait_within(self._wake_up, rest_s)
        finally:
            await self._drain()

    async def _start_due(self) -> float:
        """Begin as many as there are free slots; returns how long to rest if nothing wakes us."""
        room = HANDS - len(self._under_way)
        if not room:
            return IDLE_S
        claims, next_in_s = await self._outbox.claim(room=room, lease_s=LEASE_S)
        by_host: Counter[str] = Counter()
        for each in claims:
            host = host_of(each.notice.to)
            if self._hosts[host] < HANDS_PER_HOST:
                self._start(each, host)
            else:  # Others must not wait behind one that hangs.
                await self._outbox.put_back(each, wait_s=1.0 + by_host[host] // HANDS_PER_HOST)
                by_host[host] += 1
        return min(IDLE_S, max(0.01, next_in_s)) if next_in_s is not None else IDLE_S

    def _start(self, claim: NoticeClaim, host: str) -> None:
        self._hosts[host] += 1
        task = asyncio.create_task(self._send(claim, host))
        self._under_way.add(task)

        def note_end(task: asyncio.Task[None]) -> None:
            self._under_way.discard(task)
            self._hosts[host] -= 1
            if not task.cancelled() and (error := task.exception()):
                log.error("notifications_surprised", reason=redact(repr(error)))
            self.wake()

        task.add_done_callback(note_end)

    async def _send(self, claim: NoticeClaim, host: str) -> None:
        """One try, and what follows from it. If Redis does not accept that, the lease ends and it is sent again."""
        notice, began, start = claim.notice, time.time(), time.monotonic()
        answer = await self._post(notice, began)
        took_ms = round((time.monotonic() - start) * 1000)
        state, next_s = _what_follows(claim, answer, now=time.time())
        delivery = Delivery(at=began, status=answer.status, outcome=answer.words, took_ms=took_ms)
        line = {"notification_id": notice.id, "type": notice.type.value, "run_id": notice.run_id, "to_host": host}
        NOTIFICATIONS.add("put_off" if next_s is not None else state.value)
        tell = log.info if state is NotificationState.DELIVERED else log.warning
        tell(
            "notification_put_off" if next_s is not None else f"notification_{state.value}",
            **line,
            outcome=answer.words,
            tried=claim.tries + 1,
            took_ms=took_ms,
            **({} if next_s is None else {"wait_s": round(next_s)}),
        )
        try:
            await self._outbox.settle(claim, delivery, state, wait_s=next_s)
            await self._tell_run(notice.run_id, answer)
        except StoreUnavailable as error:
            log.warning("notification_not_recorded", **line, reason=error.message)

    async def _tell_run(self, run_id: str, answer: _Outcome) -> None:
        """People who look at the run must learn that nothing is sent; the log of deliveries is seldom read."""
        problem = Problem(code=AddressForbidden.code, message=answer.refusal) if answer.refusal else None
        with suppress(NotFound, Conflict):  # It was removed, or so much happens to it that the next one will say so.
            await record(self._store, run_id, NotificationSettled(problem=problem))

    async def _post(self, notice: Notice, now: float) -> _Outcome:
        body = body_of(notice, base_url=self._base_url)
        headers = signed_headers(self._secrets, name=notice.id, at=int(now), body=body)
        headers |= {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        try:
            # The answer's body is not read: it has nothing to say, and may have no end.
            async with (
                asyncio.timeout(ANSWER_S),
                self._http.stream("POST", notice.to, content=body, headers=headers) as answer,
            ):
                status, wait = answer.status_code, answer.headers.get("retry-after")
                retry_after_s = read_retry_after(wait, now=datetime.now(UTC))
                return _Outcome(words=_words_for(status), status=status, retry_after_s=retry_after_s)
        except AddressForbidden as error:
            refusal = redact(error.message)
            return _Outcome(words=f"not sent: {refusal}", refusal=refusal)
        except (httpx.InvalidURL, ValueError):  # Stored by a version that did not check it.
            refusal = "it is not an address that can be opened"
            return _Outcome(words=f"not sent: {refusal}", refusal=refusal)
        except httpx.ConnectTimeout:
            return _Outcome(words=f"no connection within {CONNECT_S:.0f} s")
        except (TimeoutError, httpx.TimeoutException):
            return _Outcome(words=f"no answer within {ANSWER_S:.0f} s")
        except httpx.ConnectError as error:
            return _Outcome(words=f"no connection: {redact(str(error))[:200]}")
        except (httpx.HTTPError, OSError):
            return _Outcome(words="the connection broke before an answer came")

    async def _drain(self) -> None:
        """Anything not answered by then is sent again when its lease ends."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=FAREWELL_S)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)


def _what_follows(claim: NoticeClaim, answer: _Outcome, *, now: float) -> tuple[NotificationState, float | None]:
    """Its state, and in how many seconds it is retried, if it is."""
    if answer.refusal:
        return NotificationState.REFUSED, None
    if answer.status is not None and 200 <= answer.status < 300:
        return NotificationState.DELIVERED, None
    if answer.status == httpx.codes.GONE:
        return NotificationState.GONE, None
    wait_s = send_wait_s(claim.tries, age_s=now - claim.since, retry_after_s=answer.retry_after_s)
    return (NotificationState.GIVEN_UP, None) if wait_s is None else (NotificationState.WAITING, wait_s)


def send_wait_s(tries: int, *, age_s: float, retry_after_s: float | None = None) -> float | None:
    """
    Seconds until the next try, after *tries* before the one that failed; None: a day has passed, it is given up.

    A step of the ladder with up to a tenth of jitter either way; never less than what the receiver asked for, up to six
    hours. The last try is when the day ends.
    """
    left_s = GIVEN_UP_AFTER_S - age_s
    if left_s <= 0:
        return None
    rung_s = LADDER_S[min(tries, len(LADDER_S) - 1)]
    asked_s = min(retry_after_s or 0.0, ASKED_S_MAX)
    jitter = 0.9 + random.random() / 5  # noqa: S311  (spreads load; not a secret)
    return min(max(rung_s * jitter, asked_s), left_s)


def body_of(notice: Notice, *, base_url: str) -> bytes:
    """What is sent: what happened, and where to look; its address does not expire."""
    data: dict[str, object] = {"run": notice.run_id, "status": notice.status}
    data["url"] = f"{base_url}/runs/{notice.run_id}"
    data |= {"shot": notice.shot_id} if notice.shot_id is not None else {}
    data |= {"labels": notice.labels} if notice.labels else {}
    data |= {"pass": "draft"} if notice.is_draft else {}
    moment = datetime.fromtimestamp(notice.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return msgspec.json.encode({"type": notice.type.value, "timestamp": moment, "data": data})


def _words_for(status: int) -> str:
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed"
    return f"answered {status}"

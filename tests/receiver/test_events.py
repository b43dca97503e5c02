"""``GET /v1/runs/{id}/events``: each change once, from wherever a reader left off, until the run has ended."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest

from framerelay.receiver.door.limits import STREAMS_MAX
from framerelay.store.runs import Store

pytestmark = pytest.mark.anyio


async def events_of(relay: Any, run_id: str, **headers: str) -> AsyncIterator[dict[str, Any]]:
    """Each event as ``{"id", "event", "data"}``, until the stream ends."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    async with relay.api.stream("GET", f"/v1/runs/{run_id}/events", headers=fields) as answer:
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        event: dict[str, Any] = {}
        async for line in answer.aiter_lines():
            if line == "" and event:
                yield {**event, "data": json.loads(event["data"])}
                event = {}
            elif line and not line.startswith(":"):
                name, _, value = line.partition(": ")
                event[name] = value


async def test_a_watcher_gets_each_change_as_it_happens(relay: Any, board: Any, render: Any) -> None:
    """In order, once, with the revision that it made; the stream ends when the run has ended."""
    run_id = await relay.run(board)
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        async for event in events_of(relay, run_id):
            events.append(event)
            if event["event"] == "started":
                await render(run_id, "s1")
            if event["event"] == "collected":
                await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve")
            if event["event"] == "approved":
                await relay.api.post(f"/v1/runs/{run_id}/cancel")

    names = [event["event"] for event in events]
    assert names == ["started", "submitting", "submitted", "rendered", "collected", "approved", "run_cancelled"]
    assert [event["data"]["revision"] for event in events] == list(range(7))
    assert [event["data"]["event"] for event in events] == names
    assert events[1]["data"].items() >= {"shot": "s1", "take": 1, "status": "running"}.items()
    assert events[-1]["data"]["status"] == "cancelled"
    assert len({event["id"] for event in events}) == 7


async def test_a_watcher_that_comes_back_gets_what_it_missed(relay: Any, finish: Any) -> None:
    """By header, as browsers do, or by query; nothing twice, nothing left out."""
    run_id = await finish()
    everything = [event async for event in events_of(relay, run_id)]
    assert [event["event"] for event in everything][-1] == "joined"

    for number, event in enumerate(everything[:-1]):
        rest = [each async for each in events_of(relay, run_id, Last_Event_ID=event["id"])]
        assert rest == everything[number + 1 :]
    query = await relay.api.get(f"/v1/runs/{run_id}/events", params={"after": everything[-2]["id"]})
    assert query.text.count("id: ") == 1


async def test_a_stream_of_an_ended_run_ends_at_once(relay: Any, finish: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what cannot come."""
    run_id = await finish()
    history, in_vain = Store.history, []

    async def watch(self: Store, run_id: str, *, after: str, wait_s: float) -> Any:
        events = await history(self, run_id, after=after, wait_s=wait_s)
        in_vain.extend([wait_s] if wait_s and not events else [])
        return events

    monkeypatch.setattr(Store, "history", watch)
    events = [event async for event in events_of(relay, run_id)]

    assert len(events) == 6
    assert in_vain == []


async def test_a_reader_that_has_seen_the_end_is_told_to_stay_away(relay: Any, finish: Any) -> None:
    """204 ends a browser's reconnecting."""
    run_id = await finish()
    last = [event async for event in events_of(relay, run_id)][-1]["id"]
    answer = await relay.api.get(f"/v1/runs/{run_id}/events", headers={"Last-Event-ID": last})

    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_malformed_event_id_is_422(relay: Any, board: Any) -> None:
    """Before Redis is asked with it."""
    run_id = await relay.run(board)
    for name in ("x", "1-", "-1", "1-2-3", "²", "9" * 30, "$", "+", "1 2"):
        answer = await relay.api.get(f"/v1/runs/{run_id}/events", params={"after": name})
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, "Last-Event-ID"), name


async def test_sixty_idle_watchers_keep_no_callback_waiting(relay: Any, board: Any, take_address: Any) -> None:
    """Watchers read through connections of their own; closing them all leaves nothing behind."""
    run_id = await relay.run(board)
    limits = httpx.Limits(max_connections=100)
    headers, base_url = dict(relay.api.headers), relay.settings.listen_url
    async with httpx.AsyncClient(base_url=base_url, headers=headers, trust_env=False, limits=limits) as http:
        streams = [http.stream("GET", f"/v1/runs/{run_id}/events") for _ in range(60)]
        answers = await asyncio.gather(*(stream.__aenter__() for stream in streams))
        lines = [answer.aiter_lines() for answer in answers]
        assert {await anext(each) for each in lines} != set()

        callbacks = (relay.api.post(take_address("s1", number), json={"id": "job_1"}) for number in range(20))
        assert {answer.status_code for answer in await asyncio.gather(*callbacks)} == {200}
        assert (await relay.api.get(f"/v1/runs/{run_id}")).status_code == 200

        await relay.api.post(f"/v1/runs/{run_id}/cancel")
        async with asyncio.timeout(60):
            rests = await asyncio.gather(*(_rest(each) for each in lines))
        assert all(any("run_cancelled" in line for line in rest) for rest in rests)
        await asyncio.gather(*(stream.__aexit__(None, None, None) for stream in streams))


async def test_streams_are_bounded_and_starve_nobody(
    relay: Any, board: Any, take_address: Any, wait_until: Any
) -> None:
    """One too many is 503 with a sentence; figures stay true, and a seat that is left is free again."""
    run_id = await relay.run(board)
    path = f"/v1/runs/{run_id}/events"
    async with (
        httpx.AsyncClient(
            base_url=relay.settings.listen_url,
            headers=relay.api.headers,
            trust_env=False,
            timeout=120,
            limits=httpx.Limits(max_connections=None),
        ) as http,
        AsyncExitStack() as stack,
    ):
        streams = [await stack.enter_async_context(http.stream("GET", path)) for _ in range(STREAMS_MAX)]
        assert {stream.status_code for stream in streams} == {200}
        assert streams[0].headers["X-Accel-Buffering"] == "no"  # A proxy would gather events into lumps.
        response = await relay.api.get(path)
        figures = (await relay.api.get("/metrics")).text
        callback = await relay.api.post(take_address(), json={"id": "job_1"})
        await relay.api.post(f"/v1/runs/{run_id}/cancel")

    assert (response.status_code, response.json()["error"]["code"]) == (503, "busy")
    assert "too many event streams" in response.json()["error"]["message"]
    assert int(response.headers["Retry-After"]) >= 1
    assert "framerelay_redis_up 1" in figures
    assert "framerelay_queue " in figures
    assert callback.status_code == 200

    async def is_free() -> bool:
        return (await relay.api.get(path)).status_code == 200

    await wait_until(is_free, "a seat is free")


async def _rest(lines: AsyncIterator[str]) -> list[str]:
    return [line async for line in lines]

"""Notifications of a run, as their receiver gets them: signed, repeated until accepted, and never in the film's way."""

import asyncio
import io
import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from arq.connections import ArqRedis
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.datastructures import Secret
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.cli.http import listening_on, serving
from framerelay.config.logs import configure_logging
from framerelay.network.signing import signing_secrets
from framerelay.processors import notify
from framerelay.runs.model import RunId
from framerelay.store.outbox import Outbox
from framerelay.store.progress import start
from framerelay.storyboards.storyboard import check_storyboard, start_run
from framerelay.storyboards.terms import terms_of

pytestmark = pytest.mark.anyio

GIVEN = "whsec_bm90IGEgc2VjcmV0LCBvbmx5IGZvciB0ZXN0cyE="
OTHER = "whsec_YW5vdGhlciBvbmUgdGhhdCBpcyBvbmx5IGZvciB0ZXN0cw=="
GATED: dict[str, Any] = {"title": "t", "model": "m", "shots": [{"id": "s1", "prompt": "雨夜", "gate": "approve"}]}
TWO: dict[str, Any] = {"title": "t", "model": "m", "shots": [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}]}


@dataclass(slots=True)
class Ear:
    """A receiver of notifications: what it heard, and what it answers, the last for all that follow."""

    url: str = ""
    answers: list[Response] = field(default_factory=lambda: [Response(status_code=204)])
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    silent: bool = False

    @property
    def types(self) -> list[str]:
        """Of all that was heard."""
        return [json.loads(body)["type"] for _, body in self.requests]

    @property
    def ids(self) -> list[str]:
        """Of all that was heard."""
        return [headers["webhook-id"] for headers, _ in self.requests]


@asynccontextmanager
async def an_ear(*answers: int | Response) -> AsyncIterator[Ear]:
    ear = Ear()
    if answers:
        ear.answers = [each if isinstance(each, Response) else Response(status_code=each) for each in answers]

    async def hear(request: Request) -> Response:
        ear.requests.append((dict(request.headers), await request.body()))
        while ear.silent:
            await asyncio.sleep(0.05)
        return ear.answers.pop(0) if len(ear.answers) > 1 else ear.answers[0]

    with listening_on("127.0.0.1", 0) as listener:
        async with serving(Starlette(routes=[Route("/{path:path}", hear, methods=["GET", "POST"])]), listener):
            ear.url = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/framerelay"
            try:
                yield ear
            finally:
                ear.silent = False


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once."""
    monkeypatch.setattr(notify, "LADDER_S", (0.01,))


@pytest.fixture
async def outbox(redis: ArqRedis) -> Outbox:
    """What the workers send from."""
    return Outbox(redis)


def states(page: httpx.Response) -> list[str]:
    return [each["state"] for each in page.json()["data"]]


async def test_a_receiver_verifies_them_with_the_published_library(
    start_provider: Any, start_relay: Any, wait_until: Any
) -> None:
    """One for each shot and one for the end; what was changed on the way, or signed by another, is refused."""
    async with (
        an_ear() as ear,
        start_provider() as provider,
        start_relay(provider.url, notify_secret=(Secret(OTHER), Secret(GIVEN))) as relay,
    ):
        run_id = await relay.run({**TWO, "notify_url": ear.url})
        run = await relay.wait_for_end(run_id)
        await wait_until(lambda: len(ear.requests) == 3, "all is told")
        notifications = (await relay.api.get("/v1/notifications", params={"run": run_id})).json()["data"]

    assert run["status"] == "succeeded", run["error"]
    assert sorted(ear.types) == ["run.succeeded", "shot.succeeded", "shot.succeeded"]
    assert {each["id"] for each in notifications} == set(ear.ids)
    for secret in (GIVEN, OTHER):
        for headers, body in ear.requests:
            message = Webhook(secret).verify(body.decode(), headers)
            assert message["data"]["run"] == run_id
            assert message["data"]["url"] == f"{relay.settings.listen_url}/runs/{run_id}"
    assert {json.loads(body)["data"].get("shot") for _, body in ear.requests} == {None, "s1", "s2"}
    headers, body = ear.requests[0]
    with pytest.raises(WebhookVerificationError):
        Webhook(GIVEN).verify(body.decode().replace("succeeded", "failed"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "A" * 44).verify(body.decode(), headers)


async def test_without_a_secret_of_its_own_one_is_derived_from_ours(start_relay: Any, wait_until: Any) -> None:
    """Nobody has to set anything; the command prints it."""
    async with an_ear() as ear, start_relay("http://127.0.0.1:9") as relay:
        await relay.run({**GATED, "labels": {"project": "rain"}, "pass": "draft", "notify_url": ear.url})
        await wait_until(lambda: ear.requests, "it is told")
        (secret,) = signing_secrets(relay.settings, Secret("only for tests"))

    headers, body = ear.requests[0]
    message = Webhook(str(secret)).verify(body.decode(), headers)
    assert (message["type"], message["data"]["status"], message["data"]["shot"]) == ("run.waiting", "waiting", "s1")
    assert (message["data"]["labels"], message["data"]["pass"]) == ({"project": "rain"}, "draft")


async def test_an_ear_that_fails_and_recovers_gets_it_under_one_id(
    start_relay: Any, wait_until: Any, quickly: None
) -> None:
    """A redirect is a failure, too, and is not followed; each try is in the delivery log."""
    redirect = Response(status_code=302, headers={"Location": "/elsewhere"})
    async with an_ear(500, redirect, 204) as ear, start_relay("http://127.0.0.1:9") as relay:
        await relay.run({**GATED, "notify_url": ear.url})
        await wait_until(lambda: len(ear.requests) == 3, "the third try")

        async def settled() -> bool:
            return states(await relay.api.get("/v1/notifications")) == ["delivered"]

        await wait_until(settled, "it is delivered")
        (notification,) = (await relay.api.get("/v1/notifications")).json()["data"]

    assert len(set(ear.ids)) == 1
    assert [each["outcome"] for each in notification["deliveries"]] == [
        "answered 500",
        "answered 302; redirects are not followed",
        "answered 204",
    ]
    assert [each["status"] for each in notification["deliveries"]] == [500, 302, 204]
    assert (notification["id"], notification["host"], notification["next_try"]) == (ear.ids[0], "127.0.0.1", None)


@pytest.mark.parametrize(("answer", "state"), [(410, "gone"), (500, "given_up")])
async def test_an_ear_that_refuses_or_is_dead_for_a_day_gets_nothing_until_asked(
    start_relay: Any, wait_until: Any, quickly: None, monkeypatch: Any, answer: int, state: str
) -> None:
    """410 ends it at once, a day of failures as well; a replay sends the same one again."""
    monkeypatch.setattr(notify, "GIVEN_UP_AFTER_S", 0.0)
    async with an_ear(answer, 204) as ear, start_relay("http://127.0.0.1:9") as relay:
        await relay.run({**GATED, "notify_url": ear.url})

        async def is_in(state: str) -> bool:
            return states(await relay.api.get("/v1/notifications")) == [state]

        await wait_until(lambda: is_in(state), state)
        (notification,) = (await relay.api.get("/v1/notifications")).json()["data"]
        again = await relay.api.post(f"/v1/notifications/{notification['id']}/replay")
        await wait_until(lambda: is_in("delivered"), "the replay is delivered")

    assert (notification["next_try"], len(notification["deliveries"])) == (None, 1)
    assert again.status_code == 200, again.text
    assert ear.ids == [notification["id"]] * 2


async def test_a_receiver_that_hangs_does_not_hold_up_the_film(start_provider: Any, start_relay: Any) -> None:
    """Even with one task at a time: the film is done while not one notification has its answer."""
    shots = [{"id": f"s{number}", "prompt": "a", "from": "cut"} for number in range(6)]
    async with an_ear() as ear, start_provider() as provider:
        ear.silent = True
        async with start_relay(provider.url, tasks_max=1) as relay:
            run = await relay.wait_for_end(await relay.run({**TWO, "shots": shots, "notify_url": ear.url}))
            notifications = (await relay.api.get("/v1/notifications")).json()["data"]
            ear.silent = False

    assert run["status"] == "succeeded", run["error"]
    assert [each["deliveries"] for each in notifications] == [[]] * 7
    assert 0 < len(ear.requests) <= notify.HANDS_PER_HOST


SAVES_AND_DIES = """
import asyncio, os, signal, sys
from framerelay.runs.model import Run, RunId, Shot, Terms
from framerelay.store.progress import start
from framerelay.store.client import connect
from framerelay.store.runs import Store

async def main():
    shot = Shot(id="s1", scene="a", origin="continue", source=None, input={}, gated=True)
    run = Run(id=RunId("run_1"), title="t", model="m", created_at=1, updated_at=1, shots=(shot,), terms=Terms(),
              notify_url=sys.argv[2])
    await start(Store(connect(sys.argv[1])), run)
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_a_saved_change_is_announced_though_the_process_died_right_after(
    redis_url: str, start_relay: Any, wait_until: Any
) -> None:
    """Killed between save and send: the notification is part of the save, and another worker finds it."""
    async with an_ear() as ear:
        command = [sys.executable, "-c", SAVES_AND_DIES, redis_url, ear.url]
        process = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60)
        assert process.returncode == -9, process.stderr
        assert ear.requests == []
        async with start_relay("http://127.0.0.1:9"):
            await wait_until(lambda: ear.types == ["run.waiting"], "it is told")


async def test_a_try_whose_worker_died_is_made_again(
    outbox: Outbox, start_relay: Any, wait_until: Any, monkeypatch: Any
) -> None:
    """A lease that ended: nobody knows if it was heard, so it is sent, under the same id."""
    async with an_ear() as ear, start_relay("http://127.0.0.1:9", worker=False) as relay:
        await relay.run({**GATED, "notify_url": ear.url})
        (dead,), _ = await outbox.claim(room=5, lease_s=0.5)
        assert (await outbox.claim(room=5, lease_s=0.5))[0] == []
        async with start_relay("http://127.0.0.1:9"):
            await wait_until(lambda: ear.ids == [dead.notice.id], "it is told")


async def test_nothing_is_sent_to_an_address_that_is_not_public(start_relay: Any, wait_until: Any) -> None:
    """
    Our own network is not reached by a `notify_url`, however it is written. A run that has it all the same (its name
    led outside when it was started, or its host was trusted then) says so itself, until something was sent.
    """
    async with an_ear() as ear:
        async with start_relay("http://127.0.0.1:9", trusted_hosts=frozenset()) as relay:
            host = httpx.URL(ear.url).netloc.decode()
            expected = {
                f"http://{host}/x": "127.0.0.1 would be contacted without encryption; it is not a trusted host",
                "https://127.0.0.1/x": "127.0.0.1 leads to 127.0.0.1, which is not a public address",
                "https://2130706433/x": "2130706433 leads to 127.0.0.1, which is not a public address",
                "https://[::ffff:169.254.169.254]/x": "which is not a public address",
            }
            runs = {}
            for number, (address, words) in enumerate(expected.items()):
                answer = await relay.api.post("/v1/runs", json={**GATED, "notify_url": address})
                assert (answer.status_code, answer.json()["error"]["param"]) == (422, "notify_url")
                board = check_storyboard({**GATED, "notify_url": address})
                run_id = RunId("run_" + "abcd"[number] * 24)
                await start(
                    relay.store, start_run(board, run_id=run_id, now=time.time(), terms=terms_of(relay.settings))
                )
                runs[run_id] = words

            async def refused() -> bool:
                return states(await relay.api.get("/v1/notifications")) == ["refused"] * 4

            async def warned() -> bool:
                runs_there = [await relay.view(run_id) for run_id in runs]
                return all([each["code"] for each in run["warnings"]] == ["notify_url_refused"] for run in runs_there)

            await wait_until(refused, "all are refused")
            await wait_until(warned, "the runs say so")
            notifications = (await relay.api.get("/v1/notifications")).json()["data"]

        assert ear.requests == []
        async with start_relay("http://127.0.0.1:9") as relay:  # Whose settings trust that host.
            again = next(each["id"] for each in notifications if each["run"].startswith("run_a"))
            assert (await relay.api.post(f"/v1/notifications/{again}/replay")).status_code == 200

            async def content() -> bool:
                return (await relay.view("run_" + "a" * 24))["warnings"] == []

            await wait_until(content, "what could be sent is not trouble any more")
            assert len(ear.requests) == 1

    for notification in notifications:
        (delivery,) = notification["deliveries"]
        assert delivery["outcome"].startswith("not sent: ")
        assert delivery["outcome"].endswith(runs[notification["run"]])
        assert notification["next_try"] is None


@pytest.fixture
def log_stream() -> Iterator[io.StringIO]:
    """What this process logs; the logging of the tests is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield io.StringIO()
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


async def test_neither_secrets_nor_paths_of_addresses_are_shown(
    start_relay: Any, wait_until: Any, quickly: None, log_stream: io.StringIO
) -> None:
    """A path like Slack's is a secret, a query may be, the signing secret is: not in the log, not in the API."""
    async with an_ear(500, 204) as ear, start_relay("http://127.0.0.1:9", notify_secret=(Secret(GIVEN),)) as relay:
        configure_logging(replace(relay.settings, log_level="debug"), stream=log_stream)
        await relay.run({**GATED, "notify_url": f"{ear.url}/T0CANARYPATH?key=canaryquery"})
        await wait_until(lambda: "notification_delivered" in log_stream.getvalue(), "it is delivered")
        listing = (await relay.api.get("/v1/notifications")).text

    assert "notification_put_off" in log_stream.getvalue()
    for text in (log_stream.getvalue(), listing):
        for canary in ("T0CANARYPATH", "canaryquery", GIVEN, GIVEN.removeprefix("whsec_"), "v1,"):
            assert canary not in text


async def test_the_receiver_of_the_docs_verifies_them_and_takes_repeats_for_one(
    start_relay: Any, wait_until: Any, monkeypatch: Any, capsys: Any
) -> None:
    """The example as it is on the page; what somebody else sends to it is 401."""
    monkeypatch.setenv("FRAMERELAY_NOTIFY_SECRET", GIVEN)
    page = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    namespace: dict[str, Any] = {"__name__": "example"}
    exec(example, namespace)
    with listening_on("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/framerelay"
        async with (
            serving(namespace["app"], listener),
            start_relay("http://127.0.0.1:9", notify_secret=(Secret(GIVEN),)) as relay,
            httpx.AsyncClient(trust_env=False) as stranger,
        ):
            await relay.run({**GATED, "notify_url": url})

            async def deliveries() -> list[int]:
                (notification,) = (await relay.api.get("/v1/notifications")).json()["data"]
                return [each["status"] for each in notification["deliveries"]]

            async def are(numbers: list[int]) -> bool:
                return await deliveries() == numbers

            await wait_until(lambda: are([204]), "it is told")
            await relay.api.post(f"/v1/notifications/{next(iter(namespace['seen']))}/replay")
            await wait_until(lambda: are([204, 204]), "it is told again")
            response = await stranger.post(url, json={"type": "run.succeeded"})

    assert response.status_code == 401
    assert capsys.readouterr().out.count("run.waiting {") == 1


@pytest.mark.parametrize("age_s", [0.0, 1.0, 40_000.0, 86_399.0])
@pytest.mark.parametrize("tries", [0, 3, 6, 50])
def test_waits_grow_keep_to_the_day_and_heed_what_was_asked(tries: int, age_s: float) -> None:
    """A tenth of jitter about the rung; never past the end of the day, when the last try is; then no more."""
    left_s = notify.GIVEN_UP_AFTER_S - age_s
    rung_s = notify.LADDER_S[min(tries, len(notify.LADDER_S) - 1)]
    waits = [notify.send_wait_s(tries, age_s=age_s) or 0 for _ in range(50)]

    assert min(0.9 * rung_s, left_s) <= min(waits) <= max(waits) <= min(1.1 * rung_s, left_s)
    assert len(set(waits)) > 1 or left_s < rung_s
    assert notify.send_wait_s(0, age_s=age_s, retry_after_s=600.0) == min(600.0, left_s)
    assert notify.send_wait_s(0, age_s=age_s, retry_after_s=1e9) == min(notify.ASKED_S_MAX, left_s)
    assert notify.send_wait_s(tries, age_s=notify.GIVEN_UP_AFTER_S) is None


async def test_a_receiver_that_asks_for_patience_gets_it(start_relay: Any, wait_until: Any) -> None:
    """503 with `Retry-After: 600`: the next try is ten minutes away, not five seconds."""
    busy = Response(status_code=503, headers={"Retry-After": "600"})
    async with an_ear(busy) as ear, start_relay("http://127.0.0.1:9") as relay:
        await relay.run({**GATED, "notify_url": ear.url})

        async def first_try() -> Any:
            (notification,) = (await relay.api.get("/v1/notifications")).json()["data"]
            return notification if notification["deliveries"] else None

        await wait_until(first_try, "the first try")
        notification = await first_try()

    assert notification["state"] == "waiting"
    assert 590 < notification["next_try"] - notification["deliveries"][0]["at"] < 660

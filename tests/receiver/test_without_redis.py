"""When Redis refuses, is gone, or hangs: callbacks are spooled, none is acknowledged unkept, nobody is kept waiting."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis as redis_sync

from framerelay.api.openapi import document
from framerelay.store import inbox, spool
from framerelay.store.inbox import KEEP_WITHIN_S

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24  # That of ``take_address``.
DONE = {"id": "job_1", "status": "succeeded"}


@pytest.fixture
def redis_url(private_server: Any) -> str:
    """In this file the receiver has a server of its own, since the tests end it."""
    return str(private_server.url)


@pytest.fixture
async def relay(start_relay: Any, nobody_calls: str, impatient: None) -> AsyncIterator[Any]:
    """A receiver on that server."""
    async with start_relay(nobody_calls, worker=False) as relay:
        yield relay


def spooled(relay: Any) -> list[Path]:
    """The callbacks that wait on disk."""
    return list((relay.settings.data_dir / "spool").glob("*.callback"))


@pytest.mark.parametrize("trouble", ["stop", "hang"])
async def test_a_callback_that_redis_cannot_take_is_spooled_and_handed_on_when_it_is_back(
    relay: Any,
    take_address: Any,
    hook_address: str,
    private_server: Any,
    recent_callbacks: Any,
    wait_until: Any,
    monkeypatch: pytest.MonkeyPatch,
    trouble: str,
) -> None:
    """200 within the provider's five seconds: a hook's callback, too, which no look-up could ever make good."""
    getattr(private_server, trouble)()
    # Who hangs would hold the test up for three seconds.
    monkeypatch.setattr("framerelay.store.inbox.KEEP_WITHIN_S", 0.5)
    requests = [relay.api.post(path, json=DONE) for path in (take_address(), hook_address)]
    answers = await asyncio.gather(*requests, relay.api.post(take_address(take=2), content=b"not json"))
    waiting = spooled(relay)
    monkeypatch.setattr("framerelay.store.inbox.KEEP_WITHIN_S", KEEP_WITHIN_S)
    private_server.go_on() if trouble == "hang" else private_server.start()
    await wait_until(lambda: not spooled(relay), "the spool is empty")

    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert len(waiting) == 3
    assert sorted((str(each["shot"]), each["hook"], each["outcome"]) for each in await recent_callbacks()) == [
        ("None", "mine", "accepted"),
        ("s1", None, "accepted"),
        ("s1", None, "unreadable"),
    ]
    assert (await relay.api.post(take_address(), json=DONE)).json()["repeated"] is True


def test_redis_and_disk_together_have_less_time_than_a_provider() -> None:
    """
    Providers give a callback five seconds, and both may hang.

    That each takes no longer than its own time is shown in `tests/store/test_inbox.py` and `test_spool.py`.
    """
    assert inbox.KEEP_WITHIN_S + spool.WRITE_WITHIN_S < 4.5


@asynccontextmanager
async def receiver_process(
    folder: Path, environ: dict[str, str], wait_until: Any
) -> AsyncIterator[tuple[subprocess.Popen[bytes], str]]:
    """``framerelay receiver`` as a process that can be killed, once it answers at the URL."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("framerelay")), "receiver"]
    with (folder / "receiver.log").open("ab") as log:
        process = subprocess.Popen(command, env={**environ, "FRAMERELAY_PORT": str(port)}, stdout=log, stderr=log)
    try:
        async with httpx.AsyncClient(trust_env=False) as http:

            async def answers() -> bool:
                with suppress(httpx.TransportError):
                    return (await http.get(f"http://127.0.0.1:{port}/livez")).is_success
                return False

            await wait_until(answers, "the receiver answers")
        yield process, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


async def test_the_tries_of_one_callback_during_an_outage_are_one_callback(
    relay: Any, take_address: Any, private_server: Any, recent_callbacks: Any, wait_until: Any
) -> None:
    """A provider that repeats what the spool took makes no second one."""
    private_server.stop()
    for _ in range(3):
        assert (await relay.api.post(take_address(), json=DONE)).status_code == 200
    private_server.start()
    await wait_until(lambda: not spooled(relay), "the spool is empty")

    assert [(each["job_id"], each["repeats"]) for each in await recent_callbacks()] == [("job_1", 2)]


async def test_metrics_tell_of_an_outage(relay: Any, take_address: Any, private_server: Any) -> None:
    """The scrape does not fail with Redis: what this receiver knows by itself is exposed, and that Redis is away."""
    private_server.stop()
    await relay.api.post(take_address(), json=DONE)
    during = await relay.api.get("/metrics")
    private_server.start()

    assert during.status_code == 200
    for line in (
        "framerelay_redis_up 0",
        'framerelay_callbacks_total{outcome="spooled"} 1',
        "framerelay_spool_files 1",
    ):
        assert line in during.text.splitlines()
    assert "framerelay_runs" not in during.text


async def test_a_spooled_callback_outlives_the_receiver(
    tmp_path: Path, private_server: Any, take_address: Any, nobody_calls: str, redis_url: str, wait_until: Any
) -> None:
    """Acknowledged without Redis, then kill -9: the next receiver hands it on, with the id and time that it had."""
    environ = {
        "PATH": os.environ["PATH"],
        "FRAMERELAY_REDIS_URL": redis_url,
        "FRAMERELAY_UPSTREAM_URL": nobody_calls,
        "FRAMERELAY_DATA_DIR": str(tmp_path / "killed"),
        "FRAMERELAY_SECRET": "only for tests",
    }
    async with receiver_process(tmp_path, environ, wait_until) as (process, url):
        private_server.stop()
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(url + take_address(), json=DONE)
        process.kill()
    (file,) = (tmp_path / "killed" / "spool").iterdir()
    private_server.start()
    async with receiver_process(tmp_path, environ, wait_until):
        await wait_until(lambda: not file.exists(), "the spool is empty")

    with redis_sync.Redis.from_url(redis_url) as redis:
        assert answer.status_code == 200
        assert redis.zrange("{framerelay}:callbacks", 0, -1) == [file.stem.encode()]
        assert redis.zrange("{framerelay}:queue", 0, -1) == [f"look_up:{RUN}:{file.stem}".encode()]


async def test_what_neither_redis_nor_the_disk_takes_is_answered_503_and_the_next_try_is_new(
    relay: Any, redis_url: str, take_address: Any, recent_callbacks: Any, no_spool: Any
) -> None:
    """Refused, not acknowledged; when there is room again, the provider's next try is kept and counts as the first."""
    with redis_sync.Redis.from_url(redis_url) as admin:
        admin.config_set("maxmemory", "1")
        response = await relay.api.post(take_address(), json=DONE)
        admin.config_set("maxmemory", "0")
    taken_response = await relay.api.post(take_address(), json=DONE)

    assert (response.status_code, response.json()["error"]["code"]) == (503, "store_unavailable")
    assert int(response.headers["Retry-After"]) >= 1
    assert taken_response.json() == {"received": True, "repeated": False}
    assert len(await recent_callbacks()) == 1


async def test_without_redis_everything_that_needs_it_says_so_and_the_rest_goes_on(
    relay: Any, take_address: Any, private_server: Any, board: Any, wait_until: Any, no_spool: Any
) -> None:
    """Even without a spool: 503 with Retry-After; a wrong token is still 404; all heals by itself."""
    private_server.stop()

    answers = await asyncio.gather(
        relay.api.post(take_address(), json=DONE),
        relay.api.post(take_address(), content=b"not json"),
        relay.api.post("/v1/runs", json=board),
        relay.api.get("/v1/runs"),
        relay.api.get("/v1/callbacks"),
        relay.api.get("/readyz"),
    )
    assert [answer.status_code for answer in answers] == [503] * 6
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers)
    assert (await relay.api.get("/livez")).json() == {"status": "ok"}
    for wrong in ("x", take_address().removeprefix("/webhook/") + "A"):
        assert (await relay.api.post(f"/webhook/{wrong}", json=DONE)).status_code == 404

    private_server.start()

    async def is_ready() -> bool:
        return bool((await relay.api.get("/readyz")).status_code == 200)

    await wait_until(is_ready, "ready again")
    assert (await relay.api.post(take_address(), json=DONE)).json() == {"received": True, "repeated": False}


async def test_a_redis_that_hangs_is_answered_before_the_provider_gives_up(
    relay: Any,
    take_address: Any,
    private_server: Any,
    recent_callbacks: Any,
    wait_until: Any,
    log_stream: Any,
    no_spool: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a spool: 503 within five seconds, for later ones, too; what was refused is kept on its next try."""
    await relay.api.post(take_address("s0"), json=DONE)
    monkeypatch.setattr("framerelay.store.inbox.KEEP_WITHIN_S", 1.0)
    monkeypatch.setattr("framerelay.store.inbox.PROVE_WITHIN_S", 1.0)
    private_server.hang()

    first = [relay.api.post(take_address("s1", number), json=DONE) for number in range(5)]
    waiting = asyncio.gather(*first, relay.api.get("/readyz"))
    assert (await relay.api.post("/webhook/x", json=DONE)).status_code == 404
    assert not waiting.done()
    later = await relay.api.post(take_address("s2"), json=DONE)
    answers = [*await waiting, later]  # All while it still hangs.
    monkeypatch.setattr("framerelay.store.inbox.KEEP_WITHIN_S", KEEP_WITHIN_S)
    private_server.go_on()
    reasons = {
        line["reason"]
        for line in map(json.loads, log_stream.getvalue().splitlines())
        if line.get("outcome") == "not_kept"
    }

    async def is_taken() -> bool:
        return bool((await relay.api.post(take_address("s2"), json=DONE)).status_code == 200)

    await wait_until(is_taken, "the callback is kept")
    assert {answer.status_code for answer in answers} == {503}
    assert not any(reason.endswith(": ") for reason in reasons), reasons
    assert [record["shot"] for record in await recent_callbacks()].count("s2") == 1


async def test_a_watcher_is_let_go_when_redis_dies(
    relay: Any, board: Any, private_server: Any, log_stream: Any
) -> None:
    """The stream ends as if the network had: the reader comes back later, and the log holds no traceback."""
    run_id = await relay.run(board)
    async with relay.api.stream("GET", f"/v1/runs/{run_id}/events") as answer:
        lines = answer.aiter_lines()
        assert (await anext(lines)).startswith("id: ")
        private_server.stop()
        async with asyncio.timeout(60):
            rest = [line async for line in lines]

    assert any("started" in line for line in rest)
    assert "Traceback" not in log_stream.getvalue()


async def test_every_route_answers_as_the_document_says(
    relay: Any, private_server: Any, api_document: Any, board: Any, no_spool: Path, take_address: Any
) -> None:
    """503 with ``Retry-After`` where Redis or the disk is asked, and where it is not, no difference."""
    api_document.answers.clear()
    no_spool.with_name("media").write_bytes(b"in the way")
    private_server.stop()
    relay.api.headers["Origin"] = relay.settings.listen_url
    run_id = "run_" + "z" * 24
    bodies: dict[str, dict[str, Any]] = {
        "startRun": {"json": board},
        "amendRun": {"json": board},
        "pickTake": {"json": {"take": 1}},
        "adoptJob": {"json": {"job_id": "j", "run": run_id, "shot": "s1"}},
        "giveFile": {"content": b"\x89PNG\r\n\x1a\n"},
    }
    operations, requests = set(), []
    for path, methods in document()["paths"].items():
        names = {"run": run_id, "shot": "s1", "callback": "cb_x", "notification": "ntf_x", "path": f"{run_id}/film.mp4"}
        place = take_address() if "{token}" in path else path.format(**names)
        for method, operation in methods.items():
            requests.append(relay.api.request(method, place, **bodies.get(operation["operationId"], {})))
            operations |= {operation["operationId"]} if "503" in operation["responses"] else set()
    for answer in await asyncio.gather(*requests):
        api_document.check(answer)

    assert {name for name, status in api_document.answers if status == 503} == operations


async def test_the_page_says_what_is_wrong(relay: Any, private_server: Any) -> None:
    """503 with a sentence and ``Retry-After``, for a browser that has a session."""
    url = relay.settings.listen_url
    headers = {"Accept": "text/html", "Origin": url}
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=120) as browser:
        key = relay.api.headers["Authorization"].split()[1]
        assert (await browser.post("/login", data={"key": key})).status_code == 303
        private_server.stop()
        for path in ("/", "/runs/run_" + "a" * 24, "/callbacks"):
            answer = await browser.get(path)
            assert (answer.status_code, "Not possible at the moment" in answer.text) == (503, True), path
            assert int(answer.headers["Retry-After"]) > 0

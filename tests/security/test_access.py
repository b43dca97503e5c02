"""Keys, scopes and sessions: who may look, who may act, and what another site in the same browser may not."""

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.datastructures import Secret

from framerelay.api.access import COOKIE
from framerelay.cli.http import listening_on
from framerelay.cli.serve import running_receiver
from framerelay.config.env_file import SettingInvalid
from framerelay.config.keys import Keys, refuse_weak_keys
from framerelay.config.settings import Settings
from framerelay.receiver.app import routes
from framerelay.receiver.door.sessions import Sessions
from framerelay.receiver.door.sessions import _fingerprint as sessions_fingerprint

pytestmark = pytest.mark.anyio

NEW, OLD, READ = "fr_operate_new_0123456789", "fr_operate_old_0123456789", "fr_read_0123456789abc"
BOARD = {"title": "t", "model": "m", "shots": [{"id": "s1", "prompt": "a car", "gate": "approve"}]}
Start = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def start_door(redis_url: str, tmp_path: Path) -> Start:
    """``async with start_door() as stranger``: a receiver with three keys, and a client that has none."""

    @asynccontextmanager
    async def start(*, keys: Keys | None = None, **chosen_settings: Any) -> AsyncIterator[httpx.AsyncClient]:
        with listening_on("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]
            settings = Settings(port=port, data_dir=tmp_path / "data", **chosen_settings)
            own_keys = keys or Keys(
                api_key=Secret(NEW), further=(Secret(OLD),), read=(Secret(READ),), secret=Secret("s"), new_api_key=False
            )
            async with (
                running_receiver(settings, own_keys, redis_url, listener),
                httpx.AsyncClient(base_url=settings.listen_url, trust_env=False, timeout=120) as http,
            ):
                yield http

    return start


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def own(http: httpx.AsyncClient) -> dict[str, str]:
    return {"Origin": str(http.base_url).rstrip("/"), "Sec-Fetch-Site": "same-origin"}


async def log_in(http: httpx.AsyncClient, key: str) -> httpx.Response:
    return await http.post("/login", data={"key": key}, headers=own(http))


async def test_a_key_that_reads_changes_nothing(start_door: Start) -> None:
    """403 on every route that acts, without having looked at what it was about; every other one answers."""
    async with start_door() as http:
        run = (await http.post("/v1/runs", json=BOARD, headers=bearer(NEW))).json()
        values = {"{run}": run["id"], "{shot}": "s1", "{callback}": "cb_x", "{path:path}": f"{run['id']}/x.mp4"}
        for route in routes():
            path = re.sub(r"\{[^}]+\}", lambda name: values.get(name[0], "x"), route.path)
            for method in (route.methods or set()) - {"HEAD"}:
                if route.path.startswith("/v1") or route.path.startswith("/media"):
                    if path.endswith("/events"):
                        continue  # It answers for as long as it is listened to; tested with its own kind.
                    answer = await http.request(method, path, headers=bearer(READ))
                    assert (answer.status_code == 403) == (method != "GET"), (method, path, answer.status_code)
                    assert answer.status_code != 401, path
        run_json = (await http.get(f"/v1/runs/{run['id']}", headers=bearer(READ))).json()

    assert (run_json["status"], run_json["revision"]) == ("waiting", run["revision"])


async def test_several_keys_count_at_once(start_door: Start) -> None:
    """A change of keys needs no moment in which neither works."""
    async with start_door() as http:
        for key, status in ((NEW, 201), (OLD, 201), (READ, 403), (f"{NEW},{OLD}", 401), ("x", 401)):
            assert (await http.post("/v1/runs", json=BOARD, headers=bearer(key))).status_code == status, key


async def test_the_page_logs_in_once_and_its_cookie_is_out_of_reach(start_door: Start) -> None:
    """HttpOnly, SameSite=Strict, and by https alone where we are reached by https; the key is not in it."""
    async with start_door(public_url="https://relay.example.com") as http:
        answer = await log_in(http, NEW)
        cookie = answer.headers["set-cookie"]

        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        for word in ("HttpOnly", "SameSite=strict", "Secure", "Path=/", "Max-Age="):
            assert word in cookie
        assert NEW not in cookie
    async with start_door() as http:
        assert "Secure" not in (await log_in(http, NEW)).headers["set-cookie"]
        assert (await http.get("/v1/runs")).status_code == 200
        assert (await http.post("/v1/runs", json=BOARD, headers=own(http))).status_code == 201
        await http.post("/logout", headers=own(http))
        assert (await http.get("/v1/runs")).status_code == 401


async def test_a_session_that_was_logged_out_is_over_wherever_its_cookie_is(start_door: Start) -> None:
    """By our own page alone; another session of the same key goes on, and so does one that an older version began."""
    async with start_door() as http:
        first, second = [(await log_in(http, NEW)).cookies[COOKIE] for _ in range(2)]
        http.cookies.clear()
        sessions = Sessions("s", secure=False)
        until = f"{int(time.time()) + 60}.{sessions_fingerprint(NEW)}"
        old = f"{until}.{sessions._mac(until)}"

        async def status(session: str, path: str = "/v1/runs") -> int:
            return (await http.get(path, headers={"Cookie": f"{COOKIE}={session}"})).status_code

        cookie = {"Cookie": f"{COOKIE}={first}"}
        for headers in ({}, {"Origin": "https://evil.example"}, {**own(http), "Sec-Fetch-Site": "cross-site"}):
            answer = await http.post("/logout", headers={**cookie, **headers})
            assert (answer.status_code, "set-cookie" in answer.headers) == (403, False), headers
        assert [await status(each) for each in (first, second, old)] == [200, 200, 200]

        assert (await http.post("/logout", headers={**cookie, **own(http)})).status_code == 303
        assert [await status(each) for each in (first, second, old)] == [401, 200, 200]
        assert [await status(first, path) for path in ("/", "/metrics", "/media/given/x.png")] == [401, 401, 401]
        assert "Log out" not in (await http.get("/", headers={**cookie, "Accept": "text/html"})).text
        assert (await http.post("/v1/runs", json=BOARD, headers={**cookie, **own(http)})).status_code == 401


async def test_another_site_in_the_same_browser_changes_nothing(start_door: Start) -> None:
    """The browser sends the cookie by itself, so each change must come from our own page, and say so."""
    async with start_door(public_url="https://relay.example.com") as http:
        answer = await log_in(http, NEW)
        value = answer.headers["set-cookie"].partition(";")[0]
        host = own(http)["Origin"]
        foreign: list[dict[str, str]] = [
            {},
            {"Origin": "null"},
            {"Origin": "http://["},
            {"Origin": "https://evil.example"},
            {"Origin": host.replace("127.0.0.1", "127.0.0.1.evil.example")},
            {"Origin": f"{host}.evil.example"},
            {"Origin": "https://evil.example", "Referer": host},
            {"Origin": host, "Sec-Fetch-Site": "cross-site"},
            {"Origin": host, "Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "same-origin"},
        ]
        for headers in foreign:
            answer = await http.post("/v1/runs", json=BOARD, headers={**headers, "Cookie": value})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "forbidden"), headers
        for headers in (own(http), {"Origin": "https://relay.example.com"}):
            answer = await http.post("/v1/runs", json=BOARD, headers={**headers, "Cookie": value})
            assert answer.status_code == 201, headers
        assert (
            await http.post("/login", data={"key": NEW}, headers={"Origin": "https://evil.example"})
        ).status_code == 403


async def test_a_session_opens_what_its_key_opens_and_ends_with_it(start_door: Start) -> None:
    """A read key's session reads; a key taken out of the settings, or another secret, ends what it began."""
    without = Keys(api_key=Secret(OLD), secret=Secret("s"), new_api_key=False)
    other_secret = Keys(api_key=Secret(NEW), secret=Secret("another"), new_api_key=False)
    async with start_door() as http:
        reading = (await log_in(http, READ)).headers["set-cookie"].partition(";")[0]
        acting = (await log_in(http, NEW)).headers["set-cookie"].partition(";")[0]
        answer = await http.post("/v1/runs", json=BOARD, headers={**own(http), "Cookie": reading})
        assert answer.status_code == 403
        assert (await http.get("/v1/runs", headers={"Cookie": reading})).status_code == 200
    for keys in (without, other_secret):
        async with start_door(keys=keys) as http:
            assert (await http.get("/v1/runs", headers={"Cookie": acting})).status_code == 401


async def test_no_cookie_can_be_made_or_stretched(start_door: Start) -> None:
    """Every part of it is covered by the MAC, and odd ones are refused, not errors."""
    async with start_door() as http:
        value = (await log_in(http, NEW)).headers["set-cookie"].partition(";")[0].partition("=")[2]
        until, fingerprint, name, mac = value.split(".")
        http.cookies.clear()
        values = ["", ".", "..", "x", f"{int(until) + 1}.{fingerprint}.{mac}", f"{until}.{fingerprint}.{mac[:-1]}"]
        values += [f"{until}.{fingerprint}.x.{mac}", f"{until}.{fingerprint}.{name}.x.{mac}"]
        values += [f"{int(until) + 1}.{fingerprint}.{name}.{mac}", f"{until}.{fingerprint}.{name}.{mac[:-1]}"]
        values += [
            f"{until}..{mac}",
            f".{fingerprint}.{mac}",
            f"{until}.{fingerprint}.",
            "9" * 5000,
            f"{until}.é.{mac}",
        ]
        for forgery in values:
            headers = {"Cookie": f"{COOKIE}={forgery}".encode("latin-1")}
            assert (await http.get("/v1/runs", headers=headers)).status_code == 401, forgery
        assert (await http.get("/v1/runs", headers={"Cookie": f"{COOKIE}={value}"})).status_code == 200


async def test_a_session_is_over_when_its_time_is(start_door: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the browser thinks of it."""
    async with start_door() as http:
        monkeypatch.setattr("framerelay.receiver.door.sessions.LIFE_S", -1)
        value = (await log_in(http, NEW)).headers["set-cookie"].partition(";")[0]
        http.cookies.clear()

        assert (await http.get("/v1/runs", headers={"Cookie": value})).status_code == 401


async def test_guesses_are_held_back_and_the_right_key_is_not(
    start_door: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer each time, by Bearer and by log-in, a few at a time; a client with the key notices nothing."""
    pauses: list[float] = []
    halt = asyncio.Event()

    async def hold(seconds: float) -> None:
        pauses.append(seconds)
        await halt.wait()

    monkeypatch.setattr("framerelay.receiver.door.keys.sleep", hold)  # Whole minutes would pass else.
    monkeypatch.setattr("framerelay.receiver.door.keys.WAITING_MAX", 6)
    async with start_door() as http:
        for n in range(10):
            assert (await http.get("/v1/runs", headers=bearer(f"guess{n}"))).status_code == 401
        async with asyncio.TaskGroup() as group:
            guesses = [group.create_task(http.get("/v1/runs", headers=bearer(f"more{n}"))) for n in range(5)]
            guesses.append(group.create_task(log_in(http, "guess")))
            async with asyncio.timeout(60):
                while len(pauses) < 6:
                    await asyncio.wait(guesses, timeout=0.01)
            one_too_many = await http.get("/v1/runs", headers=bearer("x"))
            right = await http.get("/v1/runs", headers=bearer(NEW))
            halt.set()

    assert sorted(pauses) == [0.25, 0.5, 1.0, 1.0, 1.0, 1.0]
    assert (one_too_many.status_code, one_too_many.headers["retry-after"]) == (429, "5")
    assert right.status_code == 200
    assert {guess.result().status_code for guess in guesses} == {401}


async def test_every_answer_tells_the_browser_to_trust_nothing(start_door: Start) -> None:
    """Errors and redirects included; HSTS where we are reached by https. A media file is no page."""
    async with start_door(public_url="https://relay.example.com") as http:
        answers = [await http.get(path) for path in ("/livez", "/readyz", "/v1/runs", "/nothing", "/media/x", "/")]
        answers += [await http.get("/v1/runs", headers=bearer(NEW)), await http.put("/livez"), await log_in(http, NEW)]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy or "sandbox" in policy, answer.url
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["strict-transport-security"].startswith("max-age=")
        assert answer.headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in answer.headers
        assert "server" not in answer.headers


async def test_a_surprise_tells_the_browser_the_same_and_the_world_nothing(
    start_door: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 500 passes no middleware; its words are ours."""

    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("canary in the traceback")

    # Nothing real breaks in a way that we did not foresee.
    monkeypatch.setattr("framerelay.store.runs.Store.runs", fail)
    async with start_door() as http:
        answer = await http.get("/v1/runs", headers=bearer(NEW))

    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal")
    assert "canary" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


WEAK = ["tiny-1", "a" * 40, "abababababababababababab", "changeme-changeme-changeme", "your-api-key-goes-here-please"]


@pytest.mark.parametrize("weak", WEAK)
@pytest.mark.parametrize("field", ["api_key", "read_key", "secret"])
def test_a_receiver_that_others_reach_refuses_a_weak_key(weak: str, field: str) -> None:
    """By its address or by a tunnel to this machine; the sentence names the setting, never the key."""
    keys_given = {field: Secret(weak) if field == "secret" else (Secret("fr_Xq8kWm3Zr7Lp2Vn9Tb4"), Secret(weak))}
    for public in ({"host": "0.0.0.0"}, {"host": "::"}, {"public_url": "https://relay.example.com"}):
        with pytest.raises(SettingInvalid, match=f"FRAMERELAY_{field.upper()}") as failure:
            refuse_weak_keys(Settings(**keys_given, **public))
        assert weak not in str(failure.value)
    refuse_weak_keys(Settings(**keys_given))
    refuse_weak_keys(Settings(**keys_given, public_url=f"http://{socket.gethostbyname('localhost')}:9000"))


def test_keys_that_we_make_are_never_weak() -> None:
    """Nor those of a password generator."""
    strong = (Secret("fr_Xq8kWm3Zr7Lp2Vn9Tb4"), Secret("3f9c1a7be2d84650b7719c0e55aa12cd"))
    refuse_weak_keys(Settings(host="0.0.0.0", api_key=strong, secret=strong[1]))
    refuse_weak_keys(Settings(host="0.0.0.0"))

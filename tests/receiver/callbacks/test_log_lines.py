"""What the receiver logs: one full line per callback, everything through one pipe, and no secret ever."""

import asyncio
import io
import json
import logging
from typing import Any

import pytest
import structlog
from starlette.datastructures import Secret

from framerelay.config.logs import configure_logging
from framerelay.config.settings import Settings
from framerelay.runs.tokens import HookAddress, TakeAddress

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
UPSTREAM_KEY = "an upstream key of no usual shape"
API_KEY = "fr_0123456789abcdefABCDEF"
BEARER = "Bearer eyJhbGciOiJIUzI1NiJ9.canary"
SIGNED = "https://cdn.example.com/v.mp4?X-Tos-Signature=canary-signature&Expires=1"


def lines_of(log_stream: io.StringIO) -> list[dict[str, Any]]:
    """Every line; each must be a JSON object of its own."""
    return [json.loads(line) for line in log_stream.getvalue().splitlines()]


async def test_a_callback_is_one_line_with_its_run_shot_and_take(
    relay: Any, take_address: Any, log_stream: Any
) -> None:
    """Whatever comes of it; the ids are fields, the event is a fixed word."""
    await relay.api.post(take_address("s1", 2), json={"id": "job_1", "status": "succeeded"})
    await relay.api.post(take_address("s1", 2), json={"id": "job_1", "status": "succeeded"})
    await relay.api.post(take_address("s1", 3), content=b"not json")
    await relay.api.post(take_address("s1", 4), content=b"x", headers={"Content-Encoding": "gzip"})
    await relay.api.post("/webhook/wrong", json={})

    lines = lines_of(log_stream)
    assert [line["event"] for line in lines] == ["callback_received"] * 4 + ["callback_refused"]
    assert [(line["run_id"], line["shot"], line["take"]) for line in lines[:4]] == [
        (RUN, "s1", take) for take in (2, 2, 3, 4)
    ]
    assert [line["outcome"] for line in lines[:4]] == ["accepted", "accepted", "unreadable", "encoded"]
    assert [line["repeated"] for line in lines[:4]] == [False, True, False, False]
    assert lines[0].items() >= {"job_id": "job_1", "word": "succeeded", "level": "info"}.items()
    assert all("T" in line["timestamp"] for line in lines)


async def test_a_sender_cannot_write_lines_of_its_own(relay: Any, take_address: Any, log_stream: Any) -> None:
    """Line ends and the codes of a terminal stay inside the one line that a callback gets."""
    forgery = 'x\n{"event":"run_started","level":"info"}\r\n\x1b[2J\x00'
    await relay.api.post(take_address(), json={"id": forgery, "status": forgery})
    await relay.api.post(take_address(), content=forgery.encode())
    await relay.api.post("/webhook/x%7B%22event%22%3A%22run_started%22%7D%1b", content=b"{}")

    assert [line["event"] for line in lines_of(log_stream)] == [
        "callback_received",
        "callback_received",
        "callback_refused",
    ]
    assert lines_of(log_stream)[0]["word"] == forgery.strip()
    assert not {"\x1b", "\r", "\x00"} & set(log_stream.getvalue())


async def test_a_hooks_callback_names_its_hook(relay: Any, hook_address: str, log_stream: Any) -> None:
    """And no run, since it has none yet."""
    await relay.api.post(hook_address, json={"id": "job_1"})

    (line,) = lines_of(log_stream)
    assert (line["hook"], "run_id" in line) == ("mine", False)


async def test_a_callback_that_cannot_be_kept_is_one_line_too(
    relay: Any, take_address: Any, log_stream: Any, redis: Any, no_spool: Any
) -> None:
    """An error that somebody should look at, with the take that it hit."""
    await redis.config_set("maxmemory", "1")
    try:
        await relay.api.post(take_address(), json={"id": "job_1"})
    finally:
        await redis.config_set("maxmemory", "0")

    (line,) = lines_of(log_stream)
    assert (line["event"], line["outcome"], line["level"]) == ("callback_received", "not_kept", "error")
    assert (line["run_id"], line["take"]) == (RUN, 1)
    assert line["reason"]


async def test_a_callback_that_only_the_disk_took_is_one_line_too(
    relay: Any, take_address: Any, log_stream: Any, redis: Any
) -> None:
    """A warning, with what Redis said."""
    await redis.config_set("maxmemory", "1")
    try:
        await relay.api.post(take_address(), json={"id": "job_1"})
    finally:
        await redis.config_set("maxmemory", "0")

    (line,) = [line for line in lines_of(log_stream) if line["event"] == "callback_received"]
    assert (line["outcome"], line["level"], line["take"]) == ("accepted", "warning", 1)
    assert "maxmemory" in line["spooled"]


async def test_no_secret_ever_shows(
    relay: Any, tmp_path: Any, log_stream: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a body, an address, a header, a field, an error or a library's line: not in the log, nor in /v1/callbacks."""
    # That many guesses would be held back for minutes.
    monkeypatch.setattr("framerelay.receiver.door.keys.FREE_GUESSES", 1000)
    keys = {"upstream_key": relay.settings.upstream_key, "api_key": (Secret(API_KEY),)}
    configure_logging(Settings(data_dir=tmp_path, log_level="debug", **keys), stream=log_stream)
    token = relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1))
    hook = relay.tokens.mint(HookAddress(hook="mine"))
    link = f"{relay.settings.listen_url}/media/{RUN}/s1.1.mp4?expires=99&signature=canary-link"
    canaries = {
        "token": token,
        "mac": token.partition(".")[2],
        "hook token": hook,
        "api key": API_KEY,
        "upstream key": UPSTREAM_KEY,
        "signed query": "canary-signature",
        "our link": "canary-link",
        "bearer": "eyJhbGciOiJIUzI1NiJ9.canary",
        "password": "canary-password",
    }
    texts = [
        f"{relay.settings.listen_url}/webhook/{token}",
        f"/webhook/{token.replace('.', '%2E')}",
        f"see {hook} and {token}",
        API_KEY,
        UPSTREAM_KEY,
        SIGNED,
        SIGNED.replace("/", "\\/"),
        link,
        link.removeprefix(relay.settings.listen_url),
        BEARER,
        BEARER.replace(" ", "%20"),
        "https://user:canary-password@example.com/x",
        "redis://:canary-password@10.0.0.1:6379/0",
    ]
    body = {"id": "job_1", "status": "succeeded", "output": {"status": "succeeded", "videos": [SIGNED]}}
    for number, text in enumerate(texts):
        address = "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s2", take=number))
        raw = json.dumps({**body, "text": text, "message": f"it said {text}"}).replace("\\\\/", "\\/")
        await relay.api.post(address, content=raw)
        await relay.api.post(address, content=text)
        await relay.api.post(address, json={"id": text, "status": text, "error": {"message": text}})
        await relay.api.get(f"/v1/runs/{text.replace('?', '%3F')}")
        await relay.api.get("/v1/runs", params={"after": text}, headers={"Authorization": BEARER})
    await relay.api.post(f"/webhook/{token}x", json={})
    _say_everything([*texts, token])
    listing = (await relay.api.get("/v1/callbacks", params={"limit": 200})).text

    assert len(lines_of(log_stream)) > 100
    assert listing.count('"id":"cb_') > 30
    for name, canary in canaries.items():
        assert canary not in log_stream.getvalue(), name
        assert canary not in listing, name


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_an_id_that_is_an_address_shows_no_query(
    relay: Any, tmp_path: Any, log_stream: Any, log_format: Any
) -> None:
    """Though nothing else in its body is suspicious; a plain id next to it is shown as it is."""
    configure_logging(Settings(data_dir=tmp_path, log_format=log_format), stream=log_stream)
    for take, job_id in enumerate(["https://cdn.example.com/v.mp4?X=canary-query&E=1", "job_1"]):
        address = "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s4", take=take))
        assert (await relay.api.post(address, json={"id": job_id, "status": "succeeded"})).status_code == 200

    first, second = (line for line in log_stream.getvalue().splitlines() if "callback_received" in line)
    assert "canary-query" not in first
    assert "https://cdn.example.com/v.mp4?[query]" in first
    assert "job_1" in second
    assert all(RUN in line and "succeeded" in line and "hook" not in line for line in (first, second))


async def test_among_many_at_once_no_secret_shows(relay: Any, tmp_path: Any, log_stream: Any) -> None:
    """Lines are looked through together: each callback has its own nevertheless, and hides what it has to hide."""
    configure_logging(Settings(data_dir=tmp_path, api_key=(Secret(API_KEY),)), stream=log_stream)
    texts = [API_KEY, SIGNED, BEARER, "sk-canary-canary", "/webhook/canary.token", "signature=canary"]
    ids = [
        f"{texts[number // 5 % len(texts)]} {number}" if number % 5 == 0 else f"job_{number}" for number in range(60)
    ]
    addresses = [
        "/webhook/" + relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s3", take=take)) for take in range(60)
    ]
    many = [relay.api.post(address, json={"id": job_id}) for address, job_id in zip(addresses, ids, strict=True)]
    answers = await asyncio.gather(*many)

    assert {answer.status_code for answer in answers} == {200}
    lines = {line["take"]: line for line in lines_of(log_stream) if line["event"] == "callback_received"}
    assert set(lines) == set(range(60))
    assert all(lines[take]["job_id"] == ids[take] for take in range(60) if take % 5)
    assert not [canary for canary in ("canary", API_KEY) if canary in log_stream.getvalue()]


def _say_everything(texts: list[str]) -> None:
    """As carelessly as code can: in fields of every kind, in tracebacks, in lines of libraries."""
    log = structlog.get_logger()
    for text in texts:
        log.info("thing_said", text=text, raw=text.encode(), nested={"deep": [{"er": (text, {text})}]})
        log.info("thing_said", problem=ValueError(text), headers={"Authorization": "Basic canary-password"})
        log.info("thing_said", headers=[(b"authorization", BEARER.encode())], api_key="canary-password")
        logging.getLogger("uvicorn.error").error("Invalid request: %s", text)
        logging.getLogger("arq.worker").warning("%s", {"kwargs": text})
        logging.getLogger("some.library").info(f"GET {text}", extra={"where": text, "cookie": "canary-password"})
        try:
            raise RuntimeError(text)
        except RuntimeError:
            log.exception("thing_broke")
            logging.getLogger("asyncio").exception("it broke")

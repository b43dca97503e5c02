"""What `doctor` says of the way of a callback."""

import asyncio
import shutil
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync
from starlette.datastructures import Secret

from framerelay.cli.doctor import callback
from framerelay.cli.doctor.callback import look_at_callback
from framerelay.cli.doctor.finding import Finding, Status
from framerelay.cli.doctor.peers import look_at_receiver
from framerelay.cli.http import listening_on
from framerelay.cli.serve import running_receiver
from framerelay.config.keys import Keys
from framerelay.config.settings import Settings
from framerelay.runs.tokens import HookAddress
from framerelay.store import inbox
from tests.cli.doctor.looking import (
    API_KEY,
    NOWHERE,
    SECRET,
    assert_finding,
    impostor,
    settings_of,
)


@pytest.mark.anyio
async def test_a_callback_through_the_public_address_is_found_again(start_relay: Any) -> None:
    """At the receiver, kept, under the id of this very probe."""
    async with start_relay(NOWHERE, worker=False) as relay:
        finding = await look_at_callback(settings_of(relay, public_url=relay.settings.listen_url))
        assert_finding(finding, Status.OK, f"a callback to {relay.settings.listen_url} came back")
        assert [each["outcome"] for each in (await relay.api.get("/v1/callbacks")).json()["data"]] == ["probe"]


@pytest.mark.anyio
async def test_long_callbacks_of_others_do_not_hide_it(start_relay: Any) -> None:
    """A page of fifty at their longest is read whole."""
    async with start_relay(NOWHERE, worker=False) as relay:
        address = "/webhook/" + relay.tokens.mint(HookAddress(hook="mine"))
        for number in range(50):
            await relay.api.post(address, json={"number": number, "text": "雨" * 16_000})
        assert_finding(
            await look_at_callback(settings_of(relay, public_url=relay.settings.listen_url)), Status.OK, "came back"
        )


@pytest.mark.anyio
async def test_without_a_public_address_a_provider_elsewhere_cannot_call(start_relay: Any) -> None:
    """Said with what it costs; on one machine it is no fault."""
    async with start_relay("http://127.0.0.1:8090", worker=False) as relay:
        assert_finding(await look_at_callback(settings_of(relay)), Status.OK, "the provider is on this machine")
        elsewhere = settings_of(relay, upstream_url="https://api.example.com")
        assert_finding(
            await look_at_callback(elsewhere), Status.WARN, "FRAMERELAY_PUBLIC_URL is not set", "looked up after 20 s"
        )


@pytest.mark.anyio
async def test_a_provider_of_the_settings_file_is_checked_at_its_own_address(
    start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the one of FRAMERELAY_UPSTREAM_URL is on this machine, another one with a key may not be."""
    monkeypatch.setenv("KLING_API_KEY", "sk-kling-kling-kling")
    async with start_relay("http://127.0.0.1:9", worker=False) as relay:
        here = await look_at_callback(settings_of(relay))
        relay.settings.config_file.write_text("providers: {kling: {}}\n", encoding="utf-8")
        elsewhere = await look_at_callback(settings_of(relay))

    assert [each.status for each in (here, elsewhere)] == [Status.OK, Status.WARN]
    assert "cannot reach" in elsewhere.message


@pytest.mark.anyio
async def test_another_receiver_at_the_address_is_recognized(
    start_relay: Any, start_redis: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with another secret refuses; one with the same secret and another Redis acknowledges, and nothing comes."""
    async with start_relay(NOWHERE, worker=False) as relay:
        other_secret = settings_of(relay, secret=Secret("another one"))
        assert_finding(await look_at_callback(other_secret), Status.FAIL, "another FRAMERELAY_SECRET")
        under_a_path = settings_of(relay, public_url=f"{relay.settings.listen_url}/relay")
        assert_finding(await look_at_callback(under_a_path), Status.FAIL, "let it take /relay off the path")
        other_key = settings_of(relay, api_key=(Secret("another one"),), public_url=relay.settings.listen_url)
        assert_finding(await look_at_callback(other_key), Status.WARN, "could not be looked for")
        monkeypatch.setattr(callback, "LISTED_WITHIN_S", 0.3)
        with listening_on("127.0.0.1", 0) as listener:
            port = listener.getsockname()[1]
            twin = replace(relay.settings, port=port, data_dir=tmp_path / "twin")
            keys = Keys(api_key=API_KEY, secret=SECRET, new_api_key=False)
            async with running_receiver(twin, keys, start_redis("--appendonly", "yes"), listener):
                finding = await look_at_callback(settings_of(relay, public_url=twin.listen_url))
    assert_finding(finding, Status.FAIL, "acknowledged, but did not come", "the same secret")


@pytest.mark.anyio
async def test_a_receiver_that_cannot_keep_callbacks_is_recognized(
    start_redis: Callable[..., str], tmp_path: Path, gives_redis_up_soon: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis gone and the disk refusing: 503; with the disk alone it is acknowledged, and cannot be shown."""
    monkeypatch.setattr(inbox, "KEEP_WITHIN_S", 0.3)
    with listening_on("127.0.0.1", 0) as listener:
        settings = Settings(
            port=listener.getsockname()[1], data_dir=tmp_path / "data", api_key=(API_KEY,), secret=SECRET
        )
        keys = Keys(api_key=API_KEY, secret=SECRET, new_api_key=False)
        url = start_redis("--appendonly", "no")
        async with running_receiver(settings, keys, url, listener):
            with redis_sync.Redis.from_url(url) as client:
                client.shutdown(nosave=True)
            assert_finding(await look_at_receiver(settings), Status.FAIL, "cannot keep callbacks in Redis")
            assert_finding(
                await look_at_callback(settings), Status.FAIL, "acknowledged, but the receiver cannot show it"
            )
            shutil.rmtree(tmp_path / "data")
            (tmp_path / "data").write_text("no folder")
            assert_finding(await look_at_callback(settings), Status.FAIL, "cannot keep callbacks")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("200 OK\n\n<html><title>You are about to visit</title>", 'a page named "You are about to visit"'),
        ('200 OK\n\n{"ok": true}', "another server answers"),
        ("404 Not Found\n\n<html>", "another server answers"),
        ("301 Moved\nLocation: https://www.relay.test/webhook/x\n\n", "leads on to https://www.relay.test"),
        ("403 Forbidden\n\n", "wants a log-in"),
        ("502 Bad Gateway\n\n<title>502</title>", "nothing behind it"),
    ],
)
async def test_another_server_at_the_public_address_is_reported(answer: str, words: str) -> None:
    """A parked domain, a tunnel's warning, a redirect, a log-in, a proxy with nothing behind it."""
    async with impostor(answer) as place:
        finding = await look_at_callback(Settings(public_url=f"http://{place}", secret=SECRET))
    assert_finding(finding, Status.FAIL, words)


@pytest.mark.anyio
async def test_a_way_that_ends_early_says_where(tls: ssl.SSLContext, tmp_path: Path, impatient: None) -> None:
    """A dead port, silence, a certificate of nobody's or for another name, plain HTTP where TLS should be."""

    async def look(url: str, **fields: Any) -> Finding:
        return await look_at_callback(Settings(public_url=url, secret=SECRET, **fields))

    assert_finding(await look(NOWHERE), Status.FAIL, "127.0.0.1:9 refuses connections")
    async with impostor("") as place:
        assert_finding(await look(f"http://{place}"), Status.FAIL, "did not answer in time")
    async with impostor("200 OK\n\n", tls=tls) as place:
        assert_finding(await look(f"https://{place}"), Status.FAIL, "is not accepted", "self-signed")
        assert_finding(
            await look(f"https://{place}", ca_file=tmp_path / "pem"), Status.FAIL, "is not accepted", "127.0.0.1"
        )
        assert_finding(await look(f"http://{place}"), Status.FAIL, "ended the connection")
    async with impostor("200 OK\n\n") as place:
        assert_finding(await look(f"https://{place}"), Status.FAIL, "does not speak TLS")


@pytest.mark.anyio
async def test_a_name_that_does_not_resolve_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server is played: the one of this machine is not ours."""

    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    finding = await look_at_callback(Settings(public_url="https://relay.test", secret=SECRET))
    assert_finding(finding, Status.FAIL, "the name relay.test does not resolve", "spelling")


def test_a_name_server_that_hangs_does_not_hold_the_program(monkeypatch: pytest.MonkeyPatch, impatient: None) -> None:
    """The thread that asks is left behind: neither the check nor the end of the program waits for it."""
    requests, let_go, over = list[bool](), list[bool](), threading.Event()

    def hang(*_: object, **__: object) -> Any:
        requests.append(True)
        let_go.append(over.wait(90))

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    finding = asyncio.run(look_at_callback(Settings(public_url="https://relay.test", secret=SECRET)))
    assert_finding(finding, Status.FAIL, "did not answer in time")
    assert (requests, let_go) == ([True], [])
    over.set()

"""Public keys: fetched ahead and in the background, from allowed addresses, in bounded amounts."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.responses import RedirectResponse, Response

from framerelay.network.client import guarded_client
from framerelay.runs.errors import UpstreamAnswerUnreadable
from framerelay.upstream import jwks
from framerelay.upstream.jwks import BYTES_MAX, KEYS_MAX, PublicKeys, read_key_set

pytestmark = pytest.mark.anyio

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


def key(raw: bytes, **other: Any) -> dict[str, Any]:
    """A JSON Web Key."""
    return {"kty": "OKP", "crv": "Ed25519", "x": base64.urlsafe_b64encode(raw).decode().rstrip("="), **other}


def key_set(*keys: Any) -> Response:
    """What a provider publishes."""
    return Response(json.dumps({"keys": list(keys)}))


@pytest.fixture
def publishing(provider: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """``async with publishing(answer, …) as (keys, url)``: keys kept fresh from a provider that answers so in turn."""
    monkeypatch.setattr(jwks, "REST_S", 0.02)  # The real rest is half a minute.

    @asynccontextmanager
    async def publish(*answers: Response, trusted: bool = True) -> AsyncIterator[tuple[PublicKeys, str]]:
        provider.answers = list(answers)
        url = f"{provider.url}/jwks.json"
        async with guarded_client(frozenset({"127.0.0.1"}) if trusted else frozenset()) as http:
            keys = PublicKeys(http, [url])
            running = asyncio.create_task(keys.keep_fresh())
            try:
                yield keys, url
            finally:
                running.cancel()
                await asyncio.wait([running])

    return publish


async def test_keys_that_nobody_named_ahead_are_fetched_when_they_are_asked_for(provider: Any, wait_until: Any) -> None:
    """The first callback finds none, and the next one does; before it nobody is asked."""
    provider.answers, url = [key_set(key(NEW))], f"{provider.url}/jwks.json"
    async with guarded_client(frozenset({"127.0.0.1"})) as http:
        keys = PublicKeys(http, [])
        running = asyncio.create_task(keys.keep_fresh())
        try:
            await asyncio.sleep(0)
            assert provider.requests == []
            assert keys.of(url) == ()
            await wait_until(lambda: keys.of(url) == (NEW,), "they were fetched")
        finally:
            running.cancel()
            await asyncio.wait([running])
    assert len(provider.requests) == 1


async def test_keys_are_there_before_anybody_asks(publishing: Any, wait_until: Any, provider: Any) -> None:
    """Fetched ahead, and without the key of the upstream."""
    async with publishing(key_set(key(OLD), key(NEW))) as (keys, url):
        await wait_until(lambda: keys.of(url) == (OLD, NEW), "both keys are known")

    ((method, path, headers, _),) = provider.requests
    assert (method, path, headers["accept-encoding"]) == ("GET", "/jwks.json", "identity")
    assert "authorization" not in headers


async def test_a_key_that_did_not_fit_leads_to_a_fetch(publishing: Any, wait_until: Any, provider: Any) -> None:
    """The sender has new keys; its next try passes."""
    async with publishing(key_set(key(OLD))) as (keys, url):
        await wait_until(lambda: keys.of(url) == (OLD,), "the old key is known")
        provider.answers = [key_set(key(NEW))]
        keys.refresh_soon(url)
        await wait_until(lambda: keys.of(url) == (NEW,), "the new key is known")


async def test_a_flood_of_bad_signatures_is_one_fetch(
    publishing: Any, wait_until: Any, provider: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever strangers sign, the key set is asked for once in a while."""
    monkeypatch.setattr(jwks, "REST_S", 3600.0)
    async with publishing(key_set(key(OLD))) as (keys, url):
        await wait_until(lambda: keys.of(url), "the key is known")
        for _ in range(20):
            keys.refresh_soon(url)
            await keys.fetch_due()

    assert len(provider.requests) == 1


BAD = [
    Response("", status_code=500),
    Response("", status_code=404),
    RedirectResponse("http://169.254.169.254/latest"),
    Response("not json"),
    Response("[]"),
    Response("{}"),
    key_set(),
    Response(json.dumps({"keys": [key(b"too much".ljust(32))], "more": "A" * BYTES_MAX})),
]


async def test_trouble_is_met_by_trying_again(publishing: Any, wait_until: Any) -> None:
    """No answer of the provider ends the fetching, and none takes away the keys that are known."""
    async with publishing(key_set(key(OLD)), *BAD, key_set(key(NEW))) as (keys, url):
        await wait_until(lambda: keys.of(url) == (OLD,), "the old key is known")
        keys.refresh_soon(url)
        keys_there = set()
        await wait_until(lambda: keys_there.add(keys.of(url)) or keys.of(url) == (NEW,), "the new key is known")

    assert keys_there == {(OLD,), (NEW,)}


async def test_keys_come_from_public_addresses_only(
    publishing: Any, wait_until: Any, provider: Any, logged_warnings: Any
) -> None:
    """The guard of everything that is fetched holds here, too."""
    async with publishing(key_set(key(OLD)), trusted=False) as (keys, url):
        await wait_until(lambda: "not a trusted host" in logged_warnings(), "the refusal is logged")
        assert keys.of(url) == ()

    assert provider.requests == []


async def test_old_keys_do_not_count(publishing: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A day after the last fetch, a key may have been taken back long ago."""
    async with publishing(key_set(key(OLD))) as (keys, url):
        await wait_until(lambda: keys.of(url), "the key is known")
        monkeypatch.setattr(jwks, "GOOD_FOR_S", 0.0)
        assert keys.of(url) == ()


def test_only_ed25519_keys_are_read() -> None:
    """Other kinds are in the same sets; so may be rubbish."""
    odd = [key(b"short"), key(OLD, kty="RSA"), key(OLD, crv="X25519"), key(OLD, x=5), key(OLD, x="é"), key(OLD, x="*")]
    bare = {"x": key(NEW)["x"]}
    body = json.dumps({"keys": [*odd, key(OLD, kid="k", use="sig"), bare], "more": 1}).encode()

    assert read_key_set(body) == (OLD, NEW)
    assert len(read_key_set(json.dumps({"keys": [key(OLD)] * 100}).encode())) == KEYS_MAX
    for text in (b"", b"\xff", b"null", b'{"keys": 5}', b'{"keys": [5]}', b'{"keys": []}', b"[" * 100_000):
        with pytest.raises(UpstreamAnswerUnreadable):
            read_key_set(text)


@pytest.fixture
def logged_warnings(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """Everything that was logged so far."""
    outputs: list[str] = []

    def ask() -> str:
        outputs.append(capsys.readouterr().out)
        return "".join(outputs) + caplog.text

    return ask

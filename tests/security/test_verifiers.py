"""Callbacks that must prove where they come from: what fails changes nothing."""

import ast
import base64
import hashlib
import hmac
import json
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.errors import CommandError
from framerelay.cli.http import listening_on, serving
from framerelay.runs.tokens import HookAddress, TakeAddress
from framerelay.upstream import jwks
from tests.security.signing import DONE, KEY, OTHER, RUN, STANDARD, TAKE, Headers, anyio, signed


@anyio
async def test_a_signed_callback_is_accepted_and_one_token_alone_is_not_enough(
    verifying: Any, call: Any, callbacks_of: Any, tasks: Any
) -> None:
    """Both are needed: the address and the signature."""
    async with verifying() as relay:
        alone = await call(relay)
        elsewhere = await relay.api.post("/webhook/wrong", content=DONE, headers=signed())
        good = await call(relay, DONE, signed())
        outcomes = {each["outcome"] for each in await callbacks_of(relay)}

    assert (alone.status_code, elsewhere.status_code, good.status_code) == (401, 404, 200)
    assert alone.json()["error"] == {
        "code": "unverified",
        "message": "the callback does not prove where it comes from",
        "param": None,
    }
    assert {"quarantined", "accepted"} <= outcomes
    assert await tasks() == ["look_up"]


def bad() -> list[tuple[bytes, Headers, str]]:
    """What is wrong in one way each: body, headers, and what the reason says."""
    now = time.time()
    return [
        (DONE, {}, "webhook-signature is missing"),
        (DONE, {**signed(), "webhook-signature": "v1"}, "fits none of the secrets"),
        (DONE, signed(key=OTHER), "fits none of the secrets"),
        (DONE + b" ", signed(), "the body was altered"),
        (DONE, signed(at=now - 3600), "before it was received; 300 are allowed"),
        (DONE, signed(at=now + 3600), "after it was received; 300 are allowed"),
        (DONE, {"x-signature": "sha256=" + "0" * 64}, "webhook-signature is missing"),
    ]


@anyio
async def test_what_is_not_signed_as_it_should_be_is_held_with_its_reason(
    verifying: Any, call: Any, callbacks_of: Any, tasks: Any
) -> None:
    """401; kept whole, unread; no task, no job's id, no status; and none can be replayed."""
    async with verifying() as relay:
        for body, headers, reason in bad():
            answer = await call(relay, body, headers)
            (newest, *_) = await callbacks_of(relay)
            again = await relay.api.post(f"/v1/callbacks/{newest['id']}/replay", json={"spend": True})
            assert (answer.status_code, newest["outcome"], again.status_code) == (401, "quarantined", 409), reason
            assert reason in newest["reason"]
            assert (newest["body"].encode(), newest["job_id"], newest["status"]) == (body, None, None)
            assert (newest["run"], newest["shot"], newest["take"]) == (RUN, "s1", 1)

    assert await tasks() == []


@anyio
async def test_a_body_that_nobody_could_verify_starts_nothing(
    verifying: Any, call: Any, callbacks_of: Any, tasks: Any
) -> None:
    """Too large, or encoded: answered as ever, kept without its body, not looked up, not replayed, not released."""
    async with verifying() as relay:
        large = await call(relay, b" " * (1 << 20) + DONE, signed())
        response = await call(relay, DONE, {**signed(), "Content-Encoding": "gzip"})
        callbacks = await callbacks_of(relay)
        ends = [
            await relay.api.post(f"/v1/callbacks/{each['id']}/{verb}")
            for each in callbacks
            for verb in ("replay", "release")
        ]

    assert (large.status_code, response.status_code) == (413, 415)
    assert sorted((each["outcome"], each["bytes"]) for each in callbacks) == [("encoded", 0), ("too_large", 0)]
    assert {end.status_code for end in ends} == {409}
    assert await tasks() == []


@anyio
async def test_nobody_suppresses_a_callback_by_sending_it_first(
    verifying: Any, call: Any, callbacks_of: Any, tasks: Any
) -> None:
    """Dedupe and conflicts come after the proof: a forged copy, or another ending, leaves no trace in either."""
    other_body = DONE.replace(b"succeeded", b"failed")
    async with verifying() as relay:
        answers = [await call(relay, body, {**signed(), "webhook-signature": "v1,AAAA"}) for body in (DONE, other_body)]
        first = await call(relay, DONE, signed())
        repeat = await call(relay, DONE, signed(name="msg_2"))
        outcomes = [each["outcome"] for each in await callbacks_of(relay)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert (first.json()["repeated"], repeat.json()["repeated"]) == (False, True)
    assert sorted(outcomes) == ["accepted", "quarantined", "quarantined"]
    assert await tasks() == ["look_up"]


@anyio
async def test_a_hook_asks_for_its_own_proof(verifying: Any, call: Any) -> None:
    """Else for the upstream's; ``none`` is how a person says that a token is enough there."""
    text = f"verify: {STANDARD}\nhooks:\n  open: {{verify: none}}\n  other: {{title: x}}\n"
    text += "  own: {verify: {scheme: static, header: X-Webhook-Secret, secret_file: secret}}\n"
    static = {"X-Webhook-Secret": "whsec_" + base64.b64encode(KEY).decode()}
    expected = {"open": (200, 200, 200), "other": (401, 200, 401), "unnamed": (401, 200, 401), "own": (401, 401, 200)}
    async with verifying(text) as relay:
        for hook, statuses in expected.items():
            address = HookAddress(hook=hook)
            answers = [await call(relay, DONE, headers, address) for headers in ({}, signed(), static)]
            assert tuple(answer.status_code for answer in answers) == statuses, hook


@anyio
async def test_only_the_headers_that_prove_something_are_kept(verifying: Any, call: Any, redis: Any) -> None:
    """Nowhere in Redis is a key, a cookie, or a secret that came in a header or was echoed in the body."""
    secret = "whsec_" + base64.b64encode(KEY).decode()
    text = "verify: {scheme: static, header: X-Webhook-Secret, secret_file: secret}"
    private = {"Authorization": "Bearer canary-a", "Cookie": "session=canary-b", "X-Other": "canary-c"}
    echo = json.dumps({"data": {"task_id": "job_1", "config": {"webhook_config": {"secret": secret}}}}).encode()
    async with verifying(text) as relay:
        answer = await call(relay, DONE, {**private, "X-Webhook-Secret": "canary-d"})
        passed_answer = await call(relay, echo, {**private, "X-Webhook-Secret": secret})
        listing = (await relay.api.get("/v1/callbacks")).text
    dumps = [await redis.dump(key) for key in await redis.keys("*")]
    records = [await redis.get(key) for key in await redis.keys("{framerelay}:callback:*")]
    for key in await redis.keys("{framerelay}:callbacks:*"):
        records += (await redis.hgetall(key)).values()

    assert (answer.status_code, passed_answer.status_code, len(records)) == (401, 200, 2)
    for place in (*dumps, *records, listing.encode()):
        assert b"canary" not in place
        assert secret.encode() not in place


@anyio
async def test_a_new_public_key_is_found_by_the_senders_next_try(
    verifying: Any, call: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No callback waits for a key: the first one is held, the keys are fetched, and the repeat passes."""
    monkeypatch.setattr(jwks, "REST_S", 0.01)  # The real rest is half a minute.
    old, new = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
    published_jwks = [old]

    async def publish(_: Request) -> Response:
        xs = [
            base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=") for key in published_jwks
        ]
        return JSONResponse({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x} for x in xs]})

    def fal(key: Ed25519PrivateKey, name: str) -> Headers:
        at = str(int(time.time()))
        message = f"{name}\nuser\n{at}\n{hashlib.sha256(DONE).hexdigest()}".encode()
        values = {"Request-Id": name, "User-Id": "user", "Timestamp": at, "Signature": key.sign(message).hex()}
        return {f"X-Fal-Webhook-{header}": value for header, value in values.items()}

    with listening_on("127.0.0.1", 0) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/jwks.json"
        provider = serving(Starlette(routes=[Route("/jwks.json", publish)]), listener)
        async with provider, verifying(f"verify: {{scheme: fal, jwks_url: '{url}'}}") as relay:
            assert (await call(relay, DONE, fal(old, "r1"))).status_code == 200
            published_jwks[:] = [new]
            assert (await call(relay, DONE, fal(new, "r2"))).status_code == 401

            async def passes() -> bool:
                return bool((await call(relay, DONE, fal(new, "r3"))).status_code == 200)

            await wait_until(passes, "the repeat passes under the new key")
            assert (await call(relay, DONE, fal(old, "r4"))).status_code == 401


@anyio
async def test_a_signature_over_the_address_fits_the_address_that_was_called(verifying: Any, call: Any) -> None:
    """Vidu's, as the request came in: path and query, and no other take's."""

    def vidu(path: str, query: str) -> Headers:
        date, nonce = formatdate(usegmt=True), "n0nce"
        text = f"POST\n{path}\n{query}\nvidu\n{date}\nDate:{date}\nx-request-nonce:{nonce}\n"
        signature = base64.b64encode(hmac.digest(b"the key", text.encode(), hashlib.sha256)).decode()
        names = {"X-HMAC-SIGNED-HEADERS": "Date;x-request-nonce", "X-HMAC-SIGNATURE": signature}
        return {"Date": date, "x-request-nonce": nonce, **names}

    async with verifying("verify: {scheme: vidu, secret_file: key}") as relay:
        here, there = (
            f"/webhook/{relay.tokens.mint(address)}"
            for address in (TAKE, TakeAddress(run_id=RUN, shot_id="s1", take=2))
        )
        answers = [
            await relay.api.post(here, content=DONE, headers=vidu(here, "")),
            await relay.api.post(f"{here}?a=1&b", content=DONE, headers=vidu(here, "a=1&b")),
            await relay.api.post(there, content=DONE, headers=vidu(here, "")),
            await relay.api.post(f"{here}?a=1", content=DONE, headers=vidu(here, "")),
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 401, 401]


@anyio
async def test_a_verifier_that_cannot_work_stops_the_start(verifying: Any, tmp_path: Path) -> None:
    """A misspelled key, a secret that is not there: nobody is let in by mistake, and nobody finds out by chance."""
    for text in ("verfy: none", "verify: {scheme: hmac, header: x, secret_env: GONE}", "hooks: {a: {verfy: x}}"):
        with pytest.raises(CommandError, match=r"framerelay\.yaml, line 1"):
            async with verifying(text):
                pass


def test_no_secret_is_compared_by_equality() -> None:
    """Static rule: in the checking half, ``==`` and ``in`` never touch a key, a digest or a signature."""
    source = (Path(__file__).parents[2] / "upstream" / "signatures.py").read_text(encoding="utf-8")
    secret = {"key", "keys", "digest", "digests", "signature", "candidate", "candidates", "right", "given"}
    events = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and secret & {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    ]

    assert events == []
    assert source.count("compare_digest(") == 1

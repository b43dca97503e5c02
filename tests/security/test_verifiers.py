"""Callbacks that must prove where they come from: what fails changes nothing, and nothing that is sent is a 500."""

import ast
import asyncio
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.cli.errors import CommandError
from framerelay.cli.http import listening_on, serving
from framerelay.receiver.door.quarantine import A_MINUTE, Quarantine
from framerelay.runs.tokens import HookAddress, TakeAddress
from framerelay.store.inbox import QUARANTINE_BYTES_MAX, QUARANTINE_MAX, Callback, Inbox
from framerelay.store.tasks import QUEUE, unpack
from framerelay.upstream import jwks

anyio = pytest.mark.anyio

KEY = b"a secret of some thirty bytes..."
OTHER = b"another secret of thirty bytes.."
RUN = "run_" + "a" * 24
TAKE = TakeAddress(run_id=RUN, shot_id="s1", take=1)
DONE = b'{"id":"job_1","status":"succeeded"}'
NOWHERE = "http://127.0.0.1:1"
STANDARD = "{scheme: standard-webhooks, secret_file: secret}"
Headers = dict[str, str]


def signed(body: bytes = DONE, *, at: float | None = None, key: bytes = KEY, name: str = "msg_1") -> Headers:
    """The headers of Standard Webhooks."""
    timestamp = str(int(time.time() if at is None else at))
    digest = hmac.digest(key, f"{name}.{timestamp}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": name, "webhook-timestamp": timestamp, "webhook-signature": signature}


@pytest.fixture
def verifying(tmp_path: Path, start_relay: Any) -> Callable[..., Any]:
    """``async with verifying(yaml, key) as relay``: a receiver alone, under that settings file and secret."""

    def start(text: str = f"verify: {STANDARD}", key: bytes = KEY) -> Any:
        (tmp_path / "framerelay.yaml").write_text(text, encoding="utf-8")
        (tmp_path / "key").write_text("the key", encoding="ascii")
        (tmp_path / "secret").write_text("whsec_" + base64.b64encode(key).decode() + "\n", encoding="ascii")
        return start_relay(NOWHERE, worker=False)

    return start


@pytest.fixture
def call() -> Callable[..., Any]:
    """``await call(relay, body, headers)``: one callback, at the take's address or another."""

    async def send(relay: Any, body: bytes = DONE, headers: Any = None, address: Any = TAKE) -> Any:
        path = f"/webhook/{relay.tokens.mint(address)}"
        return await relay.api.post(path, content=body, headers=headers or {})

    return send


@pytest.fixture
def listed() -> Callable[..., Any]:
    """``await listed(relay)``: what ``GET /v1/callbacks`` shows, newest first."""

    async def ask(relay: Any) -> list[dict[str, Any]]:
        answer = await relay.api.get("/v1/callbacks", params={"limit": 200})
        found: list[dict[str, Any]] = answer.json()["data"]
        return found

    return ask


@pytest.fixture
def tasks(redis: Any) -> Callable[..., Any]:
    """``await tasks()``: the names of the tasks that wait for a worker."""

    async def ask() -> list[str]:
        return [
            unpack(await redis.get(b"{framerelay}:arq:job:" + task))["f"] for task in await redis.zrange(QUEUE, 0, -1)
        ]

    return ask


@anyio
async def test_a_signed_callback_is_accepted_and_one_token_alone_is_not_enough(
    verifying: Any, call: Any, listed: Any, tasks: Any
) -> None:
    """Both are needed: the address and the signature."""
    async with verifying() as relay:
        alone = await call(relay)
        elsewhere = await relay.api.post("/webhook/wrong", content=DONE, headers=signed())
        good = await call(relay, DONE, signed())
        found = {each["outcome"] for each in await listed(relay)}

    assert (alone.status_code, elsewhere.status_code, good.status_code) == (401, 404, 200)
    assert alone.json()["error"] == {
        "code": "unverified",
        "message": "the callback does not prove where it comes from",
        "param": None,
    }
    assert {"quarantined", "accepted"} <= found
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
    verifying: Any, call: Any, listed: Any, tasks: Any
) -> None:
    """401; kept whole, unread; no task, no job's id, no status; and none can be replayed."""
    async with verifying() as relay:
        for body, headers, reason in bad():
            answer = await call(relay, body, headers)
            (newest, *_) = await listed(relay)
            again = await relay.api.post(f"/v1/callbacks/{newest['id']}/replay", json={"spend": True})
            assert (answer.status_code, newest["outcome"], again.status_code) == (401, "quarantined", 409), reason
            assert reason in newest["reason"]
            assert (newest["body"].encode(), newest["job_id"], newest["status"]) == (body, None, None)
            assert (newest["run"], newest["shot"], newest["take"]) == (RUN, "s1", 1)

    assert await tasks() == []


@anyio
async def test_a_body_that_nobody_could_verify_starts_nothing(
    verifying: Any, call: Any, listed: Any, tasks: Any
) -> None:
    """Too large, or encoded: answered as ever, kept without its body, not looked up, not replayed, not released."""
    async with verifying() as relay:
        large = await call(relay, b" " * (1 << 20) + DONE, signed())
        encoded = await call(relay, DONE, {**signed(), "Content-Encoding": "gzip"})
        found = await listed(relay)
        ends = [
            await relay.api.post(f"/v1/callbacks/{each['id']}/{verb}")
            for each in found
            for verb in ("replay", "release")
        ]

    assert (large.status_code, encoded.status_code) == (413, 415)
    assert sorted((each["outcome"], each["bytes"]) for each in found) == [("encoded", 0), ("too_large", 0)]
    assert {end.status_code for end in ends} == {409}
    assert await tasks() == []


@anyio
async def test_nobody_suppresses_a_callback_by_sending_it_first(
    verifying: Any, call: Any, listed: Any, tasks: Any
) -> None:
    """Dedupe and conflicts come after the proof: a forged copy, or another ending, leaves no trace in either."""
    failed = DONE.replace(b"succeeded", b"failed")
    async with verifying() as relay:
        forged = [await call(relay, body, {**signed(), "webhook-signature": "v1,AAAA"}) for body in (DONE, failed)]
        first = await call(relay, DONE, signed())
        repeat = await call(relay, DONE, signed(name="msg_2"))
        found = [each["outcome"] for each in await listed(relay)]

    assert [answer.status_code for answer in forged] == [401, 401]
    assert (first.json()["repeated"], repeat.json()["repeated"]) == (False, True)
    assert sorted(found) == ["accepted", "quarantined", "quarantined"]
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
async def test_a_wrong_secret_of_ours_loses_nothing(verifying: Any, call: Any, listed: Any, tasks: Any) -> None:
    """Mended and started again, the receiver verifies what it held, byte for byte, and lets only that go."""
    async with verifying(key=OTHER) as relay:
        assert (await call(relay, DONE, signed())).status_code == 401
        assert (await call(relay, DONE + b" ", signed())).status_code == 401
        (held,) = [each["id"] for each in await listed(relay) if each["body"] == DONE.decode()]
        early = await relay.api.post(f"/v1/callbacks/{held}/release")
        assert early.status_code == 409
        assert "still does not prove where it comes from: the signature in webhook-signature" in early.text
        assert await tasks() == []

    async with verifying() as relay:
        assert (await relay.api.post(f"/v1/callbacks/{held}/release", headers=NO_KEY)).status_code == 401
        assert (await relay.api.post("/v1/callbacks/release", headers=NO_KEY)).status_code == 401
        answer = await relay.api.post(f"/v1/callbacks/{held}/release")
        again = await relay.api.post(f"/v1/callbacks/{held}/release")
        found = {each["id"]: each for each in await listed(relay)}
        repeat = await call(relay, DONE, signed())

    assert answer.json() == {
        "object": "release",
        "id": held,
        "released": True,
        "outcome": "accepted",
        "repeated": False,
        "reason": None,
    }
    assert (again.status_code, found[held]["outcome"], found[held]["job_id"]) == (409, "accepted", "job_1")
    assert repeat.json() == {"received": True, "repeated": True}
    assert [each["outcome"] for each in found.values()].count("quarantined") == 1
    assert await tasks() == ["look_up"]


NO_KEY = {"Authorization": "Bearer wrong"}


@anyio
async def test_all_are_released_at_once_and_each_says_what_became_of_it(
    verifying: Any, call: Any, listed: Any, tasks: Any, redis: Any
) -> None:
    """Oldest first; a forged one stays; what the sender has sent again meanwhile is not processed twice."""
    second = DONE.replace(b"job_1", b"job_2")
    async with verifying(key=OTHER) as relay:
        for body, headers in ((DONE, signed()), (second, signed(second)), (DONE, signed(key=b"forged"))):
            assert (await call(relay, body, headers)).status_code == 401
    async with verifying() as relay:
        assert (await call(relay, DONE, signed())).status_code == 200
        answer = (await relay.api.post("/v1/callbacks/release")).json()
        again = (await relay.api.post("/v1/callbacks/release")).json()
        found = [each["outcome"] for each in await listed(relay)]

    said = [(each["released"], each["repeated"], each["outcome"]) for each in answer["data"]]
    assert said == [(True, True, "accepted"), (True, False, "accepted"), (False, False, "quarantined")]
    assert [each["released"] for each in again["data"]] == [False]
    assert sorted(found) == ["accepted", "accepted", "quarantined"]
    assert await tasks() == ["look_up", "look_up"]


@anyio
async def test_what_is_released_is_judged_as_of_its_receipt(verifying: Any, redis: Any, tasks: Any) -> None:
    """A callback of last week is not too old because a person was slow; one that was too old then still is."""
    inbox, a_week_ago = Inbox(redis, keep_s=10**6), time.time() - 7 * 86_400
    async with verifying() as relay:
        for name, at in (("cb_then", a_week_ago), ("cb_late", a_week_ago - 301)):
            evidence = tuple(signed(at=at).items())
            ids = {"run_id": RUN, "shot_id": "s1", "take": 1}
            held = {"outcome": "quarantined", "held": True, "evidence": evidence, **ids}
            await inbox.hold(Callback(id=name, received_at=a_week_ago, body=DONE, **held))  # type: ignore[arg-type]
        answers = [await relay.api.post(f"/v1/callbacks/{name}/release") for name in ("cb_then", "cb_late")]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert await tasks() == ["look_up"]


@anyio
async def test_only_the_headers_that_prove_something_are_kept(verifying: Any, call: Any, redis: Any) -> None:
    """Nowhere in Redis stands a key, a cookie, or a secret that came in a header or was echoed in the body."""
    secret = "whsec_" + base64.b64encode(KEY).decode()
    text = "verify: {scheme: static, header: X-Webhook-Secret, secret_file: secret}"
    private = {"Authorization": "Bearer canary-a", "Cookie": "session=canary-b", "X-Other": "canary-c"}
    echo = json.dumps({"data": {"task_id": "job_1", "config": {"webhook_config": {"secret": secret}}}}).encode()
    async with verifying(text) as relay:
        refused = await call(relay, DONE, {**private, "X-Webhook-Secret": "canary-d"})
        passed = await call(relay, echo, {**private, "X-Webhook-Secret": secret})
        shown = (await relay.api.get("/v1/callbacks")).text
    kept = [await redis.dump(key) for key in await redis.keys("*")]
    records = [await redis.get(key) for key in await redis.keys("{framerelay}:callback:*")]

    assert (refused.status_code, passed.status_code, len(records)) == (401, 200, 2)
    for place in (*kept, *records, shown.encode()):
        assert b"canary" not in place
        assert secret.encode() not in place


@anyio
async def test_quarantine_is_bounded_in_number_and_in_bytes(redis: Any) -> None:
    """The newest stay; what is accepted is never pushed out."""
    inbox = Inbox(redis, keep_s=100)
    await inbox.accept(
        Callback(id="cb_good", received_at=1.0, outcome="accepted", body=b""), fingerprint="f", task=None
    )
    for number in range(QUARANTINE_MAX + 5):
        await inbox.hold(Callback(id=f"cb_{number}", received_at=1.0, outcome="quarantined", body=b"", held=True))
    many = await inbox.held_ids()
    large = b"x" * (1 << 20)
    for number in range(20):
        await inbox.hold(Callback(id=f"cb_L{number}", received_at=1.0, outcome="quarantined", body=large, held=True))
    few = await inbox.held_ids()

    assert (len(many), many[0], many[-1]) == (QUARANTINE_MAX, "cb_5", f"cb_{QUARANTINE_MAX + 4}")
    assert few == [f"cb_L{number}" for number in range(20 - QUARANTINE_BYTES_MAX // (1 << 20) + 1, 20)]
    assert sorted(each.id for each in await inbox.recent(limit=1000)) == sorted(["cb_good", *few])
    assert len(await redis.keys("{framerelay}:callback:*")) == len(few) + 1


@anyio
async def test_a_flood_of_forged_callbacks_costs_redis_one_write_in_a_second(redis: Any) -> None:
    """Any further one is refused all the same, and a minute later some are kept again."""
    clock = 0.0
    quarantine = Quarantine(Inbox(redis, keep_s=100), clock=lambda: clock)

    async def kept(count: int) -> int:
        held = [Callback(id=f"cb_{n}", received_at=1.0, outcome="quarantined", body=b"") for n in range(count)]
        return sum([await quarantine.hold(each, within_s=3) for each in held])

    first, clock = await kept(A_MINUTE + 20), 59.0
    early, clock = await kept(5), 61.0

    assert (first, early, await kept(5)) == (A_MINUTE, 0, 5)


@anyio
async def test_what_cannot_be_held_is_to_be_sent_again(verifying: Any, call: Any, redis: Any) -> None:
    """503 without Redis: a 401 would tell a sender whose secret we have wrong that nobody wants its callback."""
    async with verifying() as relay:
        await redis.config_set("maxmemory", "1")
        try:
            answer = await call(relay, DONE, signed(key=OTHER))
        finally:
            await redis.config_set("maxmemory", "0")

    assert answer.status_code == 503
    assert answer.headers["retry-after"].isdigit()


@anyio
async def test_a_new_public_key_is_found_by_the_senders_next_try(
    verifying: Any, call: Any, wait_until: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No callback waits for a key: the first one is held, the keys are fetched, and the repeat passes."""
    monkeypatch.setattr(jwks, "REST_S", 0.01)  # The real rest is half a minute.
    old, new = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2))
    published = [old]

    async def publish(_: Request) -> Response:
        xs = [base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=") for key in published]
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
            published[:] = [new]
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
    """A misspelt key, a secret that is not there: nobody is let in by mistake, and nobody finds out by chance."""
    for text in ("verfy: none", "verify: {scheme: hmac, header: x, secret_env: GONE}", "hooks: {a: {verfy: x}}"):
        with pytest.raises(CommandError, match=r"framerelay\.yaml, line 1"):
            async with verifying(text):
                pass


class Door:
    """A receiver on a loop that runs only while it is asked, so that a property can be put to it example by example."""

    def __init__(self, started: Any) -> None:
        self._runner = asyncio.Runner()
        self._started = started

    def __enter__(self) -> "Door":
        self.relay = self._runner.run(self._started.__aenter__())
        self.path = f"/webhook/{self.relay.tokens.mint(TAKE)}"
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._started.__aexit__(None, None, None))
        self._runner.close()

    def status(self, raw: bytes) -> int:
        """The status that *raw* is answered with; 0 if the connection was closed without a word."""
        return self._runner.run(self._say(raw))

    async def _say(self, raw: bytes) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.relay.settings.port)
        writer.write(raw)
        async with asyncio.timeout(60):
            line = await reader.readline()
        writer.close()
        return int(line.split(b" ")[1]) if line else 0


SCHEMES = {
    "standard": STANDARD,
    "hmac": "{scheme: hmac, secret_file: secret, header: webhook-signature, prefix: 'sha256='}",
    "timestamped": "{scheme: timestamped, secret_file: secret, header: webhook-signature}",
    "kie": "{scheme: kie, secret_file: secret, header: webhook-signature, timestamp_header: webhook-timestamp}",
    "static": "{scheme: static, secret_file: secret, header: webhook-signature}",
    "fal": "{scheme: fal, jwks_url: 'http://127.0.0.1:1/none'}",
    "gemini-v1a": "{scheme: gemini-v1a, jwks_url: 'http://127.0.0.1:1/none'}",
    "vidu": "{scheme: vidu, secret_file: secret}",
    "pixverse": "{scheme: pixverse, secret_file: secret}",
}
NAMES = [
    b"webhook-id",
    b"webhook-timestamp",
    b"webhook-signature",
    *(f"x-fal-webhook-{n}".encode() for n in ("request-id", "user-id", "timestamp", "signature")),
    *(b"date", b"x-request-nonce", b"x-hmac-signed-headers", b"x-hmac-signature", b"webhook-nonce"),
]
PLAIN = [b"", b" ", b"v1", b"v1,", b"v1a,x", b"t=", b"t=,v1=", b"sha256=", b"v1,\xff\xfe", b"0" * 128, b"9" * 300, b","]
VALUES = st.one_of(
    st.sampled_from([*PLAIN, *(value.encode() for value in signed().values())]),
    st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\r\n\0")),
)
BODIES = st.one_of(st.sampled_from([DONE, b"", b"{", b"[]", b'{"id":5}', b"\xff", b"[" * 500]), st.binary(max_size=80))


@pytest.fixture(params=SCHEMES)
def door(request: pytest.FixtureRequest, verifying: Any) -> Iterator[Door]:
    """One receiver for each scheme."""
    with Door(verifying(f"verify: {SCHEMES[request.param]}")) as opened:
        yield opened


def test_no_header_and_no_body_is_a_500(door: Door) -> None:
    """Property: names in any case, doubled, empty, of any bytes, with whatever body; and nothing unsigned passes."""
    seen: set[int] = set()

    @settings(max_examples=60)
    @given(
        headers=st.lists(st.tuples(st.sampled_from(NAMES), st.booleans(), VALUES), max_size=6),
        body=BODIES,
    )
    def ask(headers: list[tuple[bytes, bool, bytes]], body: bytes) -> None:
        lines = [name.upper() + b": " + value if loud else name + b":" + value for name, loud, value in headers]
        head = [f"POST {door.path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}".encode(), *lines]
        status = door.status(b"\r\n".join([*head, b"Connection: close", b"", b""]) + body)
        seen.add(status)
        right = dict((name, value) for name, _, value in headers)
        if status == 200:
            assert body == DONE
            assert {name: right[name.encode()].decode() for name in signed()} == signed(at=float(right[NAMES[1]]))

    ask()
    assert 401 in seen
    assert seen <= {200, 400, 401}


def test_no_secret_is_compared_by_equality() -> None:
    """Static rule: in the checking half, ``==`` and ``in`` never touch a key, a digest or a signature."""
    source = (Path(__file__).parents[2] / "upstream" / "signatures.py").read_text(encoding="utf-8")
    secret = {"key", "keys", "digest", "digests", "signature", "candidate", "candidates", "right", "given"}
    touched = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare) and secret & {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    ]

    assert touched == []
    assert source.count("compare_digest(") == 1


@anyio
async def test_the_command_releases_what_was_held(verifying: Any, call: Any) -> None:
    """One by its ID, or all; it says what stays, and why."""
    second = DONE.replace(b"job_1", b"job_2")

    async def framerelay(relay: Any, *words: str) -> tuple[int, str]:
        environ = {**os.environ, "FRAMERELAY_URL": relay.settings.listen_url, "FRAMERELAY_API_KEY": "fr_test"}
        program = str(Path(sys.executable).with_name("framerelay"))
        process = await asyncio.create_subprocess_exec(
            program, *words, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        out, _ = await process.communicate()
        return process.returncode or 0, out.decode()

    async with verifying(key=OTHER) as relay:
        for body, headers in ((DONE, signed()), (second, signed(second)), (DONE, signed(key=b"forged"))):
            assert (await call(relay, body, headers)).status_code == 401
    async with verifying() as relay:
        _, listing = await framerelay(relay, "callbacks")
        forged, newer, older = (line.split()[0] for line in listing.splitlines())
        one = await framerelay(relay, "release", older)
        again = await framerelay(relay, "release", older)
        rest = await framerelay(relay, "release", "--all")
        usage = [(await framerelay(relay, "release", *words))[0] for words in ((), (older, "--all"))]

    assert listing.count("quarantined") == 3
    assert one == (0, f"{older}  released: accepted\n")
    assert again == (1, "framerelay: it is not in quarantine; it was kept as accepted\n")
    assert rest[1].splitlines()[0] == f"{newer}  released: accepted"
    assert rest[1].splitlines()[1].startswith(f"{forged}  still held: the signature in webhook-signature fits none")
    assert usage == [2, 2]

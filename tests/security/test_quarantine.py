"""Callbacks that are held: how many, for how long, and what becomes of them once a person releases them."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from framerelay.receiver.door.quarantine import A_MINUTE, Quarantine
from framerelay.runs.errors import StoreUnavailable
from framerelay.store.inbox import QUARANTINE_BYTES_MAX, QUARANTINE_MAX, Callback, Inbox
from tests.security.signing import DONE, OTHER, RUN, anyio, signed


@anyio
async def test_a_wrong_secret_of_ours_loses_nothing(verifying: Any, call: Any, callbacks_of: Any, tasks: Any) -> None:
    """Corrected and restarted, the receiver verifies what it held, byte for byte, and releases only that."""
    async with verifying(key=OTHER) as relay:
        assert (await call(relay, DONE, signed())).status_code == 401
        assert (await call(relay, DONE + b" ", signed())).status_code == 401
        (callback_id,) = [each["id"] for each in await callbacks_of(relay) if each["body"] == DONE.decode()]
        early = await relay.api.post(f"/v1/callbacks/{callback_id}/release")
        assert early.status_code == 409
        assert "still does not prove where it comes from: the signature in webhook-signature" in early.text
        assert await tasks() == []

    async with verifying() as relay:
        assert (await relay.api.post(f"/v1/callbacks/{callback_id}/release", headers=NO_KEY)).status_code == 401
        assert (await relay.api.post("/v1/callbacks/release", headers=NO_KEY)).status_code == 401
        answer = await relay.api.post(f"/v1/callbacks/{callback_id}/release")
        again = await relay.api.post(f"/v1/callbacks/{callback_id}/release")
        callbacks = {each["id"]: each for each in await callbacks_of(relay)}
        repeat = await call(relay, DONE, signed())

    assert answer.json() == {
        "object": "release",
        "id": callback_id,
        "released": True,
        "outcome": "accepted",
        "repeated": False,
        "reason": None,
    }
    assert (again.status_code, callbacks[callback_id]["outcome"], callbacks[callback_id]["job_id"]) == (
        409,
        "accepted",
        "job_1",
    )
    assert repeat.json() == {"received": True, "repeated": True}
    assert [each["outcome"] for each in callbacks.values()].count("quarantined") == 1
    assert await tasks() == ["look_up"]


NO_KEY = {"Authorization": "Bearer wrong"}


@anyio
async def test_all_are_released_at_once_each_with_its_outcome(
    verifying: Any, call: Any, callbacks_of: Any, tasks: Any, redis: Any
) -> None:
    """Oldest first; a forged one stays; what the sender has sent again since is not processed twice."""
    second = DONE.replace(b"job_1", b"job_2")
    async with verifying(key=OTHER) as relay:
        for body, headers in ((DONE, signed()), (second, signed(second)), (DONE, signed(key=b"forged"))):
            assert (await call(relay, body, headers)).status_code == 401
    async with verifying() as relay:
        assert (await call(relay, DONE, signed())).status_code == 200
        answer = (await relay.api.post("/v1/callbacks/release")).json()
        again = (await relay.api.post("/v1/callbacks/release")).json()
        outcomes = [each["outcome"] for each in await callbacks_of(relay)]

    releases = [(each["released"], each["repeated"], each["outcome"]) for each in answer["data"]]
    assert releases == [(True, True, "accepted"), (True, False, "accepted"), (False, False, "quarantined")]
    assert [each["released"] for each in again["data"]] == [False]
    assert sorted(outcomes) == ["accepted", "accepted", "quarantined"]
    assert await tasks() == ["look_up", "look_up"]


@anyio
async def test_what_is_released_is_judged_as_of_its_receipt(verifying: Any, redis: Any, tasks: Any) -> None:
    """A callback of last week is not too old because a person was slow; one that was too old then still is."""
    inbox, a_week_ago = Inbox(redis, keep_s=10**6), time.time() - 7 * 86_400
    async with verifying() as relay:
        for name, at in (("cb_then", a_week_ago), ("cb_late", a_week_ago - 301)):
            evidence = tuple(signed(at=at).items())
            ids = {"run_id": RUN, "shot_id": "s1", "take": 1}
            fields = {"outcome": "quarantined", "held": True, "evidence": evidence, **ids}
            await inbox.hold(Callback(id=name, received_at=a_week_ago, body=DONE, **fields))  # type: ignore[arg-type]
        answers = [await relay.api.post(f"/v1/callbacks/{name}/release") for name in ("cb_then", "cb_late")]

    assert [answer.status_code for answer in answers] == [200, 409]
    assert await tasks() == ["look_up"]


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
    assert len(await redis.keys("{framerelay}:callback:*")) == len(few)


@anyio
async def test_of_a_release_that_was_interrupted_nothing_raw_stays_and_nothing_is_lost(
    verifying: Any, call: Any, callbacks_of: Any, tasks: Any, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its receiver died after it was accepted: the next release finishes that, and no flood of forged ones harms it."""
    raw = b'{"id": "job_%d", "output": {"videos": ["https://cdn.example.com/c.mp4?sig=canary"]}}'
    async with verifying(key=OTHER) as relay:
        for number in range(3):
            assert (await call(relay, raw % number, signed(raw % number))).status_code == 401
    ids = await Inbox(redis, keep_s=100).held_ids()
    async with verifying() as relay:
        with monkeypatch.context() as patch:
            patch.setattr(Inbox, "release", _die)
            for name in ids:
                await relay.api.post(f"/v1/callbacks/{name}/release")
        outcomes = {each["id"]: each["outcome"] for each in await callbacks_of(relay)}
        raw_records = await redis.keys("{framerelay}:callback:*")
        one = await relay.api.post(f"/v1/callbacks/{ids[0]}/release")
        places = await Inbox(redis, keep_s=100).held_ids()
        for number in range(QUARANTINE_MAX):
            forgery = Callback(id=f"cb_{number}", received_at=1.0, outcome="quarantined", body=b"", held=True, hook="h")
            await Inbox(redis, keep_s=100).hold(forgery)
        all_of_them = await relay.api.post("/v1/callbacks/release")
    listing = await Inbox(redis, keep_s=100).recent(limit=1000)

    assert outcomes == dict.fromkeys(ids, "accepted")
    assert raw_records == []
    assert (one.status_code, places) == (409, ids[1:])
    assert all_of_them.status_code == 200
    assert {each.id for each in listing if each.outcome == "accepted"} == set(ids)
    assert await tasks() == ["look_up"] * 3
    for key in await redis.keys("*"):
        assert b"canary" not in await redis.dump(key)


async def _die(*_: Any, **__: Any) -> None:
    raise StoreUnavailable("the receiver was killed")


@anyio
async def test_a_release_takes_nothing_from_what_an_earlier_version_accepted(verifying: Any, redis: Any) -> None:
    """Its record has a key of its own, as those in quarantine have."""
    record = Callback(id="cb_earlier", received_at=1.0, outcome="accepted", body=b"{}", hook="h")
    await redis.set("{framerelay}:callback:cb_earlier", msgspec.msgpack.encode(record), px=50_000)
    await redis.zadd("{framerelay}:callbacks", {"cb_earlier": int(time.time() * 1000)})
    await redis.lpush("{framerelay}:quarantine", "cb_earlier")
    async with verifying() as relay:
        one = await relay.api.post("/v1/callbacks/cb_earlier/release")
        await relay.api.post("/v1/callbacks/release")

    assert one.status_code == 409
    assert await Inbox(redis, keep_s=100).find("cb_earlier") == record
    assert await redis.llen("{framerelay}:quarantine") == 0


@anyio
async def test_a_flood_of_forged_callbacks_costs_redis_one_write_in_a_second(redis: Any) -> None:
    """Any further one is refused all the same, and a minute later some are kept again."""
    clock = 0.0
    quarantine = Quarantine(Inbox(redis, keep_s=100), clock=lambda: clock)

    async def hold(count: int) -> int:
        callbacks = [Callback(id=f"cb_{n}", received_at=1.0, outcome="quarantined", body=b"") for n in range(count)]
        return sum([await quarantine.hold(each, within_s=3) for each in callbacks])

    first, clock = await hold(A_MINUTE + 20), 59.0
    early, clock = await hold(5), 61.0

    assert (first, early, await hold(5)) == (A_MINUTE, 0, 5)


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
        forgery, newer, older = (line.split()[0] for line in listing.splitlines())
        one = await framerelay(relay, "release", older)
        again = await framerelay(relay, "release", older)
        rest = await framerelay(relay, "release", "--all")
        usage = [(await framerelay(relay, "release", *words))[0] for words in ((), (older, "--all"))]

    assert listing.count("quarantined") == 3
    assert one == (0, f"{older}  released: accepted\n")
    assert again == (1, "framerelay: it is not in quarantine; it was kept as accepted\n")
    assert rest[1].splitlines()[0] == f"{newer}  released: accepted"
    assert rest[1].splitlines()[1].startswith(f"{forgery}  still held: the signature in webhook-signature fits none")
    assert usage == [2, 2]

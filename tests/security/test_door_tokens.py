"""Callback addresses: they live as long as their job may call, and a dead one is like one that never was."""

import time
from typing import Any

import pytest

from framerelay.runs.tokens import HookAddress, TakeAddress, Tokens

pytestmark = pytest.mark.anyio

RUN = "run_" + "a" * 24
DONE = b'{"id":"job_1","status":"succeeded"}'


async def test_wrong_malformed_ended_and_unknown_addresses_get_the_very_same_answer(
    start_relay: Any, talk: Any, post: Any
) -> None:
    """Status, headers and body, byte for byte: nobody can tell an address that was once right."""
    async with start_relay("http://127.0.0.1:1", worker=False) as relay:
        take = TakeAddress(run_id=RUN, shot_id="s1", take=1, ends_at=int(time.time()) + 1000)
        right, hook = relay.tokens.mint(take), relay.tokens.mint(HookAddress(hook="mine"))
        old_token = relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1, ends_at=int(time.time()) - 1))
        foreign = Tokens("another secret").mint(take)
        wrong = [old_token, foreign, right[:-1], right + "A", f"{hook.partition('.')[0]}.{right.partition('.')[2]}"]
        odd = [
            "",
            "x",
            ".",
            "..",
            "%00",
            "%ff",
            "%2e%2e%2f",
            right + "/more",
            "a" * 9000,
            "%F0%9F%8E%AC",
            "%0A",
            "a%0Ab",
        ]
        answers = {token: await talk(relay, post(f"/webhook/{token}", DONE)) for token in [*wrong, *odd]}
        good = await talk(relay, post(f"/webhook/{right}", DONE))

    assert good.status == 200
    assert answers[old_token].status == 404
    assert {token for token, answer in answers.items() if answer != answers[old_token]} == set()


async def test_a_repeat_within_the_life_of_an_address_gets_its_200(start_relay: Any, talk: Any, post: Any) -> None:
    """Long after the job has ended, as long as the address has not; and under an address of another end, too."""
    async with start_relay("http://127.0.0.1:1", worker=False) as relay:
        soon, later = int(time.time()) + 30, int(time.time()) + 90_000
        tokens = [
            relay.tokens.mint(TakeAddress(run_id=RUN, shot_id="s1", take=1, ends_at=end)) for end in (soon, later)
        ]
        answers = [await talk(relay, post(f"/webhook/{token}", DONE)) for token in (tokens[0], *tokens)]

    assert [answer.status for answer in answers] == [200, 200, 200]
    assert [b'"repeated":true' in answer.body for answer in answers] == [False, True, True]


@pytest.mark.parametrize(("fields", "life_s"), [({}, 7_200), ({"execution_expires_after": 600}, 600)])
async def test_an_address_lives_a_day_longer_than_its_job_may(
    start_provider: Any, start_relay: Any, fields: dict[str, Any], life_s: int
) -> None:
    """The job's own limit goes before the setting; a callback may come after the end, and be repeated."""
    shot = {"id": "s1", "prompt": "a car", **fields}
    before = time.time()
    async with start_provider() as provider, start_relay(provider.url, unsure_hold_s=7_200.0) as relay:
        run = await relay.wait_for_end(await relay.run({"model": "seedance-1.5-pro-1080p", "shots": [shot]}))
        (job,) = (await provider.journal())["jobs"]
        after = time.time()

    address = relay.tokens.read(job["input"]["callback_url"].rpartition("/")[2], now=after)
    assert run["status"] == "succeeded"
    assert address.name == TakeAddress(run_id=run["id"], shot_id="s1", take=1).name
    assert before + life_s + 86_400 <= address.ends_at <= after + life_s + 86_401

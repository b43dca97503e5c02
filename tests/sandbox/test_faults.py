"""Each switch does what it says, and the same seed strikes the same jobs."""

import asyncio

import pytest

from framerelay.sandbox import Faults
from framerelay.sandbox.faults import OptionInvalid

pytestmark = pytest.mark.anyio

GOOD = {"model": "seedance-1.5-pro-1080p", "input": {"prompt": "rain"}}


async def test_a_job_calls_back_at_each_change_in_order(sandbox, receiver) -> None:
    """With the body of a look-up."""
    async with sandbox() as client:
        job_id = await client.submit(callback_url=receiver.url)
        document = await client.wait_for_end(job_id)
        await receiver.wait_for(3)
        journal = await client.journal()

    assert receiver.states == ["queued", "processing", "succeeded"]
    assert receiver.bodies[-1] == document
    assert {receiver.url: 1} == journal["jobs_per_callback_url"]
    assert [callback["outcome"] for callback in journal["jobs"][0]["callbacks"]] == [200, 200, 200]


async def test_callbacks_are_sent_after_the_submit_is_answered(sandbox, receiver, monkeypatch) -> None:
    """A slow answer holds them back: unless the switch ``early`` is on, nobody hears of a job before its submitter."""
    monkeypatch.setattr("framerelay.sandbox.service.SLOW_S", 0.6)
    async with sandbox(faults=Faults(slow=1.0)) as client:
        submit = asyncio.create_task(client.post(GOOD | {"input": {"prompt": "x", "callback_url": receiver.url}}))
        ended_tasks, _ = await asyncio.wait([submit], timeout=0.3)
        before = (len(ended_tasks), receiver.states)
        await submit
        await receiver.wait_for(3)

    assert before == (0, [])


async def test_an_early_callback_arrives_before_the_answer(sandbox, receiver) -> None:
    """The race that a receiver must survive."""
    async with sandbox(faults=Faults(early=1.0)) as client:
        await client.submit(callback_url=receiver.url)
        states = list(receiver.states)

    assert states[:1] == ["queued"]


async def test_a_final_callback_is_tried_three_times_and_others_once(sandbox, receiver) -> None:
    """As Ark documents it."""
    receiver.answers = [503]
    async with sandbox() as client:
        await client.wait_for_end(await client.submit(callback_url=receiver.url))
        await receiver.wait_for(5)
        callbacks = await client.callbacks(3)

    assert receiver.states == ["queued", "processing", "succeeded", "succeeded", "succeeded"]
    assert [callback["tries"] for callback in callbacks] == [1, 1, 3]


async def test_a_callback_that_is_taken_is_not_tried_again(sandbox, receiver) -> None:
    """Any 2xx counts."""
    receiver.answers = [200, 200, 500, 202]
    async with sandbox() as client:
        await client.wait_for_end(await client.submit(callback_url=receiver.url))
        callbacks = await client.callbacks(3)

    assert (len(receiver.bodies), callbacks[-1]) == (4, {"state": "succeeded", "outcome": 202, "tries": 2})


async def test_a_slow_receiver_counts_as_no_receiver(sandbox, receiver) -> None:
    """5 s in the documentation, less here."""
    receiver.wait_s = 0.3
    async with sandbox(callback_timeout_s=0.1, callback_tries=2) as client:
        await client.wait_for_end(await client.submit(callback_url=receiver.url))
        callbacks = await client.callbacks(3)

    assert callbacks[-1] == {"state": "succeeded", "outcome": "TimeoutError", "tries": 2}


async def test_lost_callbacks_are_not_sent(sandbox, receiver) -> None:
    """Not even tried again."""
    async with sandbox(faults=Faults(lose=1.0)) as client:
        await client.wait_for_end(await client.submit(callback_url=receiver.url))
        callbacks = await client.callbacks(3)

    assert (receiver.bodies, [callback["outcome"] for callback in callbacks]) == ([], ["lost on purpose"] * 3)


async def test_repeated_callbacks_come_three_times(sandbox, receiver) -> None:
    """At once, which is when a receiver may count twice."""
    async with sandbox(faults=Faults(repeat=1.0)) as client:
        await client.wait_for_end(await client.submit(callback_url=receiver.url))
        await receiver.wait_for(9)

    assert receiver.states == ["queued"] * 3 + ["processing"] * 3 + ["succeeded"] * 3


async def test_reordered_callbacks_come_after_later_ones(sandbox, receiver) -> None:
    """The end first."""
    async with sandbox(faults=Faults(reorder=1.0)) as client:
        await client.wait_for_end(await client.submit(callback_url=receiver.url))
        await receiver.wait_for(3)

    assert receiver.states == ["succeeded", "processing", "queued"]


async def test_unavailable_strikes_look_ups_uploads_and_downloads(sandbox, receiver) -> None:
    """Harmless calls: a client may try again, and meets a fresh draw."""
    async with sandbox(faults=Faults(unavailable=1.0)) as client:
        job_id = await client.submit(callback_url=receiver.url)
        await client.callbacks(3)
        files = {"file": ("a.png", b"1")}
        answers = [
            await client.http.get(f"{client.url}/v1/jobs/{job_id}"),
            await client.http.get(f"{client.url}/outputs/{job_id}.mp4"),
            await client.http.post(
                f"{client.url}/v1/files/upload", data={"kind": "image", "purpose": "x"}, files=files
            ),
        ]

    assert [answer.status_code for answer in answers] == [503, 503, 503]


async def test_a_lost_answer_is_a_job_all_the_same(sandbox, receiver) -> None:
    """500 to the client, and yet it is paid and calls back."""
    async with sandbox(faults=Faults(accept_then_500=1.0)) as client:
        response = await client.post(GOOD | {"input": {"prompt": "x", "callback_url": receiver.url}})
        await receiver.wait_for(3)
        journal = await client.journal()

    assert (response.status_code, response.json()["error"]["code"]) == (500, "InternalServiceError")
    assert (journal["submits"][0]["answer"], journal["submits"][0]["job_id"]) == (500, journal["jobs"][0]["id"])


async def test_a_rate_limited_submit_accepts_nothing(sandbox) -> None:
    """With a time to come back."""
    async with sandbox(faults=Faults(rate_limit=1.0)) as client:
        response = await client.post(GOOD)
        journal = await client.journal()

    assert (response.status_code, response.headers["retry-after"], journal["jobs"]) == (429, "1", [])


@pytest.mark.parametrize(
    ("faults", "status", "code"),
    [(Faults(busy=1.0), 503, "ServiceUnavailable"), (Faults(refuse_with_200=1.0), 200, 4001)],
)
async def test_a_submit_can_be_refused_in_other_ways(sandbox, faults: Faults, status: int, code: object) -> None:
    """With the words where each has them; nothing is accepted."""
    async with sandbox(faults=faults) as client:
        response = await client.post(GOOD)
        journal = await client.journal()

    body = response.json()
    assert (response.status_code, body.get("error", body)["code"], journal["jobs"]) == (status, code, [])


async def test_look_ups_can_lag_behind_the_callback(sandbox, receiver) -> None:
    """The job is reported as running, and then as it is."""
    async with sandbox(faults=Faults(lag=1.0)) as client:
        job_id = await client.submit(callback_url=receiver.url)
        await receiver.wait_for(3)
        document = await client.get(job_id)
        end = await client.wait_for_end(job_id)

    assert receiver.states[-1] == "succeeded"
    assert document["output"] == {"task_id": job_id, "status": "running"}
    assert end["output"]["videos"]


@pytest.mark.parametrize(
    ("faults", "state", "code"),
    [
        (Faults(expire=1.0), "expired", None),
        (Faults(moderate=1.0), "failed", "OutputVideoSensitiveContentDetected"),
    ],
)
async def test_a_job_can_end_badly(sandbox, receiver, faults: Faults, state: str, code: str | None) -> None:
    """And says so in its last callback."""
    async with sandbox(faults=faults) as client:
        document = await client.wait_for_end(await client.submit(callback_url=receiver.url), state)
        await receiver.wait_for(2 if state == "expired" else 3)

    assert document.get("error", {}).get("code") == code
    assert receiver.states[-1] == state
    assert "videos" not in document["output"]


def test_the_same_seed_strikes_the_same_jobs() -> None:
    """A bug report names the seed, and the next person sees the same faults."""
    one, other, third = (Faults(seed=seed, lose=0.5) for seed in (7, 7, 8))

    def struck(faults: Faults) -> list[bool]:
        return [faults.strikes("lose", number, "succeeded") for number in range(200)]

    assert struck(one) == struck(other)
    assert struck(one) != struck(third)
    assert 60 < sum(struck(one)) < 140


def test_one_switch_does_not_move_the_others() -> None:
    """Turning ``slow`` on leaves the lost callbacks where they were."""
    alone, both = Faults(lose=0.5), Faults(lose=0.5, slow=0.5)

    assert [alone.strikes("lose", n) for n in range(50)] == [both.strikes("lose", n) for n in range(50)]
    assert [both.strikes("lose", n) for n in range(50)] != [both.strikes("slow", n) for n in range(50)]


def test_a_rate_beyond_one_is_refused() -> None:
    """Percent are a common mistake."""
    with pytest.raises(OptionInvalid, match="lose"):
        Faults(lose=20)

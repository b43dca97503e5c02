"""The tour, further on: providers whose answers lag, refuse politely, are busy, or use words of their own."""

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from framerelay.runs.tokens import HookAddress
from tests.story.gateways import Json

pytestmark = pytest.mark.anyio

KEY = "sk-sandbox"
TWO = {"title": "two", "model": "m", "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}]}
ONE = {**TWO, "shots": TWO["shots"][:1]}
Behind = Callable[..., AbstractAsyncContextManager[tuple[Any, Any]]]
WaitUntil = Callable[..., Awaitable[None]]


async def until_asked(relay: Any, run_id: str, wait_until: WaitUntil) -> Json:
    """The run as it is shown when a person is asked about its one take."""

    async def is_asked() -> bool:
        (take,) = (await relay.view(run_id))["shots"][0]["takes"] or [{"question": None}]
        return bool(take["question"])

    await wait_until(is_asked, "a person is asked")
    run: Json = await relay.view(run_id)
    return run


async def test_look_ups_that_lag_behind_callbacks_cost_seconds_and_raise_no_alarm(
    start_provider: Any, start_relay: Any
) -> None:
    """Each shot waited for the fallback look-up, and the public URL was reported as unreachable."""
    async with start_provider(lag=1.0) as provider, start_relay(provider.url, lookup_after_s=500.0) as relay:
        run = await relay.wait_for_end(await relay.run(TWO))
        look_ups = [job["look_ups"] for job in (await provider.journal())["jobs"]]

    assert run["status"] == "succeeded", run["error"]
    assert (run["callbacks_missed"], run["warnings"]) == (0, [])
    assert all(take["called_back"] for shot in run["shots"] for take in shot["takes"])
    assert max(look_ups) <= 8


async def test_a_404_for_a_moment_after_the_callback_costs_seconds_too(start_behind: Behind) -> None:
    """Read replicas of the provider's own; a hook's first callback meets it as well."""
    counts = Counter[str]()

    def change(method: str, _: int, body: Json) -> Response | Json:
        if method == "POST":
            return body
        counts[body["id"]] += 1
        return JSONResponse({"code": 404, "message": "task does not exist"}) if counts[body["id"]] <= 2 else body

    async with start_behind(change, lookup_after_s=500.0) as (relay, _):
        run = await relay.wait_for_end(await relay.run(TWO))

    assert run["status"] == "succeeded", run["error"]
    assert run["callbacks_missed"] == 0


async def test_a_hook_whose_first_look_up_finds_no_job_yet_asks_again(
    start_behind: Behind, wait_until: WaitUntil
) -> None:
    """The callback is the only trace of a job that was submitted elsewhere; its look-ups lag, and then still run."""
    answers = iter([JSONResponse({"error": {"code": "NotFound", "message": "no such job"}}, 404), "running"])

    def change(method: str, _: int, body: Json) -> Response | Json:
        answer = next(answers, None) if method == "GET" else None
        if answer == "running":
            body["output"] = {"task_id": body["id"], "status": "running"}
        return answer if isinstance(answer, Response) else body

    async with start_behind(change, lookup_after_s=500.0) as (relay, provider):
        address = f"{relay.settings.listen_url}/webhook/{relay.tokens.mint(HookAddress(hook='mine'))}"
        async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as client:
            job = (await client.post(f"{provider.url}/v1/jobs", json={"model": "m", "input": {"prompt": "x"}})).json()
            await wait_until(lambda: _is_done(provider), "the job is done")
            await client.post(address, json={"id": job["id"], "status": "succeeded"})

        async def is_kept() -> bool:
            runs = (await relay.api.get("/v1/runs")).json()["data"]
            return [run["status"] for run in runs] == ["succeeded"]

        await wait_until(is_kept, "its clip is kept", within_s=60.0)


async def _is_done(provider: Any) -> bool:
    return [job["state"] for job in (await provider.journal())["jobs"]] == ["succeeded"]


async def test_a_refusal_inside_a_200_stops_the_shot_with_the_providers_words(
    start_provider: Any, start_relay: Any
) -> None:
    """It was held for two days as an outcome that nobody knows."""
    async with start_provider(refuse_with_200=1.0) as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(TWO))
        jobs = (await provider.journal())["jobs"]

    assert (run["status"], run["spent"], jobs) == ("failed", {"jobs": 0}, [])
    assert "The prompt is too long." in run["error"]["message"]
    assert run["error"]["code"] == "4001"


async def test_a_job_that_is_done_with_an_error_has_failed(start_behind: Behind) -> None:
    """It was looked up on and on for its clip."""

    def change(method: str, _: int, body: Json) -> Json:
        if method == "POST" or body["output"]["status"] != "succeeded":
            return body
        return {"id": body["id"], "status": "completed", "error": {"code": "x_1", "message": "a face was seen"}}

    async with start_behind(change) as (relay, _):
        run = await relay.wait_for_end(await relay.run(ONE))

    assert run["status"] == "failed"
    assert run["error"]["message"] == "shot s1: the provider says: a face was seen"


@pytest.mark.parametrize(
    "refusal",
    [
        JSONResponse({"error": {"code": "InvalidParameter", "message": "the size is not known"}}, 400),
        JSONResponse({"error": {"code": "Conflict", "message": "it is there already"}}, 409),
        JSONResponse({"code": 4001, "message": "the prompt is too long"}),
    ],
    ids=["400", "409", "200 with a refusal"],
)
async def test_a_job_of_a_submit_that_was_refused_is_kept_once_a_callback_names_it(
    start_behind: Behind, wait_until: WaitUntil, refusal: Response
) -> None:
    """The provider said no, made the clip all the same, and called back: it was passed over as late."""
    first = iter([True])

    def change(method: str, _: int, body: Json) -> Response | Json:
        return refusal if method == "POST" and next(first, False) else body

    async with start_behind(change) as (relay, provider):
        run_id = await relay.run(ONE)
        await wait_until(lambda: _succeeded(relay, run_id), "its clip is kept")
        run = await relay.view(run_id)
        jobs = (await provider.journal())["jobs"]

    (take,) = run["shots"][0]["takes"]
    assert (take["status"], take["job_id"], take["error"]) == ("done", jobs[0]["id"], None)
    assert (run["spent"], len(jobs)) == ({"jobs": 1}, 1)


async def test_a_busy_provider_that_says_so_is_asked_again(start_provider: Any, start_relay: Any) -> None:
    """A 503 in its own words accepted nothing; each shot is made, and paid for, once."""
    async with start_provider(busy=0.6) as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(TWO))
        journal = await provider.journal()

    assert run["status"] == "succeeded", run["error"]
    assert {503, 200} == {submit["answer"] for submit in journal["submits"]}
    assert (len(journal["jobs"]), run["spent"]) == (2, {"jobs": 2})


async def test_a_bare_503_is_held(start_behind: Behind) -> None:
    """A proxy may have passed the submit on, and here it has."""

    def change(method: str, _: int, body: Json) -> Response | Json:
        return Response("<html>busy</html>", 503) if method == "POST" else body

    async with start_behind(change, {"lose": 1.0}, unsure_hold_s=1000.0) as (relay, provider):
        run = await relay.wait_for_end(await relay.run(ONE))
        journal = await provider.journal()

    assert (run["status"], run["error"]["code"]) == ("waiting", "outcome_unknown")
    assert len(journal["jobs"]) == 1


async def test_a_submit_of_which_nothing_is_heard_is_asked_about_and_made_again(
    start_behind: Behind, wait_until: WaitUntil
) -> None:
    """It sat silently for two days. Page, command and JSON ask; both jobs count."""
    losses = iter([True])

    def change(method: str, _: int, body: Json) -> Response | Json:
        return Response("bad gateway", 502) if method == "POST" and next(losses, False) else body

    async with start_behind(change, {"lose": 1.0}, ask_after_s=0.1, lookup_after_s=0.1) as (relay, provider):
        run_id = await relay.run(ONE)
        asked_run = await until_asked(relay, run_id, wait_until)
        page = (await relay.api.get(f"/runs/{run_id}")).text
        retake = f"/v1/runs/{run_id}/shots/s1/retake"
        outlook = (await relay.api.post(retake, json={"dry_run": True})).json()
        assert (await relay.api.post(retake, json={})).status_code == 200
        run = await relay.wait_for_end(run_id)
        jobs = (await provider.journal())["jobs"]

    assert (asked_run["status"], asked_run["error"]["code"]) == ("waiting", "nothing_heard")
    assert "both are paid for" in asked_run["error"]["message"]
    assert "both are paid for" in outlook["would"]
    assert "both are paid for" in page
    assert (run["status"], run["spent"], len(jobs)) == ("succeeded", {"jobs": 2}, 2)


async def test_a_status_that_is_not_known_is_shown_and_a_person_is_asked(
    start_behind: Behind, wait_until: WaitUntil
) -> None:
    """Nothing was shown; the job is still looked up, and a word that is known lets it go on."""
    word = ["archiviert"]

    def change(method: str, _: int, body: Json) -> Json:
        return body if method == "POST" or not word else {"id": body["id"], "status": word[0]}

    async with start_behind(change, {"lose": 1.0}, ask_after_s=0.1, lookup_after_s=0.1) as (relay, _):
        run_id = await relay.run(ONE)
        run = await until_asked(relay, run_id, wait_until)
        word.clear()
        await wait_until(lambda: _succeeded(relay, run_id), "it goes on by itself")

    (take,) = run["shots"][0]["takes"]
    assert (take["provider_status"], take["provider_status_known"]) == ("archiviert", False)
    assert run["error"]["code"] == "status_unknown"
    assert "archiviert" in run["error"]["message"]
    assert [warning["code"] for warning in run["warnings"]] == ["status_unknown"]


async def _succeeded(relay: Any, run_id: str) -> bool:
    return bool((await relay.view(run_id))["status"] == "succeeded")


async def test_an_address_of_a_clip_is_read_as_it_was_meant(start_behind: Behind) -> None:
    """A line break behind one failed the shot that was paid for; a relative one never ended."""
    forms = iter(["  {url}\n", "{path}", "//{host}{path}"])
    form_of: dict[str, str] = {}

    def change(method: str, _: int, body: Json) -> Json:
        if method == "POST" or not (videos := body["output"].get("videos")):
            return body
        url = httpx.URL(videos[0]["url"])
        parts = {"url": str(url), "path": url.path, "host": url.netloc.decode()}
        if body["id"] not in form_of:
            form_of[body["id"]] = next(forms)
        body["output"]["videos"] = [form_of[body["id"]].format(**parts)]
        return body

    board = {**TWO, "shots": [*TWO["shots"], {"id": "s3", "prompt": "still closer"}]}
    async with start_behind(change) as (relay, _):
        run = await relay.wait_for_end(await relay.run(board))

    assert run["status"] == "succeeded", run["error"]


@pytest.mark.parametrize("address", ["https://xn--a/f.png", "http://10.0.0.1/f.png", "https://example.com:81/f.png"])
async def test_a_last_frame_that_nobody_may_open_costs_no_clip(start_behind: Behind, address: str) -> None:
    """It is a gift; the next shot begins with our own."""

    def change(method: str, _: int, body: Json) -> Json:
        if method == "GET" and "last_frame_url" in body["output"]:
            body["output"]["last_frame_url"] = address
        return body

    board = {**TWO, "defaults": {"return_last_frame": True}}
    async with start_behind(change) as (relay, _):
        run = await relay.wait_for_end(await relay.run(board))

    assert run["status"] == "succeeded", run["error"]
    assert run["shots"][1]["takes"][0]["first_frame"]["source"] == "upload"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda job: {"id": job, "status": "succeeded", "output": {"videos": []}}, "names no clip"),
        (lambda _: Response("<html>a page of the proxy</html>"), "is not JSON"),
        (lambda _: Response("{}", headers={"Content-Encoding": "br"}), "is encoded"),
    ],
)
async def test_an_answer_that_makes_no_sense_raises_a_question_too(
    answer: Callable[[str], Response | Json],
    words: str,
    start_behind: Behind,
    wait_until: WaitUntil,
) -> None:
    """Such a job was looked up for ever, and nobody was told; its clip may come all the same."""
    is_odd = [True]

    def change(method: str, _: int, body: Json) -> Response | Json:
        return body if method == "POST" or not is_odd else answer(body["id"])

    async with start_behind(change, {"lose": 1.0}, ask_after_s=0.1, lookup_after_s=0.1) as (relay, _):
        run_id = await relay.run(ONE)
        run = await until_asked(relay, run_id, wait_until)
        is_odd.clear()
        await wait_until(lambda: _succeeded(relay, run_id), "it goes on by itself")

    assert run["error"]["code"] == "status_unknown"
    assert words in run["error"]["message"]


@pytest.mark.parametrize(
    "more",
    [
        b'"prompt":"a car \\ud83d"',
        b'"eta":NaN',
        b'"prompt":"caf\xe9"',
        b'"prompt":"a\nb"',
        b'"eta":1e999',
        b'"n":' + b"9" * 5000,
    ],
    ids=["half an emoji", "NaN", "Latin-1", "a line break", "no float", "no integer"],
)
async def test_a_value_that_is_no_json_costs_no_clip(start_behind: Behind, more: bytes) -> None:
    """Such a job was looked up for ever, for a prompt that the provider had cut within an emoji."""

    def change(_: str, status: int, body: Json) -> Response:
        return Response(json.dumps(body).encode()[:-1] + b"," + more + b"}", status, media_type="application/json")

    async with start_behind(change) as (relay, _):
        run = await relay.wait_for_end(await relay.run(TWO))

    assert run["status"] == "succeeded", run["error"]
    assert run["spent"] == {"jobs": 2}

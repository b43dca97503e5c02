"""The tour, where a film is given another storyboard: what is there is kept, and only what is new is paid for."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from framerelay.processors import film as film_module
from framerelay.processors import submit as submitting
from framerelay.upstream.client import JobsClient
from tests.story.test_decisions_at_any_moment import films_on_disk, halt_behind, shown_film

pytestmark = pytest.mark.anyio


def scene(name: str, *prompts: str) -> dict[str, Any]:
    shots = [{"id": f"{name}{number}", "prompt": prompt} for number, prompt in enumerate(prompts, 1)]
    return {"id": name, "shots": shots}


def film_of(*scenes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"title": "one", "model": "m", "scenes": list(scenes), **more}


NIGHT, DAY = scene("night", "a car", "closer", "the key"), scene("day", "a field")


async def amend(relay: Any, run_id: str, board: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The outlook, and the run after it was carried out."""
    place = f"/v1/runs/{run_id}/amend"
    foretold = await relay.api.post(place, json=board, params={"dry_run": "true"})
    assert foretold.status_code == 200, foretold.text
    answer = await relay.api.post(place, json=board)
    assert answer.status_code == 200, answer.text
    return foretold.json(), await relay.wait_for_end(run_id)


async def test_a_scene_that_is_moved_costs_nothing(start_provider: Any, start_relay: Any) -> None:
    """The same clips in another order: the film is joined again, as long as before, and nothing is submitted."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(film_of(NIGHT, DAY))
        before = await relay.wait_for_end(run_id)
        foretold, run = await amend(relay, run_id, film_of(DAY, NIGHT))
        fresh = await relay.wait_for_end(await relay.run(film_of(DAY, NIGHT)))
        shown_film(relay, run)
        journal = await provider.journal()

    assert (foretold["keep"], foretold["jobs"]) == (["day1", "night1", "night2", "night3"], 0)
    assert foretold["would"] == "no shot is made again; 0 jobs to the end of the film"
    assert [shot["id"] for shot in run["shots"]] == ["day1", "night1", "night2", "night3"]
    assert [run["film"]["frames"], list(run["film"]["takes"])] == [
        fresh["film"]["frames"],
        list(fresh["film"]["takes"]),
    ]
    assert run["film"]["sha256"] != before["film"]["sha256"]
    assert len(journal["submits"]) == 8, "four each, for the film and for the fresh one"


async def test_a_dropped_shot_is_not_in_the_film_and_stays_on_disk(start_provider: Any, start_relay: Any) -> None:
    """What came after it begins with another frame now, and is made again; its own clip can still be played."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(film_of(NIGHT))
        before = await relay.wait_for_end(run_id)
        shorter = {**NIGHT, "shots": [NIGHT["shots"][0], NIGHT["shots"][2]]}
        foretold, run = await amend(relay, run_id, film_of(shorter))
        (shot,) = run["dropped"]
        clip = await relay.api.get(shot["takes"][0]["video"]["url"].replace(relay.settings.reachable_url, ""))
        back, whole = await amend(relay, run_id, film_of(NIGHT))
        journal = await provider.journal()

    assert (foretold["keep"], foretold["change"], foretold["drop"]) == (["night1"], ["night3"], ["night2"])
    assert (foretold["jobs"], len(journal["submits"])) == (1, 4)
    assert list(run["film"]["takes"].items()) == [("night1", 1), ("night3", 2)]
    assert (shot["id"], clip.status_code) == ("night2", 200)
    assert (back["jobs"], back["add"], back["keep"]) == (0, ["night2"], ["night1", "night3"])
    assert whole["film"]["takes"] == before["film"]["takes"], "both fit as they did"
    assert whole["dropped"] == []


async def test_a_picture_of_the_same_name_with_another_content_is_another_shot(
    start_provider: Any, start_relay: Any, a_picture: bytes
) -> None:
    """Pictures are distinguished by their bytes: the same ones change nothing, others make the shot again."""
    async with start_provider() as provider, start_relay(provider.url) as relay:

        async def board(picture: bytes) -> dict[str, Any]:
            name = (await relay.api.post("/v1/files", content=picture)).json()["name"]
            return film_of({"id": "a", "shots": [{"id": "s1", "prompt": "a car", "first_frame": name}]})

        run_id = await relay.run(await board(a_picture))
        await relay.wait_for_end(run_id)
        same = await relay.api.post(f"/v1/runs/{run_id}/amend", json=await board(a_picture))
        foretold, run = await amend(relay, run_id, await board(a_picture + b"\0"))
        journal = await provider.journal()

    assert (same.status_code, same.json()["error"]["message"]) == (409, "the run is what this storyboard says already")
    assert (foretold["change"], foretold["jobs"], len(journal["submits"])) == (["s1"], 1, 2)
    assert run["film"]["takes"] == {"s1": 2}


async def test_of_two_simultaneous_amendments_one_becomes_the_film(start_provider: Any, start_relay: Any) -> None:
    """Both looked at the same revision: the other is told so, and nothing of theirs is paid for."""
    boards = [film_of(scene("night", "a car", "closer", ending)) for ending in ("the key", "the lock")]
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(film_of(scene("night", "a car", "closer")))
        revision = (await relay.wait_for_end(run_id))["revision"]
        place = f"/v1/runs/{run_id}/amend"
        answers = await asyncio.gather(
            *(relay.api.post(place, json=board, params={"revision": revision}) for board in boards)
        )
        run = await relay.wait_for_end(run_id)
        journal = await provider.journal()

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    board = next(board for board, answer in zip(boards, answers, strict=True) if answer.status_code == 200)
    assert [shot["prompt"] for shot in run["shots"]] == [shot["prompt"] for shot in board["scenes"][0]["shots"]]
    assert run["status"] == "succeeded", run["error"]
    assert len(journal["submits"]) == 3


async def test_what_was_under_way_is_kept_as_a_take_and_serves_when_it_is_wanted_again(
    start_provider: Any,
    start_relay: Any,
    monkeypatch: pytest.MonkeyPatch,
    wait_until: Callable[..., Awaitable[None]],
) -> None:
    """Amended while the provider accepts it: its clip is kept, spare; with the old prompt back, the film has it."""
    halt = halt_behind(monkeypatch, JobsClient, "submit")
    first, other = film_of(scene("s", "a car")), film_of(scene("s", "a bicycle"))
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(first)
        await asyncio.wait_for(halt.arrival.wait(), 60)
        response = await relay.api.post(f"/v1/runs/{run_id}/amend", json=other)
        halt.go_on.set()
        run = await relay.wait_for_end(run_id)

        async def both_are_kept() -> bool:
            takes = (await relay.view(run_id))["shots"][0]["takes"]
            return [take["status"] for take in takes] == ["done", "done"]

        await wait_until(both_are_kept, "the clip of the first take is kept, too")
        takes = (await relay.view(run_id))["shots"][0]["takes"]
        back, again = await amend(relay, run_id, first)
        journal = await provider.journal()

    assert response.status_code == 200, response.text
    assert (run["status"], run["film"]["takes"]) == ("succeeded", {"s1": 2})
    assert [take["spare"] for take in takes] == [True, False]
    assert (back["keep"], back["jobs"]) == (["s1"], 0)
    assert (again["film"]["takes"], len(journal["submits"])) == ({"s1": 1}, 2)


async def test_what_was_prepared_for_the_old_prompt_is_not_sent(
    start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amended between the upload of a frame and the intent: nothing was paid, and only the new prompt is submitted."""
    halt = halt_behind(monkeypatch, submitting, "prepare")
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(film_of(scene("s", "a car")))
        await asyncio.wait_for(halt.arrival.wait(), 60)
        response = await relay.api.post(f"/v1/runs/{run_id}/amend", json=film_of(scene("s", "a bicycle")))
        halt.go_on.set()
        run = await relay.wait_for_end(run_id)
        journal = await provider.journal()

    assert response.status_code == 200, response.text
    assert run["status"] == "succeeded", run["error"]
    assert [job["input"]["prompt"] for job in journal["jobs"]] == ["a bicycle"]
    assert [take["number"] for take in run["shots"][0]["takes"]] == [1]


async def test_a_film_is_amended_while_it_is_joined(
    start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The join of the old order was ready, and nobody had heard of it: it is dropped, and joined in the new one."""
    halt = halt_behind(monkeypatch, film_module, "_join")
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(film_of(NIGHT, DAY))
        await asyncio.wait_for(halt.arrival.wait(), 60)
        response = await relay.api.post(f"/v1/runs/{run_id}/amend", json=film_of(DAY, NIGHT))
        halt.go_on.set()
        run = await relay.wait_for_end(run_id)
        film = shown_film(relay, run)
        only = films_on_disk(relay, run_id) == [film]

    assert response.status_code == 200, response.text
    assert list(run["film"]["takes"]) == ["day1", "night1", "night2", "night3"]
    assert only

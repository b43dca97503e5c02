"""The tour, where a person decides in the middle of something: what was paid for is kept, and the film is right."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from framerelay.processors import film as film_module
from framerelay.runs import events
from framerelay.runs.machine import wake_at
from framerelay.runs.model import RunStatus, TakeStatus
from framerelay.runs.steps import steps_due
from framerelay.runs.tokens import TakeAddress
from framerelay.store.progress import record
from framerelay.store.runs import REPAIRED, Store
from framerelay.upstream.client import JobsClient
from tests.fixtures.relay import KEY

pytestmark = pytest.mark.anyio

ONE = {"title": "one", "model": "m", "shots": [{"id": "s1", "prompt": "a car", "seed": 7}]}
TWO = {**ONE, "shots": [*ONE["shots"], {"id": "s2", "prompt": "closer"}]}  # type: ignore[misc]
CHOICE = {"title": "one", "model": "m", "shots": [{"id": "s1", "prompt": "a car", "takes": 2}]}


@dataclass(slots=True)
class Halt:
    """Stops the first caller: *arrival* says that it is there, *go_on* lets it go."""

    arrival: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self) -> None:
        if not self.arrival.is_set():
            self.arrival.set()
            await self.go_on.wait()


def halt_behind(patch: pytest.MonkeyPatch, owner: Any, name: str) -> Halt:
    """The first call of that function does its work, and returns only when it is let go: this is the moment between."""
    halt, whole = Halt(), getattr(owner, name)

    async def slow(*arguments: Any, **options: Any) -> Any:
        result = await whole(*arguments, **options)
        await halt()
        return result

    patch.setattr(owner, name, slow)
    return halt


def films_on_disk(relay: Any, run_id: str) -> list[Path]:
    return sorted((relay.settings.data_dir / "media" / run_id).glob("film*"))


def shown_film(relay: Any, run: dict[str, Any]) -> Path:
    """The file that the run shows; its hash is the one that the run says."""
    place: Path = relay.settings.data_dir / "media" / run["film"]["url"].partition("/media/")[2]
    assert hashlib.sha256(place.read_bytes()).hexdigest() == run["film"]["sha256"]
    return place


async def _is_kept(relay: Any, run_id: str, *, takes: int) -> bool:
    """Whether the first shot has *takes* takes, and the clip of each."""
    return [take["status"] for take in (await relay.view(run_id))["shots"][0]["takes"]] == ["done"] * takes


async def _job_of_its_own(provider: Any, **job_input: str) -> str:
    """The id of a job that was submitted past FrameRelay."""
    async with httpx.AsyncClient(trust_env=False, headers={"Authorization": f"Bearer {KEY}"}) as http:
        job = (await http.post(f"{provider.url}/v1/jobs", json={"model": "m", "input": job_input})).json()
    return str(job["id"])


async def test_a_retake_while_the_film_is_joined_is_made_and_the_film_joined_again(
    start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first film was ready, and nobody had heard of it yet: it is dropped, and not a byte of it stays."""
    halt = halt_behind(monkeypatch, film_module, "_join")
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(TWO)
        await asyncio.wait_for(halt.arrival.wait(), 60)
        retaken = await relay.api.post(f"/v1/runs/{run_id}/shots/s2/retake", json={"seed": 40})
        halt.go_on.set()
        run = await relay.wait_for_end(run_id)
        film = shown_film(relay, run)

        assert retaken.status_code == 200, retaken.text
        assert (run["status"], run["film"]["takes"]) == ("succeeded", {"s1": 1, "s2": 2})
        assert [take["status"] for take in run["shots"][1]["takes"]] == ["done", "done"]
        assert films_on_disk(relay, run_id) == [film]


async def test_a_pick_while_the_film_is_joined_makes_the_film_of_the_take_that_was_picked(
    start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever join is ready first."""
    halt = halt_behind(monkeypatch, film_module, "_join")
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(CHOICE)
        waiting = await relay.wait_for_end(run_id)
        pick = f"/v1/runs/{run_id}/shots/s1/pick"
        await relay.api.post(pick, json={"take": 1})
        await asyncio.wait_for(halt.arrival.wait(), 60)
        other = await relay.api.post(pick, json={"take": 2})
        run = await relay.wait_for_end(run_id)  # By the second join: the first one is still held.
        halt.go_on.set()
        await asyncio.wait_for(_no_other_film(relay, run_id, shown_film(relay, run)), 60)
        after = await relay.view(run_id)

        assert waiting["error"]["code"] == "pick_needed"
        assert other.status_code == 200, other.text
        assert (run["status"], run["film"]["takes"]) == ("succeeded", {"s1": 2})
        assert after["film"] == run["film"]
        shown_film(relay, after)


async def _no_other_film(relay: Any, run_id: str, film: Path) -> None:
    while films_on_disk(relay, run_id) != [film]:
        await asyncio.sleep(0.01)


async def test_a_cancel_during_a_submit_keeps_the_job_and_its_clip(
    start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """The provider had accepted it: it is on record, counted, followed, and its clip can be played."""
    halt = halt_behind(monkeypatch, JobsClient, "submit")
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(ONE)
        await asyncio.wait_for(halt.arrival.wait(), 60)
        answer = (await relay.api.post(f"/v1/runs/{run_id}/cancel")).json()
        halt.go_on.set()
        await wait_until(lambda: _is_kept(relay, run_id, takes=1), "the clip is kept")
        run = await relay.view(run_id)
        (take,) = run["shots"][0]["takes"]
        clip = await relay.api.get(f"/media/{take['video']['url'].partition('/media/')[2]}")
        history = [each.fields for each in await relay.store.history(run_id)]
        response = await relay.api.post("/v1/jobs/adopt", json={"job_id": take["job_id"], "run": run_id, "shot": "s1"})

    assert (answer["status"], run["status"], run["film"]) == ("cancelled", "cancelled", None)
    assert (answer["spent"]["jobs"], run["spent"]["jobs"]) == (0, 1)
    assert (clip.status_code, len(clip.content)) == (200, take["video"]["bytes"])
    names = [each["event"] for each in history]
    assert names.index("run_cancelled") < names.index("submitted") < names.index("collected")
    assert response.status_code == 409
    assert "is the job of take 1 of shot s1 already, which is done" in response.json()["error"]["message"]


async def test_a_take_that_arrives_after_the_film_is_kept_and_can_be_picked(
    start_provider: Any, start_relay: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """``pick: first``: the film does not wait for the second take, which was paid for all the same."""
    board = {**CHOICE, "shots": [{**CHOICE["shots"][0], "pick": "first"}]}  # type: ignore[dict-item]
    halt = halt_behind(monkeypatch, JobsClient, "submit")
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(board)
        await asyncio.wait_for(halt.arrival.wait(), 60)
        run = await relay.wait_for_end(run_id)  # With the take whose submit was not held.
        halt.go_on.set()
        await wait_until(lambda: _is_kept(relay, run_id, takes=2), "the other take is kept as well")
        after = await relay.view(run_id)
        (first,) = run["film"]["takes"].values()
        response = await relay.api.post(f"/v1/runs/{run_id}/shots/s1/pick", json={"take": 3 - first})
        again = await relay.wait_for_end(run_id)
        shown_film(relay, again)

    assert (run["status"], after["status"], after["film"]) == ("succeeded", "succeeded", run["film"])
    assert after["spent"]["jobs"] == 2
    assert response.status_code == 200, response.text
    assert (again["status"], again["film"]["takes"]) == ("succeeded", {"s1": 3 - first})


async def test_a_film_whose_file_is_gone_is_made_again_by_resume(
    start_provider: Any, start_relay: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """Its clips are there; ``resume`` is refused while the file is."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(ONE)
        before = await relay.wait_for_end(run_id)
        response = await relay.api.post(f"/v1/runs/{run_id}/resume")
        film = shown_film(relay, before)
        film.unlink()
        resumed_response = await relay.api.post(f"/v1/runs/{run_id}/resume")
        await wait_until(film.exists, "the film is there again")
        run = await relay.view(run_id)
        shown_film(relay, run)
        jobs = (await provider.journal())["jobs"]

    assert (response.status_code, resumed_response.status_code) == (409, 200)
    assert (run["status"], run["film"]["sha256"]) == ("succeeded", before["film"]["sha256"])
    assert len(jobs) == 1


async def test_a_second_job_of_a_take_is_kept_and_called_paid_twice(
    start_provider: Any, start_relay: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """As after a Redis that forgot a submit: two jobs call back at the address of one take."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run(ONE)
        before = await relay.wait_for_end(run_id)
        submit_number = int(before["shots"][0]["takes"][0]["submitted"]) + 400_000  # The address of another submit.
        token = relay.tokens.mint(TakeAddress(run_id=run_id, shot_id="s1", take=1, ends_at=submit_number))
        second = await _job_of_its_own(provider, prompt="a car", callback_url=f"{relay.api.base_url}/webhook/{token}")
        await wait_until(lambda: _is_kept(relay, run_id, takes=2), "the second job's clip is kept")
        run = await relay.view(run_id)
        async with httpx.AsyncClient(trust_env=False) as http:
            bogus = {"id": "nobody_knows_me", "status": "succeeded"}
            await http.post(f"{relay.api.base_url}/webhook/{token}", json=bogus)
        unmoved_run = await relay.view(run_id)

    (warning,) = [each for each in run["warnings"] if each["code"] == "paid_twice"]
    assert second in warning["message"]
    assert (run["shots"][0]["takes"][1]["twin_of"], run["shots"][0]["picked"]) == (1, 1)
    assert (before["spent"]["jobs"], run["spent"]["jobs"]) == (1, 2)
    assert run["film"] == before["film"]
    assert len(unmoved_run["shots"][0]["takes"]) == 2


async def test_runs_that_an_early_version_left_behind_go_on(
    start_provider: Any, start_relay: Any, redis: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """A film though a shot was being retaken; a cancelled run whose job was given up; a film of nobody knows what."""
    async with start_provider() as provider:
        async with start_relay(provider.url) as relay:
            retaken, cancelled_run, doubtful = [await relay.run(board) for board in (ONE, ONE, CHOICE)]
            await relay.wait_for_end(retaken)
            await relay.wait_for_end(cancelled_run)
            await relay.wait_for_end(doubtful)
            await relay.api.post(f"/v1/runs/{doubtful}/shots/s1/pick", json={"take": 1})
            await relay.wait_for_end(doubtful)
        store = Store(redis)
        film = (await store.load(retaken)).film
        await record(store, retaken, events.Retaken(shot_id="s1"))
        intent = events.Submitting(shot_id="s1", take=2, intent="i", seed=None, first_frame=None)
        await record(store, retaken, intent)
        job_id = await _job_of_its_own(provider, prompt="x")

        async def is_rendered() -> bool:
            return {each["state"] for each in (await provider.journal())["jobs"]} == {"succeeded"}

        await wait_until(is_rendered, "the one look at the start finds its clip")
        await record(store, retaken, events.Submitted(shot_id="s1", take=2, job_id=job_id, intent="i"))
        await _leave(store, retaken, status=RunStatus.SUCCEEDED, film=replace(film, takes=None))
        shot = (await store.load(cancelled_run)).shots[0]
        take = replace(shot.takes[0], status=TakeStatus.CANCELLED, video=None, last_frame=None, rendered_at=None)
        given_up = replace(shot, takes=(take,), picked=None)
        await _leave(store, cancelled_run, status=RunStatus.CANCELLED, cancelled=True, film=None, shots=(given_up,))
        await _leave(store, doubtful, film=replace((await store.load(doubtful)).film, takes=None))
        await redis.delete(REPAIRED)

        async with start_relay(provider.url, lookup_after_s=500.0) as relay:

            async def all_is_well() -> bool:
                one, two, three = [await relay.view(run_id) for run_id in (retaken, cancelled_run, doubtful)]
                films = [(run["film"] or {}).get("takes") for run in (one, two, three)]
                return films == [{"s1": 2}, None, {"s1": 1}] and two["shots"][0]["takes"][0]["status"] == "done"

            await wait_until(all_is_well, "each of them is gone on from")
            await wait_until(lambda: redis.sismember(REPAIRED, "ended-runs-1"), "nobody has to look again")
            assert (await relay.view(cancelled_run))["status"] == "cancelled"


async def _leave(store: Store, run_id: str, **as_it_was: Any) -> None:
    """Save it as an early version did: in that state, with nothing due."""
    run = await store.load(run_id)
    assert run is not None
    other_run = replace(run, **as_it_was, revision=run.revision + 1)
    assert steps_due(other_run, 0) is not None
    assert wake_at(other_run, 0) is None or other_run.status is not RunStatus.RUNNING
    assert await store.save(other_run, before=run, event={"event": "left"}, steps=[], wake_at=None)

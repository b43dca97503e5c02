"""The tour, fourth stop: how one shot's last frame becomes the next one's first, and what people decide."""

import io
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from framerelay.runs.tokens import HookAddress

pytestmark = pytest.mark.anyio

MODEL = "seedance-1.5-pro-1080p"


def chain(**more: Any) -> dict[str, Any]:
    return {
        "title": "two",
        "model": MODEL,
        "shots": [{"id": "s1", "prompt": "a car", **more}, {"id": "s2", "prompt": "closer"}],
    }


def first_frame_of(run: dict[str, Any], shot: int = 1) -> dict[str, Any]:
    first: dict[str, Any] = run["shots"][shot]["takes"][0]["first_frame"]
    return first


async def given_to(provider: Any, job: int = 1) -> Image.Image:
    """The picture that the provider fetched as the first frame of its job number *job*, counted from 0."""
    journal = await provider.journal()
    name = journal["jobs"][job]["given"]["first_frame"]["kept_url"].rpartition("/")[2]
    async with httpx.AsyncClient(trust_env=False) as http:
        content = (await http.get(f"{provider.url}/sandbox/inputs/{name}")).content
    return Image.open(io.BytesIO(content)).convert("RGB")


def kept_last_frame(relay: Any, run: dict[str, Any]) -> Image.Image:
    return Image.open(relay.settings.data_dir / "media" / run["id"] / "s1.1.last.png").convert("RGB")


async def test_by_default_our_exact_frame_is_uploaded(start_provider: Any, start_relay: Any) -> None:
    """The provider gets the very bytes that we keep."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(chain()))
        picture = await given_to(provider)
        frame = kept_last_frame(relay, run)

    assert first_frame_of(run)["source"] == "upload"
    assert picture.tobytes() == frame.tobytes()


async def test_the_providers_own_last_frame_is_used_when_it_returned_one(start_provider: Any, start_relay: Any) -> None:
    """`return_last_frame`: no wait for the clip; ours is taken and kept all the same."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(chain(return_last_frame=True)))
        picture = await given_to(provider)
        frame = kept_last_frame(relay, run)

    assert first_frame_of(run)["source"] == "provider"
    assert run["shots"][0]["takes"][0]["provider_frame"] is not None
    assert picture.size == frame.size


async def test_served_by_a_signed_link_when_the_provider_takes_no_uploads(
    start_provider: Any, start_relay: Any, without_uploads: Any
) -> None:
    """Anyone who has the link can open that one file, for a while."""
    async with start_provider() as provider, without_uploads(provider.url) as gateway, start_relay(gateway) as relay:
        run = await relay.wait_for_end(await relay.run(chain()))
        picture = await given_to(provider)
        frame = kept_last_frame(relay, run)

    assert first_frame_of(run)["source"] == "serve"
    assert picture.tobytes() == frame.tobytes()


async def test_served_when_the_settings_say_so(start_provider: Any, start_relay: Any) -> None:
    """`FRAMERELAY_HANDOFF=serve`, even if the provider has a frame of its own."""
    async with start_provider() as provider, start_relay(provider.url, handoff="serve") as relay:
        run = await relay.wait_for_end(await relay.run(chain(return_last_frame=True)))

    assert run["status"] == "succeeded", run["error"]
    assert first_frame_of(run)["source"] == "serve"


async def test_a_bridge_begins_with_one_frame_and_ends_on_another(
    start_provider: Any, start_relay: Any, a_picture: bytes
) -> None:
    """Both pictures reach the provider; a local one is uploaded."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        name = (await relay.api.post("/v1/files", content=a_picture)).json()["name"]
        board = chain()
        board["shots"][1] |= {"from": "bridge", "last_frame": name}
        run = await relay.wait_for_end(await relay.run(board))
        journal = await provider.journal()

    assert run["status"] == "succeeded", run["error"]
    assert set(journal["jobs"][1]["given"]) == {"first_frame", "last_frame"}


async def test_a_cut_begins_afresh_and_a_branch_continues_any_earlier_shot(
    start_provider: Any, start_relay: Any
) -> None:
    """The film drops only frames that repeat the one shown right before."""
    shots = [
        {"id": "s1", "prompt": "a"},
        {"id": "s2", "prompt": "b"},
        {"id": "s3", "prompt": "c", "from": "cut"},
        {"id": "s4", "prompt": "d", "from": "s1"},
    ]
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run({"title": "t", "model": MODEL, "shots": shots}))

    assert run["status"] == "succeeded", run["error"]
    sources = [shot["takes"][0]["first_frame"] for shot in run["shots"]]
    assert [source and source["source"] for source in sources] == [None, "upload", None, "upload"]
    frames = sum(shot["takes"][0]["video"]["frames"] for shot in run["shots"])
    assert run["film"]["frames"] == frames - 1


async def test_a_gated_shot_waits_for_a_person_and_takes_wait_for_a_pick(start_provider: Any, start_relay: Any) -> None:
    """Nothing is submitted before the yes; the film has the take that was picked."""
    shots = [{"id": "s1", "prompt": "a", "takes": 2, "seed": 5}, {"id": "s2", "prompt": "b", "gate": "approve"}]
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run_id = await relay.run({"title": "t", "model": MODEL, "shots": shots})
        choosing = await relay.wait_for_end(run_id)
        await relay.api.post(f"/v1/runs/{run_id}/shots/s1/pick", json={"take": 2})
        asking = await relay.wait_for_end(run_id)
        submits = len((await provider.journal())["submits"])
        await relay.api.post(f"/v1/runs/{run_id}/shots/s2/approve")
        run = await relay.wait_for_end(run_id)

    assert (choosing["status"], choosing["error"]["code"]) == ("waiting", "pick_needed")
    assert [take["seed"] for take in choosing["shots"][0]["takes"]] == [5, 6]
    assert (asking["status"], asking["error"]["code"]) == ("waiting", "approval_needed")
    assert submits == 2
    assert run["status"] == "succeeded", run["error"]
    assert run["shots"][0]["picked"] == 2


async def test_the_budget_stops_a_run_and_says_so(start_provider: Any, start_relay: Any) -> None:
    """Hard: no submit past it."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run({**chain(), "budget": {"jobs": 1}}))
        journal = await provider.journal()

    assert (run["status"], run["error"]["code"]) == ("waiting", "budget_reached")
    assert len(journal["submits"]) == 1


async def submit_elsewhere(provider: Any, relay: Any, hook: str, api_key: str) -> None:
    """What somebody does with curl."""
    address = f"{relay.settings.listen_url}/webhook/{relay.tokens.mint(HookAddress(hook=hook))}"
    async with httpx.AsyncClient(trust_env=False) as http:
        body = {"model": MODEL, "input": {"prompt": "from outside", "callback_url": address}}
        headers = {"Authorization": f"Bearer {api_key}"}
        assert (await http.post(f"{provider.url}/v1/jobs", json=body, headers=headers)).status_code == 200


async def the_only_run(relay: Any, wait_until: Any) -> dict[str, Any]:
    runs: list[dict[str, Any]] = []

    async def is_there() -> bool:
        runs[:] = (await relay.api.get("/v1/runs")).json()["data"]
        return bool(runs)

    await wait_until(is_there, "a run of the hook")
    assert len(runs) == 1
    run: dict[str, Any] = await relay.wait_for_end(runs[0]["id"])
    return run


async def test_a_job_submitted_elsewhere_becomes_a_run_of_its_own(
    start_provider: Any, start_relay: Any, wait_until: Any
) -> None:
    """A hook needs no storyboard and no settings: clip and last frame are kept, however many callbacks come."""
    async with start_provider(repeat=1.0) as provider, start_relay(provider.url) as relay:
        await submit_elsewhere(provider, relay, "mine", "sk-sandbox")
        run = await the_only_run(relay, wait_until)
        names = sorted(file.name for file in (relay.settings.data_dir / "media" / run["id"]).iterdir())

    assert run["status"] == "succeeded", run["error"]
    assert run["hook"] == "mine"
    assert {"start.1.mp4", "start.1.last.png"} <= set(names)


async def test_a_hook_with_a_storyboard_goes_on_from_the_frame_it_received(
    start_provider: Any, start_relay: Any, wait_until: Any, tmp_path: Path
) -> None:
    """`framerelay.yaml` names the shots that follow."""
    hooks = f"hooks: {{mine: {{storyboard: {{model: {MODEL}, shots: [{{id: next, prompt: on}}]}}}}}}"
    (tmp_path / "framerelay.yaml").write_text(hooks, encoding="utf-8")
    async with start_provider() as provider, start_relay(provider.url) as relay:
        await submit_elsewhere(provider, relay, "mine", "sk-sandbox")
        run = await the_only_run(relay, wait_until)

    assert run["status"] == "succeeded", run["error"]
    assert [shot["id"] for shot in run["shots"]] == ["start", "next"]
    assert first_frame_of(run)["source"] == "upload"

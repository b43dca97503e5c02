"""The tour, third stop: everything that can go wrong, at once, at moderate rates."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

MODERATE = {
    "lose": 0.25,
    "repeat": 0.3,
    "reorder": 0.3,
    "early": 0.25,
    "unavailable": 0.15,
    "accept_then_500": 0.15,
    "rate_limit": 0.2,
    "expire": 0.08,
    "moderate": 0.08,
    "slow": 0.1,
}


def board(end: str) -> dict[str, Any]:
    return {
        "title": "two scenes in a storm",
        "model": "seedance-1.5-pro-1080p",
        "budget": {"jobs": 12},
        "defaults": {"seed": 1, "ratio": "16:9"},
        "scenes": [
            {
                "id": "street",
                "shots": [
                    {"id": "a1", "prompt": "a car"},
                    {"id": "a2", "prompt": "closer"},
                    {"id": "a3", "prompt": "it stops", "from": "bridge", "last_frame": end},
                ],
            },
            {
                "id": "roof",
                "shots": [{"id": f"b{number}", "prompt": "above the street"} for number in (1, 2, 3)],
            },
        ],
    }


@pytest.mark.parametrize("seed", [11])
async def test_a_storm_ends_in_a_film_with_one_submit_per_take(
    seed: int, start_provider: Any, start_relay: Any, a_picture: bytes
) -> None:
    """Every switch of the sandbox on: succeeded, no take paid twice, nothing submitted that has no reason."""
    async with (
        start_provider(seed=seed, **MODERATE) as provider,
        start_relay(provider.url, lookup_after_s=0.3, unsure_hold_s=20.0) as relay,
    ):
        end = (await relay.api.post("/v1/files", content=a_picture)).json()["name"]
        run_id = await relay.run(board(end))
        run = await relay.wait_for_end(run_id)
        while run["status"] == "waiting":  # An unsure take is held until its callback, or its end.
            run = await relay.wait_for_end(run_id)
        journal = await provider.journal()

    assert run["status"] == "succeeded", run["error"]
    assert set(journal["jobs_per_callback_url"].values()) == {1}, "a take was paid twice"
    assert journal["repeated_keys"] == {}
    takes = [take for shot in run["shots"] for take in shot["takes"]]
    assert len(journal["jobs"]) == len(takes)
    again = [shot["takes"][0]["error"]["family"] for shot in run["shots"] if len(shot["takes"]) > 1]
    assert set(again) <= {"video_moderated", "expired"}, "a second take needs a reason"
    assert all(shot["status"] == "done" for shot in run["shots"])

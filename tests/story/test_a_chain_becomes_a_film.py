"""The tour, first stop: what FrameRelay is for."""

from typing import Any

import pytest

pytestmark = pytest.mark.anyio

CHAIN = {
    "title": "three shots",
    "model": "seedance-1.5-pro-1080p",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}, {"id": "s3", "prompt": "it stops"}],
}


async def test_three_chained_shots_become_one_film(start_provider: Any, start_relay: Any) -> None:
    """Each shot begins with the last frame of the one before; one submit each; one film at the end; nobody polled."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        run = await relay.wait_for_end(await relay.run(CHAIN))
        journal = await provider.journal()

    assert run["status"] == "succeeded", run["error"]
    assert [shot["takes"][0]["first_frame"] and shot["takes"][0]["first_frame"]["source"] for shot in run["shots"]] == [
        None,
        "upload",
        "upload",
    ]
    assert len(journal["submits"]) == 3
    assert sum(job["look_ups"] for job in journal["jobs"]) == 3, "one look-up confirms each callback, and no more"
    frames = [shot["takes"][0]["video"]["frames"] for shot in run["shots"]]
    assert run["film"]["frames"] == sum(frames) - 2, "the film shows a frame that was handed on once"

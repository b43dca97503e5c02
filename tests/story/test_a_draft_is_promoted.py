"""The tour, where a film is looked at small before it is made large."""

from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

BOARD = {
    "title": "two steps",
    "model": "seedance-1.5-pro-1080p",
    "pass": {"draft": {"duration": 4}},
    "defaults": {"resolution": "720p", "duration": 5, "ratio": "16:9"},
    "shots": [
        {"id": "s1", "prompt": "a car", "seed": 7, "takes": 2},
        {"id": "s2", "prompt": "closer"},
        {"id": "s3", "prompt": "away"},
    ],
}


async def test_a_draft_is_picked_from_retaken_and_made_large_from_frames_of_its_own(
    start_provider: Any, start_relay: Any
) -> None:
    """The second take is picked, a prompt changed; the final has both, and not one frame of the draft."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        draft = await relay.run(BOARD)
        await relay.wait_for_end(draft)
        await relay.api.post(f"/v1/runs/{draft}/shots/s1/pick", json={"take": 2})
        await relay.wait_for_end(draft)
        await relay.api.post(f"/v1/runs/{draft}/shots/s3/retake", json={"prompt": "far away"})
        small = await relay.wait_for_end(draft)
        outlook = (await relay.api.post(f"/v1/runs/{draft}/promote", json={"dry_run": True})).json()
        before = len((await provider.journal())["submits"])
        response = await relay.api.post(f"/v1/runs/{draft}/promote")
        final = await relay.wait_for_end(response.json()["id"])
        journal = await provider.journal()
        media = relay.settings.data_dir / "media"
        frames = [first_frame(media, shot) for shot in final["shots"]]
        ends = [end_of(media, shot) for shot in final["shots"]]
        of_the_draft = {end_of(media, shot) for shot in small["shots"]}

    assert (small["status"], small["pass"], outlook["jobs"]) == ("succeeded", "draft", 3), small["error"]
    assert (final["status"], final["pass"], final["promoted_from"]) == ("succeeded", "final", draft), final["error"]
    jobs = journal["jobs"][before:]
    assert [job["input"]["prompt"] for job in jobs] == ["a car", "closer", "far away"]
    assert [(job["input"]["resolution"], job["input"]["duration"]) for job in jobs] == [("720p", 5)] * 3
    assert {(job["input"]["resolution"], job["input"]["duration"]) for job in journal["jobs"][:before]} == {("480p", 4)}
    assert jobs[0]["input"]["seed"] == 8, "that of the second take, which was picked"
    assert frames == [None, ends[0], ends[1]]
    assert not of_the_draft & set(ends)
    assert {shot["takes"][0]["video"]["height"] for shot in final["shots"]} != {
        shot["takes"][-1]["video"]["height"] for shot in small["shots"]
    }


def first_frame(media: Path, shot: dict[str, Any]) -> bytes | None:
    first = shot["takes"][-1]["first_frame"]
    return (media / first["url"].partition("/media/")[2]).read_bytes() if first else None


def end_of(media: Path, shot: dict[str, Any]) -> bytes:
    (take,) = [each for each in shot["takes"] if each["number"] == shot["picked"]]
    return (media / take["last_frame"]["url"].partition("/media/")[2]).read_bytes()

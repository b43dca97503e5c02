"""A film from plan to result, as an assistant makes it; and what it may not do."""

import base64
import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.anyio

KEY = "fr_test"
SECRET = "only for tests"
TWO = {
    "title": "Rain",
    "model": "seedance-1.5-pro-720p",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer", "gate": "approve"}],
}
ONE: dict[str, Any] = {"title": "One", "model": "seedance-1.5-pro-720p", "shots": [{"id": "s1", "prompt": "a car"}]}


def frames_in(picture: str) -> int:
    """How many pictures are on a strip: what is not paper, in pieces too large for letters and outlines, row by row."""
    sheet = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert sheet.format == "PNG"
    assert sheet.width <= 1204
    assert sheet.height <= 1548
    filled = np.abs(np.asarray(sheet.convert("RGB")).astype(int) - [24, 24, 27]).sum(axis=2) > 12
    found = 0
    for top in range(12, sheet.height, 128):
        columns = np.concatenate([[False], filled[top : top + 96].sum(axis=0) > 50, [False]])
        edges = np.flatnonzero(columns[1:] != columns[:-1])
        found += int((edges[1::2] - edges[::2] > 40).sum())
    return found


async def test_a_whole_film_from_plan_to_result(
    mcp: Any, start_provider: Any, start_relay: Any, tmp_path: Path
) -> None:
    """Plan for nothing, start within a limit, approve, watch the strip grow, open the film without a key."""
    async with (
        start_provider() as provider,
        start_relay(provider.url) as relay,
        mcp.by_stdio(tmp_path, relay.settings.listen_url, API_KEY=KEY, SECRET=SECRET) as assistant,
    ):
        plan = await assistant.ask("plan_film", storyboard=TWO)
        assert (plan["jobs"], plan["longest_chain"], plan["shots"][1]["begins_with"]) == (2, 2, "s1")
        assert (await provider.journal())["submits"] == []

        begun = await assistant.ask("start_film", storyboard=TWO, plan_id=plan["plan_id"], max_jobs=3)
        assert begun["jobs_allowed"] == 3
        run = begun["run"]
        again = await assistant.ask("start_film", storyboard=TWO, plan_id=plan["plan_id"], max_jobs=3)
        assert again["run"] == run

        waiting = await assistant.until(run, "waiting")
        assert "approve_shot" in " ".join(waiting["next"])
        look = await assistant.call("film_status", run=run)
        shown = frames_in(mcp.picture_of(look))
        assert look.structuredContent["strip"] == f"{shown} frames of s1, s2"
        first_has = 2 if (await relay.shown(run))["shots"][0]["takes"][0].get("opening") else 1
        assert shown == first_has

        await assistant.ask("approve_shot", run=run, shot="s2")
        done = await assistant.until(run, "succeeded")
        assert done["jobs_spent"] == 2
        look = await assistant.call("film_status", run=run)
        assert frames_in(mcp.picture_of(look)) == 2 + first_has

        result = await assistant.ask("film_result", run=run)
        assert [clip["shot"] for clip in result["clips"]] == ["s1", "s2"]
        assert result["links_end"]
        async with httpx.AsyncClient(trust_env=False) as stranger:
            for file in (result["film"], result["clips"][0]["video"]):
                answer = await stranger.get(file["url"])
                assert (answer.status_code, len(answer.content)) == (200, file["bytes"])

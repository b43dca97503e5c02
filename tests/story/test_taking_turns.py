"""The tour: a small run does not wait for a large one that was there before it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

pytestmark = pytest.mark.anyio

LARGE = 200
TASKS_MAX = 4


def board(shots: int) -> dict[str, Any]:
    """Every shot is a scene of its own, so all are submitted side by side."""
    scenes = [{"id": f"c{number}", "shots": [{"id": f"s{number}", "prompt": "a car"}]} for number in range(shots)]
    return {"title": "side by side", "model": "m", "scenes": scenes}


async def test_a_run_of_one_shot_overtakes_a_run_of_two_hundred(
    start_provider: Any, start_relay: Any, wait_until: Callable[..., Awaitable[None]]
) -> None:
    """Each asks for all it wants at once; the small one's shot is submitted as soon as a place is free."""
    async with (
        start_provider(options={"job_s": 600.0}) as provider,  # Nothing is rendered before the end.
        start_relay(provider.url, tasks_max=TASKS_MAX) as relay,
    ):

        async def submits_of_runs() -> list[str]:
            """Whose shot each submit was, in the order in which they came; the callback address names its run."""
            journal = await provider.journal()
            jobs = {job["id"]: job["input"]["callback_url"].rpartition("/")[2] for job in journal["jobs"]}
            return [relay.tokens.read(jobs[each["job_id"]], now=0.0).run_id for each in journal["submits"]]

        large = await relay.run(board(LARGE))
        small = await relay.run(board(1))
        before = len(await submits_of_runs())

        async def small_is_submitted() -> bool:
            return small in await submits_of_runs()

        await wait_until(small_is_submitted, "the small run's shot is submitted")
        order = await submits_of_runs()
        for run_id in (large, small):
            await relay.api.post(f"/v1/runs/{run_id}/cancel")

    assert before < LARGE / 2, "the large run was done before the small one came"
    assert order.index(small) - before <= TASKS_MAX

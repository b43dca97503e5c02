"""What an operator sees of a film that is made: each step by name, and the money."""

import re
from typing import Any

import pytest
from starlette.datastructures import Secret

pytestmark = pytest.mark.anyio

CHAIN = {
    "model": "seedance-1.5-pro-1080p",
    "shots": [{"id": "s1", "prompt": "a car"}, {"id": "s2", "prompt": "closer"}],
}
SAMPLE = re.compile(r"^framerelay_(\w+?)(?:_count)?(\{.*\})? ([0-9.e+-]+)$", re.MULTILINE)


async def counts(relay: Any) -> dict[str, float]:
    """Counters, and of histograms how many they have seen."""
    text = (await relay.api.get("/metrics")).text
    return {f"{name}{labels}": float(number) for name, labels, number in SAMPLE.findall(text)}


async def test_a_film_is_seen_in_figures(start_provider: Any, start_relay: Any) -> None:
    """Two jobs, one hand-off, two downloads, one film; of `up`, on the receiver's own port."""
    async with start_provider() as provider, start_relay(provider.url) as relay:
        before = await counts(relay)
        run = await relay.wait_for_end(await relay.run(CHAIN))
        after = await counts(relay)

    assert run["status"] == "succeeded", run["error"]
    growth = {name: number - before.get(name, 0) for name, number in after.items() if number != before.get(name, 0)}
    expected = {
        'jobs_submitted_total{provider="jobs"}': 2,
        "hop_seconds": 1,
        'provider_call_seconds{profile="jobs",call="submit",outcome="ok"}': 2,
        'provider_call_seconds{profile="jobs",call="upload",outcome="ok"}': 1,
        'download_seconds{outcome="ok"}': 2,
        'join_seconds{outcome="ok"}': 1,
        'task_seconds{task="submit",outcome="submitted"}': 2,
        'task_seconds{task="collect",outcome="collected"}': 2,
        'task_seconds{task="join",outcome="joined"}': 1,
        'queue_wait_seconds{task="submit"}': 2,
    }
    assert {name: growth.get(name) for name in expected} == expected
    assert growth["downloaded_bytes_total"] == sum(shot["takes"][0]["video"]["bytes"] for shot in run["shots"])
    assert growth["acknowledge_seconds"] >= 2
    assert growth["redis_seconds"] > 20
    assert "paid_twice_suspected_total" not in growth


async def test_a_submit_that_is_refused_is_seen_by_its_reason(
    start_provider: Any, start_relay: Any, wait_until: Any
) -> None:
    """What goes wrong at a provider has the name of its error, and costs nothing."""
    async with (
        start_provider() as provider,
        start_relay(provider.url, upstream_key=Secret("sk-nobody-knows-this")) as relay,
    ):
        before = await counts(relay)
        run_id = await relay.run(CHAIN)

        async def is_refused() -> bool:
            return bool((await relay.view(run_id))["error"])

        await wait_until(is_refused, "the submit is refused")
        after = await counts(relay)

    name = 'provider_call_seconds{profile="jobs",call="submit",outcome="upstream_rejected"}'
    assert after[name] > before.get(name, 0)
    assert after.get('jobs_submitted_total{provider="jobs"}') == before.get('jobs_submitted_total{provider="jobs"}')

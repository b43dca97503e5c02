"""Keeping a clip: what is tried again, and how often."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog

from framerelay.media import decoder_process
from tests.story.gateways import gateway

pytestmark = pytest.mark.anyio

ONE = {"title": "one", "model": "m", "shots": [{"id": "s1", "prompt": "a car"}]}
CRASHES = """
import os
from framerelay.media.child import main

def die(_):
    os.abort()

main.load = lambda: die
main.work_of_follow = lambda *_: die
main.main()
"""


async def test_a_clip_that_crashes_the_decoder_again_and_again_is_given_up(
    monkeypatch: pytest.MonkeyPatch, start_provider: Any, start_relay: Any
) -> None:
    """It is fetched three times, not eight; nothing is paid again, and a person may still resume."""
    monkeypatch.setattr(decoder_process, "COMMAND", (sys.executable, "-I", "-c", CRASHES))
    async with start_provider() as provider, start_relay(provider.url, own_decoders=True) as relay:
        run_id = await relay.run(ONE)
        run = await relay.wait_for_end(run_id)
        history = await relay.store.history(run_id)
        jobs = (await provider.journal())["jobs"]

    (take,) = run["shots"][0]["takes"]
    assert (run["status"], take["status"], take["error"]["code"]) == ("failed", "failed", "decoder_failed")
    assert "SIGABRT" in take["error"]["message"]
    assert [each.fields["event"] for each in history].count("collect_put_off") == 2
    assert len(jobs) == 1


MINE = """
profile: 1
id: mine
extends: ark
download: {hosts: ["*.volces.example"], get_renews: RENEWS}
"""


def settle(folder: Path, url: str, *, renews: str = "null") -> dict[str, Any]:
    """A provider whose clips are elsewhere than its profile says, and a storyboard of one shot for it."""
    lines = f"providers: {{mine: {{profile: ./mine.yaml, url: '{url}/ark/api/v3', key_env: SANDBOX_KEY}}}}\n"
    (folder / "framerelay.yaml").write_text(lines, encoding="utf-8")
    (folder / "mine.yaml").write_text(MINE.replace("RENEWS", renews), encoding="utf-8")
    return {**ONE, "provider": "mine", "model": "doubao-seedance-1-5-pro-251215"}


async def test_a_clip_at_another_host_than_its_profile_names_is_kept_and_noted(
    monkeypatch: pytest.MonkeyPatch, start_provider: Any, start_relay: Any, tmp_path: Path
) -> None:
    """It was paid for; the line has the host, and nothing else of the address."""
    monkeypatch.setenv("SANDBOX_KEY", "sk-sandbox")
    async with start_provider() as provider, gateway(provider.url, lambda _, __, body: body) as url:
        board = settle(tmp_path, url)
        async with start_relay(provider.url) as relay:
            with structlog.testing.capture_logs() as lines:
                run = await relay.wait_for_end(await relay.run(board))

    notes = [line for line in lines if line["event"] == "clip_host_unknown"]
    assert run["status"] == "succeeded", run["error"]
    assert [(line["host"], line["profile"], line["log_level"]) for line in notes] == [("127.0.0.1", "mine", "warning")]


@pytest.mark.parametrize(("renews", "is_asked"), [("null", True), ("true", True), ("false", False)])
async def test_an_address_that_has_expired_is_asked_for_again_where_that_gives_another(
    monkeypatch: pytest.MonkeyPatch, start_provider: Any, start_relay: Any, tmp_path: Path, renews: str, is_asked: bool
) -> None:
    """Where a look-up gives the same again, the address is tried again by itself."""
    monkeypatch.setenv("SANDBOX_KEY", "sk-sandbox")
    async with start_provider(options={"output_ttl_s": 0.0001}) as provider:
        board = settle(tmp_path, provider.url, renews=renews)
        async with start_relay(provider.url) as relay:
            with structlog.testing.capture_logs() as lines:
                run_id = await relay.run(board)
                async with asyncio.timeout(60):
                    while len([line for line in lines if line["event"] == "collect_put_off"]) < 3:
                        await asyncio.sleep(0.02)
            job = (await provider.journal())["jobs"][0]
            assert (await relay.view(run_id))["status"] == "running"

    assert (job["look_ups"] >= 3) is is_asked

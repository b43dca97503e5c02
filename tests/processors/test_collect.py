"""Keeping a clip: what is tried again, and how often."""

import sys
from typing import Any

import pytest

from framerelay.media import decoder_process

pytestmark = pytest.mark.anyio

ONE = {"title": "one", "model": "m", "shots": [{"id": "s1", "prompt": "a car"}]}
CRASHES = """
import os
from framerelay.media.child import main

def die(_):
    os.abort()

main.load = lambda: die
main.following = lambda *_: die
main.main()
"""


async def test_a_clip_that_crashes_the_decoder_again_and_again_is_given_up(
    monkeypatch: pytest.MonkeyPatch, start_provider: Any, start_relay: Any
) -> None:
    """It is fetched three times, not eight; nothing is paid again, and a person may still resume."""
    monkeypatch.setattr(decoder_process, "COMMAND", (sys.executable, "-I", "-c", CRASHES))
    async with start_provider() as provider, start_relay(provider.url, own_decoders=True) as relay:
        run_id = await relay.run(ONE)
        run = await relay.ended(run_id)
        history = await relay.store.history(run_id)
        jobs = (await provider.journal())["jobs"]

    (take,) = run["shots"][0]["takes"]
    assert (run["status"], take["status"], take["error"]["code"]) == ("failed", "failed", "decoder_failed")
    assert "SIGABRT" in take["error"]["message"]
    assert [each.fields["event"] for each in history].count("collect_put_off") == 2
    assert len(jobs) == 1

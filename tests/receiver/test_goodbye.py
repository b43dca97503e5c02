"""How a receiver that is told to end says goodbye to those who listen."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

from framerelay.cli import http

pytestmark = pytest.mark.anyio

BOARD = {"model": "m", "shots": [{"id": "s1", "prompt": "a car", "gate": "approve"}]}


async def test_people_who_watch_a_run_do_not_hold_up_the_stop(
    start_relay: Any, monkeypatch: pytest.MonkeyPatch, ends: Callable[[], AbstractContextManager[None]]
) -> None:
    """A page is open nearly always, and its stream has no end: Ctrl-C does not wait for it until patience is out."""
    monkeypatch.setattr(http, "GOODBYE_S", 3600)
    with ends():
        async with httpx.AsyncClient(headers={"Authorization": "Bearer fr_test"}, trust_env=False) as reader:
            async with start_relay("http://127.0.0.1:9", worker=False) as relay:
                run_id = await relay.run(BOARD)
                url = f"{relay.settings.listen_url}/v1/runs/{run_id}/events"
                stream = await reader.send(reader.build_request("GET", url), stream=True)
                lines = stream.aiter_lines()
                assert (await anext(lines)).startswith("id: ")
            with pytest.raises(httpx.RemoteProtocolError):
                _ = [line async for line in lines]

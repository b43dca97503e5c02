"""When the machine of Redis has vanished: no refusal, no answer, only silence to every attempt to connect."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.anyio


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A port whose queue of connections is full: the kernel drops whatever asks for one more."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}"
        for filler in fillers:
            filler.close()


@pytest.fixture
async def relay(start_relay: Any, nobody_calls: str) -> AsyncIterator[Any]:
    """A receiver on that port."""
    async with start_relay(nobody_calls, worker=False) as relay:
        yield relay


async def test_clients_are_answered_before_they_give_up(relay: Any, take_address: Any) -> None:
    """Callbacks are spooled within five seconds; a probe has its 503; what needs no Redis does not wait."""
    requests = [relay.api.post(take_address(take=number), json={"id": "job_1"}) for number in range(3)]
    waiting = asyncio.gather(*requests, relay.api.get("/readyz"))
    assert (await relay.api.post("/webhook/x", json={})).status_code == 404
    assert (await relay.api.get("/livez")).status_code == 200
    assert not waiting.done()

    assert [answer.status_code for answer in await waiting] == [200] * 3 + [503]
    assert len(list((relay.settings.data_dir / "spool").glob("*.callback"))) == 3

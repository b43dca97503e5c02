"""Redis behind Sentinel with TLS everywhere: to the sentinels, to the servers, and between them."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from framerelay.config.settings import Settings
from framerelay.store.addresses import redis_address
from tests.fixtures.relay import StartProvider, StartRelay
from tests.machines.servers import Server, authority, free_port, running_with_tls, server_with_tls
from tests.machines.test_kinds_of_redis import BOARD, client_at, is_primary, refusal, sentinels

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module", autouse=True)
def _server_with_tls() -> None:
    """Without one the tests are skipped, except where `make test-machines` could have installed it."""
    if server_with_tls() is None:
        if os.geteuid() == 0 and shutil.which("apt-get"):
            pytest.fail("no Redis with TLS, though `make test-machines` can install it: apt-get install redis-tools")
        pytest.skip("no Redis that speaks TLS; as root on Debian or Ubuntu `make test-machines` installs it")


@contextmanager
def watched(folder: Path, ca: Path, number: int) -> Iterator[tuple[Server, Server, list[Server]]]:
    """A primary, its copy, and so many sentinels."""
    durable = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0")
    with ExitStack() as stack:
        primary = stack.enter_context(running_with_tls(folder / "primary", ca, *durable))
        to_it = ("--replicaof", f"127.0.0.1 {primary.port}")
        copy = stack.enter_context(running_with_tls(folder / "copy", ca, *durable, *to_it))
        copy.wait_until("replication", master_link_status="up")

        def with_tls(conf: Path) -> Any:
            return running_with_tls(conf.parent, ca, words=(str(conf), "--sentinel"), port=free_port())

        yield primary, copy, stack.enter_context(sentinels(folder, primary, number, start=with_tls))


@pytest.mark.slow
async def test_work_goes_on_after_a_fail_over_with_tls(
    start_provider: StartProvider, relay_in: StartRelay, tmp_path: Path, wait_until: Any
) -> None:
    """One authority, in FRAMERELAY_CA_FILE, counts for all; nothing is paid twice."""
    ca = authority(tmp_path, "127.0.0.1")
    with watched(tmp_path, ca, 3) as (primary, copy, watchers):
        places = ",".join(f"127.0.0.1:{each.port}" for each in watchers)
        url = redis_address(Settings(redis_url=f"rediss+sentinel://{places}/relay", ca_file=ca))
        assert url

        async def all_know() -> bool:
            answers = [each.ask("SENTINEL", "MASTER", "relay") for each in watchers]
            facts = [dict(zip(each[::2], each[1::2], strict=True)) for each in answers]
            return all((int(each[b"num-slaves"]), int(each[b"num-other-sentinels"])) == (1, 2) for each in facts)

        await wait_until(all_know, "the sentinels know of the copy and each other")
        async with start_provider() as provider, relay_in(tmp_path, url, provider.url, lookup_after_s=3.0) as relay:
            board = {**BOARD, "shots": [{**shot, "gate": "approve"} for shot in BOARD["shots"]]}
            run_id = await relay.run(board)
            assert (await relay.wait_for_end(run_id))["status"] == "waiting"
            assert primary.ask("WAIT", 1, 60_000) == 1
            primary.kill()

            async def is_back() -> bool:
                return is_primary(copy) and bool((await relay.api.get("/readyz")).json()["status"] == "ok")

            await wait_until(is_back, "the copy has taken over, and the receiver has found it")
            for shot in BOARD["shots"]:
                await relay.api.post(f"/v1/runs/{run_id}/shots/{shot['id']}/approve")
                run = await relay.wait_for_end(run_id)
            jobs = (await provider.journal())["jobs"]

    assert (run["status"], len(jobs)) == ("succeeded", len(BOARD["shots"]))


async def test_what_is_wrong_with_tls_is_reported(tmp_path: Path) -> None:
    """No authority, at the sentinels already; a name that the certificate lacks; and sentinels asked without TLS."""
    ca = authority(tmp_path)
    with watched(tmp_path, ca, 1) as (_, _, (watcher,)):
        url = f"rediss+sentinel://localhost:{watcher.port}/relay"
        trusting = Settings(redis_url=url, ca_file=ca)
        strange = await refusal(replace(trusting, ca_file=None))
        words = await refusal(trusting)  # The sentinel is reached by its name; the server that it names is not.
        plain = await refusal(Settings(redis_url=url.replace("rediss", "redis")))
        loose = redis_address(replace(trusting, redis_url=f"{url}?ssl_check_hostname=false"))
        assert loose
        async with client_at(loose) as redis:
            assert await redis.ping()

    assert "shows a certificate that is not accepted (self-signed certificate)" in strange
    assert "FRAMERELAY_CA_FILE" in strange
    assert "not valid for '127.0.0.1'" in words
    assert "rediss+sentinel:// where they speak TLS" in plain

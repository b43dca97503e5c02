"""Redis behind Sentinel, behind TLS, with a user of few rights; and those that are refused by their name."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync

from framerelay.cli.errors import CommandError
from framerelay.cli.serve import redis_at
from framerelay.config.settings import Settings
from framerelay.store.addresses import SentinelPool, hosts_of, pool_of, redact_url, redis_address
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.redis_messages import REDIS_ERRORS, redis_words
from tests.machines.servers import Forwarder, Server, authority, free_port, primary_and_copy, running, tls_server

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
WaitUntil = Callable[..., Awaitable[None]]
BOARD: dict[str, Any] = {
    "title": "a film",
    "model": "m",
    "shots": [{"id": "s1", "prompt": "a"}, {"id": "s2", "prompt": "b"}],
}


@asynccontextmanager
async def client_at(url: str, **options: Any) -> AsyncIterator[RelayRedis]:
    redis = connect(url, **options)
    try:
        yield redis
    finally:
        await disconnect(redis)


async def refusal(settings: Settings) -> str:
    """Why a start with these settings ends."""
    with pytest.raises(CommandError) as failure:
        async with redis_at(settings):
            pass
    return str(failure.value)


@contextmanager
def sentinels(
    folder: Path, primary: Server, number: int, *, start: Callable[[Path], AbstractContextManager[Server]] | None = None
) -> Iterator[list[Server]]:
    """So many, which watch *primary* under the name relay and need half of them to have another server take over."""
    with ExitStack() as stack:
        sentinels = []
        for place in range(number):
            conf = folder / f"sentinel{place}" / "sentinel.conf"
            conf.parent.mkdir(parents=True)
            lines = [
                f"sentinel monitor relay 127.0.0.1 {primary.port} {number // 2 + 1}",
                "sentinel down-after-milliseconds relay 500",
                "sentinel failover-timeout relay 3000",
            ]
            conf.write_text("\n".join(lines) + "\n")
            sentinels.append(stack.enter_context((start or sentinel)(conf)))
        for each in sentinels:
            each.wait_until("sentinel", sentinel_masters=1)
        yield sentinels


@contextmanager
def sentinel(conf: Path, port: int | None = None) -> Iterator[Server]:
    port = port or free_port()
    conf.write_text(f"port {port}\n" + conf.read_text())
    with running(conf.parent, words=(str(conf), "--sentinel"), port=port) as server:
        yield server


@pytest.mark.slow
async def test_work_goes_on_at_whichever_server_the_sentinels_name(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """The primary is killed under a run; nobody is told the new address, and nothing is paid twice."""
    with primary_and_copy(tmp_path) as (primary, copy), sentinels(tmp_path, primary, 3) as watchers:
        places = ",".join(f"127.0.0.1:{each.port}" for each in watchers)
        url = f"redis+sentinel://{places}/relay"

        async def all_know() -> bool:
            answers = [each.ask("SENTINEL", "MASTER", "relay") for each in watchers]
            facts = [dict(zip(each[::2], each[1::2], strict=True)) for each in answers]
            return all((int(each[b"num-slaves"]), int(each[b"num-other-sentinels"])) == (1, 2) for each in facts)

        await wait_until(all_know, "the sentinels know of the copy and each other")
        async with (
            start_provider(options={"job_s": 1.0}) as provider,
            relay_in(tmp_path, url, provider.url, lookup_after_s=3.0) as relay,
        ):
            run_id = await relay.run(BOARD)

            async def submitted() -> bool:
                return bool((await provider.journal())["jobs"])

            await wait_until(submitted, "the first shot is submitted")
            assert primary.ask("WAIT", 1, 60_000) == 1  # What is tried out is the address, not what a copy lacks.
            primary.kill()

            async def is_back() -> bool:
                return bool((await relay.api.get("/v1/runs")).is_success)

            await wait_until(partial(is_primary, copy), "the copy takes over")
            await wait_until(is_back, "the receiver has found it")
            run = await relay.wait_for_end(run_id)
            jobs = (await provider.journal())["jobs"]

    assert (run["status"], len(jobs)) == ("succeeded", 2)


def is_primary(server: Server) -> bool:
    """Sentinel ends the connections of the one that it has take over."""
    with suppress(redis_sync.ConnectionError):
        return bool(server.ask("ROLE")[0] == b"master")
    return False


async def test_sentinels_that_know_nothing_are_reported(tmp_path: Path) -> None:
    """Another name, a sentinel taken for a server, and none that answers."""
    with running(tmp_path / "primary") as primary, sentinels(tmp_path, primary, 1) as (watcher,):
        place = f"127.0.0.1:{watcher.port}"
        other = await refusal(Settings(redis_url=f"redis+sentinel://:s3cret@{place}/other"))
        plain = await refusal(Settings(redis_url=f"redis://{place}"))
        words = await refusal(Settings(redis_url=f"redis+sentinel://127.0.0.1:{free_port()}/relay"))
        async with client_at(f"redis+sentinel://127.0.0.1:{free_port()},{place}/relay?db=1") as redis:
            await redis.set("k", 1)
        assert primary.ask("INFO", "keyspace")["db1"]["keys"] == 1

    assert "know no primary of that name" in other
    assert "s3cret" not in other
    assert "this is a Sentinel: its address is redis+sentinel://" in plain
    assert "see that they run" in words


async def test_no_sentinel_is_forgotten_while_many_are_asked_at_once(tmp_path: Path, wait_until: WaitUntil) -> None:
    """The first one is away when connections are made again; it is the only one left after that."""
    first = free_port()
    back = partial(sentinel, port=first)
    with running(tmp_path / "primary") as primary:
        with sentinels(tmp_path / "others", primary, 1) as (other,):
            pool = pool_of(f"redis+sentinel://127.0.0.1:{first},127.0.0.1:{other.port}/relay")
            assert isinstance(pool, SentinelPool)
            places = await asyncio.gather(*(pool.get_master_address() for _ in range(8)))
        with sentinels(tmp_path / "first", primary, 1, start=back) as (late,):

            def sees_it() -> bool:
                facts = late.ask("SENTINEL", "MASTER", "relay")
                return dict(zip(facts[::2], facts[1::2], strict=True))[b"flags"] == b"master"

            await wait_until(sees_it, "it knows that the primary is there")
            places.append(await pool.get_master_address())
        await pool.disconnect()

    assert set(places) == {("127.0.0.1", primary.port)}


def test_an_address_is_shown_without_what_it_hides() -> None:
    """Of each form."""
    url = "redis+sentinel://me:s3cret@a:1,b:2/relay?sentinel_password=x"
    assert redact_url(url) == "redis+sentinel://a:1,b:2/relay"
    assert hosts_of(url) == ["redis://a:1", "redis://b:2"]
    assert redact_url("rediss://:s3cret@h:6379/0?ssl_ca_certs=/x") == "rediss://h:6379/0"
    assert hosts_of("unix:///tmp/s") == []


async def test_redis_behind_tls_with_an_authority_of_its_own(tmp_path: Path) -> None:
    """FRAMERELAY_CA_FILE counts for Redis, too; without it the certificate is refused, in words."""
    ca = authority(tmp_path / "näm%e +")
    with running(tmp_path / "redis") as server:
        async with Forwarder(server.port, tls=tls_server(ca)) as address:
            trusting = Settings(redis_url=f"rediss://localhost:{address.port}/0", ca_file=ca)
            async with redis_at(trusting) as url, client_at(url) as redis:
                await redis.set("k", 1)
            strange = await refusal(replace(trusting, ca_file=None))
            words = await refusal(replace(trusting, redis_url=f"rediss://127.0.0.1:{address.port}"))
        async with speaking_no_tls() as port:
            plain = await refusal(replace(trusting, redis_url=f"rediss://127.0.0.1:{port}"))

    assert "shows a certificate that is not accepted (self-signed certificate)" in strange
    assert "FRAMERELAY_CA_FILE" in strange
    assert "not valid for '127.0.0.1'" in words
    assert "does not speak TLS at that port" in plain


@asynccontextmanager
async def speaking_no_tls() -> AsyncIterator[int]:
    """Its port."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR what\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


def test_an_authority_that_the_address_names_stays() -> None:
    """It worked before there was a setting for it."""
    own = "rediss://h?ssl_ca_certs=/own.pem"
    assert redis_address(Settings(redis_url=own, ca_file=Path("/ca.pem"))) == own
    assert redis_address(Settings(redis_url="redis://h", ca_file=Path("/ca.pem"))) == "redis://h"


async def test_the_rights_that_the_manual_names_are_enough(start_provider: Any, relay_in: Any, tmp_path: Path) -> None:
    """And no others, ``SCRIPT`` least of all: a film is made."""
    line = next(
        line for line in (ROOT / "docs" / "redis.md").read_text().splitlines() if line.startswith("ACL SETUSER relay")
    )
    with running(tmp_path / "redis", "--appendonly", "yes") as server:
        server.ask(*line.replace("PASSWORD", "s3cret").split())
        url = f"redis://relay:s3cret@127.0.0.1:{server.port}"
        async with client_at(url) as redis:
            for command in (
                ("SCRIPT", "LOAD", "return 1"),
                ("CONFIG", "GET", "save"),
                ("KEYS", "*"),
                ("GET", "other"),
            ):
                with pytest.raises(REDIS_ERRORS) as failure:
                    await redis.execute_command(*command)
                assert "allow all commands on {framerelay}:*" in redis_words(failure.value)
        settings = Settings(redis_url=url, redis_copies=1, redis_copies_on_disk="yes")
        async with redis_at(settings):
            pass
        async with start_provider() as provider, relay_in(tmp_path, url, provider.url) as relay:
            run = await relay.wait_for_end(await relay.run(BOARD))
            metrics = (await relay.api.get("/metrics")).text
        entries = server.ask("ACL", "LOG")

    assert run["status"] == "succeeded"
    assert "framerelay_redis_up 1" in metrics
    assert {entry[b"object"] for entry in map(_pairs, entries)} <= {
        b"script|load",
        b"config|get",
        b"keys",
        b"other",
        b"info",
    }


def _pairs(entry: Any) -> dict[Any, Any]:
    return entry if isinstance(entry, dict) else dict(zip(entry[::2], entry[1::2], strict=True))


async def test_a_redis_that_is_not_supported_is_refused_by_its_name(tmp_path: Path) -> None:
    """Before anything is there."""
    bus = str(free_port())  # By itself it is 10,000 above the other one, which may be no port any more.
    with running(tmp_path / "cluster", "--cluster-enabled", "yes", "--cluster-port", bus) as server:
        cluster = await refusal(Settings(redis_url=server.url))
    with running(tmp_path / "bare", "--rename-command", "WAIT", "''") as server:
        without_wait = await refusal(Settings(redis_url=server.url, redis_copies=1))
        async with redis_at(Settings(redis_url=server.url)):
            pass
    own = await refusal(Settings(data_dir=tmp_path / "data", redis_copies=1))

    assert "this Redis is a cluster: its address is redis+cluster://HOST:PORT,HOST:PORT" in cluster
    assert "needs the command WAIT" in without_wait
    assert "FrameRelay's own Redis has no copies" in own


async def test_the_command_trusts_the_same_authorities(tmp_path: Path) -> None:
    """`framerelay runs` at a receiver behind a proxy with a certificate of its own authority."""
    ca = authority(tmp_path)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"object":"list","data":[],"next":null}'
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n")
        writer.write(b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls_server(ca))
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        trusting = await _command(tmp_path, FRAMERELAY_URL=url, FRAMERELAY_CA_FILE=str(ca))
        strange = await _command(tmp_path, FRAMERELAY_URL=url)

    assert trusting.returncode == 0, trusting.stderr
    assert "shows a certificate that is not accepted" in strange.stderr
    assert "FRAMERELAY_CA_FILE" in strange.stderr
    assert "there is no receiver" not in strange.stderr


async def _command(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    words = [str(ROOT / ".venv/bin/framerelay"), "runs"]
    environment = {"PATH": "/usr/bin:/bin", "FRAMERELAY_API_KEY": "k" * 40, "HOME": str(folder), **variables}
    return await asyncio.to_thread(
        subprocess.run, words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=120
    )

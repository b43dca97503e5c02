"""Redis in cluster mode: our keys are in one slot, and we go to whichever node has it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync

from framerelay.cli.doctor.redis import look_at_redis
from framerelay.cli.errors import CommandError
from framerelay.cli.serve import redis_at
from framerelay.config.settings import Settings
from framerelay.store import schema
from framerelay.store.addresses import hosts_of, redact_url, redis_address
from framerelay.store.client import PinnedConnection, RelayRedis, connect, disconnect
from framerelay.store.keys import PREFIX
from framerelay.store.redis_messages import REDIS_ERRORS, redis_words
from tests.machines.servers import Forwarder, Server, authority, free_port, running, tls_server
from tests.machines.test_a_lossy_fail_over import board, jobs_of_takes

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]
SLOTS = 16384


@contextmanager
def nodes(folder: Path, number: int, *options: str) -> Iterator[list[Server]]:
    """*number* nodes that know each other, and have no slots yet."""
    with ExitStack() as stack:
        servers_up = []
        for place in range(number):
            # By itself the bus is 10,000 above the port, which may be no port any more.
            words = ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000")
            durable = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-sync-delay", "0")
            servers_up.append(stack.enter_context(running(folder / f"node{place}", *words, *durable, *options)))
        for each in servers_up[1:]:
            bus = bus_of(each)
            servers_up[0].ask("CLUSTER", "MEET", "127.0.0.1", each.port, bus)
        yield servers_up


def bus_of(node: Server) -> int:
    return int(node.ask("CONFIG GET", "cluster-port")["cluster-port"])


def share(primaries: list[Server]) -> None:
    """All slots, among them evenly, without the tool for it."""
    for place, each in enumerate(primaries):
        first, last = SLOTS * place // len(primaries), SLOTS * (place + 1) // len(primaries) - 1
        each.ask("CLUSTER", "ADDSLOTSRANGE", first, last)


async def is_whole(servers: list[Server]) -> bool:
    """All of them see the others, and a node for each slot."""
    reports = [each.ask("CLUSTER INFO") for each in servers]
    return all((info["cluster_state"], int(info["cluster_known_nodes"])) == ("ok", len(servers)) for info in reports)


def ours(servers: list[Server]) -> Server:
    """The node that has our slot."""
    slot = servers[0].ask("CLUSTER", "KEYSLOT", PREFIX)
    for server in servers:
        with suppress(redis_sync.ResponseError, redis_sync.ConnectionError):
            assert slot == server.ask("CLUSTER", "KEYSLOT", PREFIX)
            server.ask("EXISTS", PREFIX)
            return server
    raise AssertionError("no node has our slot")


def address(servers: list[Server]) -> str:
    return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in servers)


@asynccontextmanager
async def client_at(url: str) -> AsyncIterator[RelayRedis]:
    redis = connect(url)
    try:
        yield redis
    finally:
        await disconnect(redis)


async def enter(url: str) -> None:
    """As a process does at its start."""
    async with redis_at(Settings(redis_url=url)) as clients, client_at(clients) as redis:
        await schema.enter(redis)


async def test_a_cluster_of_one_node_makes_a_film(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """As some managed offers are; every key is in one slot."""
    with nodes(tmp_path, 1) as servers:
        share(servers)
        await wait_until(partial(is_whole, servers), "the cluster is whole")
        url = address(servers)
        await enter(url)
        finding = await look_at_redis(Settings(redis_url=url))
        async with start_provider() as provider, relay_in(tmp_path, url, provider.url) as relay:
            run = await relay.wait_for_end(await relay.run(board(1, 2)))
        with redis_sync.Redis(port=servers[0].port) as redis:
            keys = list(redis.scan_iter())
        slots = {servers[0].ask("CLUSTER", "KEYSLOT", key) for key in keys}

    assert run["status"] == "succeeded"
    assert "syncs each write" in finding.message
    assert len(keys) > 10
    assert len(slots) == 1


@pytest.mark.slow
async def test_work_goes_on_at_the_node_that_takes_over(
    start_provider: Any, relay_in: Any, tmp_path: Path, wait_until: WaitUntil
) -> None:
    """
    Three nodes and a copy of ours, of which the address names two that do not have our slot; the one that has it is
    killed under runs. Nothing is paid twice, since a copy has each intent.
    """
    with nodes(tmp_path, 4) as servers:
        share(servers[:3])
        await wait_until(partial(is_whole, servers), "the cluster is whole")
        first, copy = ours(servers[:3]), servers[3]
        copy.ask("CLUSTER", "REPLICATE", first.ask("CLUSTER", "MYID"))
        copy.wait_until("replication", role="slave", master_link_status="up")
        url = address([each for each in servers[:3] if each is not first])
        await enter(url)
        options = {"job_s": 1.0}
        async with (
            start_provider(options=options) as provider,
            relay_in(tmp_path, url, provider.url, lookup_after_s=3.0, redis_copies=1) as relay,
        ):
            runs = [await relay.run(board(number, 3)) for number in range(3)]

            async def submitted() -> bool:
                return len((await provider.journal())["jobs"]) >= 3

            await wait_until(submitted, "the first shots are submitted")
            second = Path(tmp_path / "more")
            second.mkdir()
            first.kill()

            async def is_back() -> bool:
                return bool((await relay.api.get("/v1/runs")).is_success)

            await wait_until(partial(owns, copy), "the copy takes over")
            with running(second / "node", *node_words(), "--appendonly", "yes") as new:
                copy.ask("CLUSTER", "MEET", "127.0.0.1", new.port, bus_of(new))
                await wait_until(is_back, "the receiver has found it")
                await wait_until(partial(replicates, new, copy), "there is a copy again")
                ends = [await relay.wait_for_end(run_id) for run_id in runs]
                jobs = await jobs_of_takes(relay, provider)

    assert [run["status"] for run in ends] == ["succeeded"] * 3
    assert set(jobs.values()) == {1}
    assert len(jobs) == 9


def node_words() -> tuple[str, ...]:
    return ("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--cluster-node-timeout", "2000")


def owns(server: Server) -> bool:
    with suppress(redis_sync.ResponseError, redis_sync.ConnectionError):
        server.ask("EXISTS", PREFIX)
        return True
    return False


def replicates(copy: Server, primary: Server) -> bool:
    """Asked until it is so: a node that was just met does not know the others at once."""
    with suppress(redis_sync.ResponseError, redis_sync.ConnectionError):
        copy.ask("CLUSTER", "REPLICATE", primary.ask("CLUSTER", "MYID"))
    return bool(primary.ask("WAIT", 1, 100) == 1)


async def test_a_slot_that_moves_to_another_node_is_followed(tmp_path: Path, wait_until: WaitUntil) -> None:
    """By open connections, in each way in which they are used: a call, a script, a transaction, in one piece."""
    with nodes(tmp_path, 2) as servers:
        share(servers)
        await wait_until(partial(is_whole, servers), "the cluster is whole")
        slot = servers[0].ask("CLUSTER", "KEYSLOT", PREFIX)
        owner = ours(servers)
        async with client_at(address(servers)) as redis:
            call = redis.register_script("return redis.call('INCR', KEYS[1])")

            async def transaction() -> int:
                async with redis.pipeline(transaction=True) as pipe:
                    pipe.incr(f"{PREFIX}n")
                    (number,) = await pipe.execute()
                return int(number)

            async def piece() -> int:
                return int((await redis.together(("INCR", f"{PREFIX}n")))[0])

            connection = PinnedConnection(redis)

            async def pinned_piece() -> int:
                return int((await connection.together(("INCR", f"{PREFIX}n")))[0])

            ways: list[Callable[[], Awaitable[int]]] = [
                partial(redis.incr, f"{PREFIX}n"),
                partial(call, keys=[f"{PREFIX}n"]),
                transaction,
                piece,
                partial(connection.call, call, [f"{PREFIX}n"], []),
                pinned_piece,
                partial(connection.call, call, [f"{PREFIX}n"], []),
            ]
            for way in ways:
                number = await redis.incr(f"{PREFIX}n")
                (other,) = (each for each in servers if each is not owner)
                hand_over(slot, owner, other)
                assert await way() == number + 1
                assert int(other.ask("GET", f"{PREFIX}n")) == number + 1
                owner = other
            await connection.close()


def hand_over(slot: int, owner: Server, other: Server) -> None:
    """As an administrator does, with all its keys."""
    name = other.ask("CLUSTER", "MYID")
    other.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.ask("CLUSTER", "MYID"))
    owner.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", name)
    while keys := owner.ask("CLUSTER", "GETKEYSINSLOT", slot, 100):
        owner.ask("MIGRATE", "127.0.0.1", other.port, "", 0, 5000, "KEYS", *keys)
    for each in (other, owner):
        each.ask("CLUSTER", "SETSLOT", slot, "NODE", name)


async def test_a_wrong_setup_is_reported(tmp_path: Path, wait_until: WaitUntil) -> None:
    """A node by its own address, a cluster without a node for us, and nobody there; one that answers will do."""

    async def refusal(url: str) -> str:
        with pytest.raises(CommandError) as failure:
            async with redis_at(Settings(redis_url=url)):
                pass
        return str(failure.value)

    with nodes(tmp_path, 1) as (server,):
        homeless = await refusal(address([server]))
        share([server])
        await wait_until(partial(is_whole, [server]), "the cluster is whole")
        plain = await refusal(server.url)
        words = await refusal(f"redis+cluster://me:s3cret@127.0.0.1:{free_port()}")
        async with client_at(f"redis+cluster://127.0.0.1:{free_port()},127.0.0.1:{server.port}/0") as redis:
            await redis.set(f"{PREFIX}k", 1)

    assert "no server now for the slot of our keys" in homeless
    assert "its address is redis+cluster://HOST:PORT,HOST:PORT" in plain
    assert "see that it runs" in words
    assert "s3cret" not in words


async def test_keys_that_are_on_their_way_to_another_node_are_reported(tmp_path: Path, wait_until: WaitUntil) -> None:
    """What is there is answered; what is not may be at the other one already."""
    with nodes(tmp_path, 2) as servers:
        servers[0].ask("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1)
        await wait_until(partial(is_whole, servers), "the cluster is whole")
        slot = servers[0].ask("CLUSTER", "KEYSLOT", PREFIX)
        servers[1].ask("CLUSTER", "SETSLOT", slot, "IMPORTING", servers[0].ask("CLUSTER", "MYID"))
        servers[0].ask("CLUSTER", "SETSLOT", slot, "MIGRATING", servers[1].ask("CLUSTER", "MYID"))
        async with client_at(address(servers)) as redis:
            with pytest.raises(REDIS_ERRORS) as failure:
                await redis.get(f"{PREFIX}nothing")

    assert "is being moved to another node" in redis_words(failure.value)


async def test_a_cluster_behind_tls_with_a_password(tmp_path: Path, wait_until: WaitUntil) -> None:
    """The authority in FRAMERELAY_CA_FILE counts; the certificate must be for the host."""
    ca = authority(tmp_path)
    with nodes(tmp_path, 1) as (server,):
        share([server])
        await wait_until(partial(is_whole, [server]), "the cluster is whole")
        server.ask("ACL", "SETUSER", "relay", "on", ">s3cret", "~{framerelay}:*", "+@all")
        async with Forwarder(server.port, tls=tls_server(ca)) as door:
            url = f"rediss+cluster://relay:s3cret@localhost:{door.port}"
            async with redis_at(Settings(redis_url=url, ca_file=ca)) as clients, client_at(clients) as redis:
                await redis.set(f"{PREFIX}k", 1)
                who = await redis.execute_command("ACL", "WHOAMI")
            with pytest.raises(CommandError, match="certificate that is not accepted"):
                async with redis_at(Settings(redis_url=url)):
                    pass

    assert who == b"relay"


def test_an_address_of_a_cluster_is_read_and_shown() -> None:
    """Without what it hides; with the authority where it is one with TLS."""
    url = "rediss+cluster://me:s3cret@a:1,b:2"
    assert redact_url(url) == "rediss+cluster://a:1,b:2"
    assert hosts_of(url) == ["redis://a:1", "redis://b:2"]
    assert redis_address(Settings(redis_url=url, ca_file=Path("/ca.pem"))) == f"{url}?ssl_ca_certs=%2Fca.pem"
    assert redis_address(Settings(redis_url="redis+cluster://a", ca_file=Path("/ca.pem"))) == "redis+cluster://a"

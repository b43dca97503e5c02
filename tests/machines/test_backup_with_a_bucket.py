"""
Backups where clips are in a bucket: what is in it is not in them, and they say what is missing there.

A real S3 server, which is killed or stands still in the middle, and films that go on beside the same bucket or another.
"""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import obstore
import pytest

import framerelay.cli.backup
import framerelay.store.bucket
from framerelay.config.settings import Settings
from framerelay.store.client import connect, disconnect
from framerelay.store.closed import CLOSED
from framerelay.store.ledger_load import is_blank
from framerelay.store.media_places import media_store_of
from framerelay.store.one_place import agree
from tests.fixtures.relay import SECRET
from tests.machines.backups import brought_to_an_end, enter, film_that_waits, in_thread, is_approved, run_command
from tests.machines.object_storage import BUCKET, ObjectStorage
from tests.machines.servers import running
from tests.machines.test_a_lossy_fail_over import board, has_jobs, jobs_of_takes

pytestmark = pytest.mark.anyio

WaitUntil = Callable[..., Awaitable[None]]
ELSEWHERE = f"s3://{BUCKET}/elsewhere"


async def started_with(storage: ObjectStorage, folder: Path, url: str) -> None:
    """As a first start leaves word of itself, and of where files are."""
    await enter(url)
    redis = connect(url)
    await agree(redis, media_store_of(Settings(data_dir=folder, **storage.settings)))
    await disconnect(redis)


def copied(storage: ObjectStorage, *names: str) -> None:
    """From one prefix to the other, as an operator does."""
    for name in names:
        obstore.copy(storage.client(), f"studio/{name}", f"elsewhere/{name}")


@pytest.mark.slow
@pytest.mark.parametrize("store", [f"s3://{BUCKET}/studio", ELSEWHERE])
async def test_a_restored_film_goes_on_from_the_bucket_and_nothing_is_paid_twice(
    store: str,
    storage: ObjectStorage,
    start_provider: Any,
    relay_in: Any,
    tmp_path: Path,
    wait_until: WaitUntil,
    soon_asked: dict[str, Any],
) -> None:
    """The same bucket, or another one into which everything was copied: until it was, it is refused."""
    settings = {**storage.settings, **soon_asked}
    data, new, environ = tmp_path / "data", tmp_path / "new", {**storage.environ, "FRAMERELAY_STORE": store}
    async with start_provider(options={"job_s": 1.0}) as provider:
        with running(tmp_path / "before", "--appendonly", "yes") as server:
            async with relay_in(tmp_path, server.url, provider.url, **settings) as relay:
                await started_with(storage, data, server.url)
                run = await relay.wait_for_end(await relay.run(board(0, 1)))
                run_id = await film_that_waits(relay, wait_until)
                backup = await run_command(
                    "backup", tmp_path / "copy", data_dir=data, redis_url=server.url, **storage.environ
                )
                await wait_until(partial(is_approved, relay, run_id), "its second shot may be submitted")
                await wait_until(lambda: has_jobs(provider, 3), "another is submitted, of which the copy is not told")
            before = await jobs_of_takes(relay, provider)
        with running(tmp_path / "after", "--appendonly", "yes") as server:
            restore = partial(run_command, "restore", tmp_path / "copy", data_dir=new / "data", redis_url=server.url)
            if store == ELSEWHERE:
                result = await restore(**environ)
                assert (result.code, "place-id as well" in result.error) == (1, True), result.error
                copied(storage, *storage.names())
            restored_result = await restore(**environ)
            async with relay_in(new, server.url, provider.url, **{**settings, "store": store}) as relay:
                await wait_until(partial(is_approved, relay, run_id), "it is approved anew")
                end = await brought_to_an_end(relay, provider, run_id, wait_until)
                after = await jobs_of_takes(relay, provider)
                documents = [end, await relay.view(run["id"])]
                links = [(await relay.api.get(run["film"]["url"])).headers["location"] for run in documents]
        async with httpx.AsyncClient(trust_env=False) as anybody:
            films = [(await anybody.get(link)).content for link in links]

    assert (backup.code, backup.json["runs"], backup.json["missing"]) == (0, 2, []), backup
    assert not (tmp_path / "copy" / "media").exists()
    assert (restored_result.code, restored_result.json["held_runs"], restored_result.json["missing"]) == (0, 1, []), (
        restored_result.error
    )
    assert [film[4:8] for film in films] == [b"ftyp", b"ftyp"]
    assert after == before
    assert set(after.values()) == {1}


async def test_what_is_missing_in_the_bucket_is_named(
    storage: ObjectStorage, redis_url: str, start_provider: Any, relay_in: Any, tmp_path: Path
) -> None:
    """By a backup, and by a restore beside a bucket into which not everything was copied."""
    async with start_provider() as provider, relay_in(tmp_path, redis_url, provider.url, **storage.settings) as relay:
        await started_with(storage, tmp_path / "data", redis_url)
        run_id = (await relay.wait_for_end(await relay.run(board(0, 2))))["id"]
    whole, half = storage.names(), {f"{run_id}/s2.1.mp4"}
    take = partial(run_command, "backup", tmp_path / "copy", data_dir=tmp_path / "data", redis_url=redis_url)
    first = await take(**storage.environ)
    copied(storage, *(whole - half))
    with running(tmp_path / "after") as server:
        into = partial(run_command, "restore", tmp_path / "copy", data_dir=tmp_path / "new", redis_url=server.url)
        result = await into(**{**storage.environ, "FRAMERELAY_STORE": ELSEWHERE})
    obstore.delete(storage.client(prefix="studio"), sorted(half))
    second = await take(**storage.environ)

    assert (first.code, first.json["missing"], first.json["missing_unknown"]) == (0, [], None)
    assert (second.code, second.json["missing"]) == (0, sorted(half))
    assert (result.code, result.json["missing"]) == (0, sorted(half))


@pytest.mark.parametrize(
    ("goes", "comes"),
    [(ObjectStorage.stop, ObjectStorage.start), (ObjectStorage.stand_still, ObjectStorage.go_on)],
    ids=["killed", "standing still"],
)
async def test_storage_that_goes_away_in_the_middle_is_reported_and_what_is_written_is_whole(
    goes: Callable[[ObjectStorage], None],
    comes: Callable[[ObjectStorage], None],
    storage: ObjectStorage,
    redis_url: str,
    start_provider: Any,
    start_relay: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A backup has no file of the bucket, so it needs none; a restore asks for it first, and touches nothing."""
    monkeypatch.setattr("framerelay.store.bucket_store.LIST_S", 1.0)
    monkeypatch.setattr("framerelay.cli.backup_storage.ANSWER_S", 1.0)
    monkeypatch.setattr("framerelay.store.bucket.RETRIES", {**framerelay.store.bucket.RETRIES, "max_retries": 0})
    async with start_provider() as provider, start_relay(provider.url, **storage.settings) as relay:
        run = await relay.wait_for_end(await relay.run(board(1, 1)))
        await started_with(storage, tmp_path / "data", redis_url)
    assert run["status"] == "succeeded", run
    settings = {"REDIS_URL": redis_url, "DATA_DIR": str(tmp_path / "data"), "SECRET": SECRET}
    for name, value in settings.items():
        monkeypatch.setenv(f"FRAMERELAY_{name}", value)
    for name, value in storage.environ.items():
        monkeypatch.setenv(name, value)

    async def then_away(*arguments: Any, go: Any = framerelay.cli.backup.copy_ledger, **options: Any) -> Any:
        counts = await go(*arguments, **options)
        goes(storage)
        return counts

    monkeypatch.setattr("framerelay.cli.backup.copy_ledger", then_away)
    with running(tmp_path / "after") as server:
        try:
            backup = await in_thread("backup", tmp_path / "copy")
            monkeypatch.setenv("FRAMERELAY_REDIS_URL", server.url)
            monkeypatch.setenv("FRAMERELAY_DATA_DIR", str(tmp_path / "new"))
            result = await in_thread("restore", tmp_path / "copy")
        finally:
            comes(storage)
        redis = connect(server.url)
        is_untouched = await is_blank(redis) and not await redis.exists(CLOSED) and not (tmp_path / "new").exists()
        await disconnect(redis)
        restored_result = await in_thread("restore", tmp_path / "copy")

    assert backup.exit_code == 0, backup.output
    answer = json.loads(backup.stdout)
    assert (answer["missing"], "object storage" in answer["missing_unknown"]) == (None, True)
    assert result.exit_code == 1
    assert "object storage" in result.output
    assert is_untouched
    assert restored_result.exit_code == 0, restored_result.output

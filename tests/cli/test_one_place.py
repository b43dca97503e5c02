"""Processes that would keep their files elsewhere than the others: told at the start, and by `doctor`."""

import asyncio
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from framerelay.cli import one_place
from framerelay.cli.errors import CommandError
from framerelay.config.settings import Settings
from framerelay.runs.errors import StorageFailed
from framerelay.store.files import MediaFiles
from framerelay.store.folder_store import FolderStore
from framerelay.store.one_place import agree

NOWHERE = "http://127.0.0.1:9"
SECRET = "one-secret-for-all-of-these-processes"
AWAY = {"STORE": "s3://films/studio", "STORE_ENDPOINT": NOWHERE}


@pytest.fixture
def machine(tmp_path: Path, tools: Any, redis_url: str) -> Any:
    """``machine("a")``: a shell with a data folder of its own, and one Redis and one secret for all."""

    def make(name: str, **settings: str | int) -> Any:
        return tools.shell_for(tmp_path / name, NOWHERE, REDIS_URL=redis_url, SECRET=SECRET, **settings)

    return make


def test_a_worker_with_another_folder_than_the_receiver_does_not_start(machine: Any, tools: Any) -> None:
    """In one sentence that names both folders and the machine; `doctor` there says the same."""
    first, second = machine("a"), machine("b")
    with tools.up_in(first, word="receiver"):
        result = second.run("worker")
        diagnosis = second.run("doctor", "--json")
        at_home = first.run("doctor", "--json")

    assert result.code == 1
    for words in (str(first.folder / "data" / "media"), str(second.folder / "data" / "media"), socket.gethostname()):
        assert words in result.err
    assert "FRAMERELAY_STORE" in result.err
    assert not (second.folder / "data" / "media").exists()
    checks = {check["name"]: check for check in json.loads(diagnosis.out)["checks"]}
    assert checks["storage"]["status"] == "fail"
    assert str(first.folder / "data" / "media") in checks["storage"]["message"]
    checks = {check["name"]: check for check in json.loads(at_home.out)["checks"]}
    assert checks["storage"]["status"] == "ok"


def test_with_the_same_folder_both_work(machine: Any, tools: Any) -> None:
    """Mounted under another name as well."""
    first, second = machine("a"), machine("b")
    with tools.up_in(first, word="receiver"):
        (second.folder / "mounted").symlink_to(first.folder / "data")
        diagnosis = second.having(DATA_DIR="mounted").run("doctor", "--json")

    checks = {check["name"]: check for check in json.loads(diagnosis.out)["checks"]}
    assert checks["storage"]["status"] == "ok"


def test_links_that_would_have_to_outlive_the_storage_stop_the_start(machine: Any) -> None:
    """A provider whose queue is longer than the link would be given a frame that it cannot fetch."""
    eight_days = machine("a", LINK_LIFE_S=8 * 86_400, **AWAY)
    result, diagnosis = eight_days.run("worker"), eight_days.run("doctor", "--json")

    assert result.code == 1
    assert "FRAMERELAY_LINK_LIFE_S = 691200: object storage signs links for 604,800 seconds at most" in result.err
    checks = {check["name"]: check for check in json.loads(diagnosis.out)["checks"]}
    assert checks["storage"]["status"] == "fail"
    assert "FRAMERELAY_LINK_LIFE_S" in checks["storage"]["message"]


def test_a_storage_that_is_away_keeps_no_receiver_from_taking_callbacks(machine: Any, tools: Any) -> None:
    """It starts, and says what it waits for; `doctor` names the storage, and no key."""
    shell = machine("a", **AWAY)
    shell.settings.update(AWS_ACCESS_KEY_ID="AKID", AWS_SECRET_ACCESS_KEY="hidden-key-of-the-storage")
    with tools.up_in(shell, word="receiver") as receiver:
        diagnosis = shell.run("doctor", "--json")
        log = receiver.log.read_text()

    assert '"storage_away"' in log
    assert "it cannot be reached" in log
    checks = {check["name"]: check for check in json.loads(diagnosis.out)["checks"]}
    assert checks["storage"]["status"] == "fail"
    assert "s3://films/studio at http://127.0.0.1:9 cannot be used" in checks["storage"]["message"]
    assert "a probe cannot be written" in checks["storage"]["message"]
    assert "hidden-key" not in diagnosis.out + log


class ComesBack(FolderStore):
    """A place that cannot be asked at first. A mock, since the test is about asking again; see tests/machines/."""

    tries = 0

    async def place_id(self) -> str | None:
        self.tries += 1
        if self.tries < 3:
            raise StorageFailed("object storage: it cannot be reached")
        return await super().place_id()


@pytest.mark.anyio
@pytest.mark.parametrize("same", [True, False])
async def test_a_storage_that_comes_back_later_is_checked_then(
    same: bool, tmp_path: Path, redis: Any, redis_url: str, monkeypatch: pytest.MonkeyPatch, wait_until: Any
) -> None:
    """The process goes on; it ends, with a message, only if this turns out not to be the place that all others use."""
    await agree(redis, FolderStore(MediaFiles(tmp_path / "a")))
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    media = ComesBack(MediaFiles(tmp_path / ("copy" if same else "b")))
    monkeypatch.setattr(one_place, "media_store_of", lambda _: media)
    monkeypatch.setattr(one_place, "AGAIN_S", 0.01)

    async with one_place.one_place(Settings(), redis_url) as watching:
        assert not watching.done()
        await wait_until(lambda: media.tries >= 3, "it was asked until it answered")
        if same:
            await asyncio.sleep(0)
            assert not watching.done()
            return
        with pytest.raises(CommandError, match="is not the same: give all machines one folder"):
            await watching

"""Processes that would keep their files elsewhere than the others: told at the start, and by `doctor`."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

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
        ended = second.run("worker")
        looked = second.run("doctor", "--json")
        at_home = first.run("doctor", "--json")

    assert ended.code == 1
    for words in (str(first.folder / "data" / "media"), str(second.folder / "data" / "media"), socket.gethostname()):
        assert words in ended.err
    assert "FRAMERELAY_STORE" in ended.err
    assert not (second.folder / "data" / "media").exists()
    found = {check["name"]: check for check in json.loads(looked.out)["checks"]}
    assert found["storage"]["status"] == "fail"
    assert str(first.folder / "data" / "media") in found["storage"]["message"]
    found = {check["name"]: check for check in json.loads(at_home.out)["checks"]}
    assert found["storage"]["status"] == "ok"


def test_with_the_same_folder_both_work(machine: Any, tools: Any) -> None:
    """Mounted under another name as well."""
    first, second = machine("a"), machine("b")
    with tools.up_in(first, word="receiver"):
        (second.folder / "mounted").symlink_to(first.folder / "data")
        looked = second.having(DATA_DIR="mounted").run("doctor", "--json")

    found = {check["name"]: check for check in json.loads(looked.out)["checks"]}
    assert found["storage"]["status"] == "ok"


def test_links_that_would_have_to_outlive_the_storage_stop_the_start(machine: Any) -> None:
    """A provider whose queue is longer than the link would be given a frame that it cannot fetch."""
    eight_days = machine("a", LINK_LIFE_S=8 * 86_400, **AWAY)
    ended, looked = eight_days.run("worker"), eight_days.run("doctor", "--json")

    assert ended.code == 1
    assert "FRAMERELAY_LINK_LIFE_S = 691200: object storage signs links for 604,800 seconds at most" in ended.err
    found = {check["name"]: check for check in json.loads(looked.out)["checks"]}
    assert found["storage"]["status"] == "fail"
    assert "FRAMERELAY_LINK_LIFE_S" in found["storage"]["message"]


def test_a_storage_that_is_away_keeps_no_receiver_from_taking_callbacks(machine: Any, tools: Any) -> None:
    """It starts, and says what it waits for; `doctor` names the storage, and no key."""
    shell = machine("a", **AWAY)
    shell.settings.update(AWS_ACCESS_KEY_ID="AKID", AWS_SECRET_ACCESS_KEY="hidden-key-of-the-storage")
    with tools.up_in(shell, word="receiver") as receiver:
        looked = shell.run("doctor", "--json")
        log = receiver.log.read_text()

    assert '"storage_away"' in log
    assert "it cannot be reached" in log
    found = {check["name"]: check for check in json.loads(looked.out)["checks"]}
    assert found["storage"]["status"] == "fail"
    assert "s3://films/studio at http://127.0.0.1:9 cannot be used" in found["storage"]["message"]
    assert "a probe cannot be written" in found["storage"]["message"]
    assert "hidden-key" not in looked.out + log

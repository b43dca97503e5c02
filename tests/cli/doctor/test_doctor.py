"""`doctor`: every way in which a set-up can be wrong has a sentence of its own, and a callback really makes the way."""

import asyncio
import json
import time
from typing import Any

import pytest

from framerelay.cli.doctor import diagnosis
from framerelay.cli.doctor.finding import Finding, Status
from framerelay.config.settings import Settings
from framerelay.processors.worker import LEASE_S, WORKER
from framerelay.runs.tokens import ProbeAddress
from framerelay.store.tasks import QUEUE
from tests.cli.doctor.looking import (
    LOOKED_AT,
    NOWHERE,
    assert_finding,
)


@pytest.mark.anyio
async def test_a_probe_is_kept_like_a_callback_and_asks_for_nothing(start_relay: Any, redis: Any) -> None:
    """Under the id that its sender chose, so that it is found again; no task, whatever its body says."""
    async with start_relay(NOWHERE, worker=False) as relay:
        address = "/webhook/" + relay.tokens.mint(ProbeAddress(nonce="abc", ends_at=int(time.time()) + 60))
        answer = await relay.api.post(address, json={"id": "job_1", "status": "succeeded"})
        (record,) = (await relay.api.get("/v1/callbacks")).json()["data"]
        response = await relay.api.post("/v1/callbacks/cb_abc/replay")

    assert (answer.status_code, answer.json()["received"]) == (200, True)
    assert (record["id"], record["outcome"], record["run"], record["hook"]) == ("cb_abc", "probe", None, None)
    assert await redis.zcard(QUEUE) == 0
    assert (response.status_code, response.json()["error"]["code"]) == (409, "conflict")
    assert "about no job" in response.json()["error"]["message"]


@pytest.mark.anyio
async def test_the_address_of_a_probe_opens_nothing_when_its_time_is_over(start_relay: Any) -> None:
    """It cannot be used as a way in later."""
    async with start_relay(NOWHERE, worker=False) as relay:
        address = "/webhook/" + relay.tokens.mint(ProbeAddress(nonce="abc", ends_at=int(time.time())))
        assert (await relay.api.post(address, json={})).status_code == 404


@pytest.mark.anyio
async def test_a_worker_is_noticed_while_it_runs(start_relay: Any, redis: Any, wait_until: Any) -> None:
    """From its start on, and for seconds only after it was killed."""
    async with start_relay(NOWHERE):
        await wait_until(lambda: redis.exists(WORKER), "the worker says that it is there")
        assert 0 < await redis.pttl(WORKER) <= LEASE_S * 1000


def test_when_all_is_well_it_says_so_and_spends_nothing(relay: Any, provider: Any) -> None:
    """A line for each look, exit 0; the callback came through the receiver, and the provider saw no submit."""
    before = provider.journal()["submits"]
    result = relay.run("doctor")

    assert (result.code, result.err, result.last) == (0, "", "all is well")
    assert [line.split()[:2] for line in result.out.splitlines()[:-1]] == [["ok", name] for name in LOOKED_AT]
    assert relay.api("/v1/callbacks?limit=1")["data"][0]["outcome"] == "probe"
    assert provider.journal()["submits"] == before


def test_wrong_keys_are_recognized_and_every_check_is_made(relay: Any) -> None:
    """The provider's key, the receiver's key and the secret, each by its variable; for programs as JSON."""
    wrong = relay.having(UPSTREAM_KEY="sk-not-this-one", SECRET="not this one at all", API_KEY="fr_not_this_one_at_all")
    result = wrong.run("doctor", "--json")
    answer = json.loads(result.out)

    assert (result.code, result.err) == (1, "")
    assert (answer["object"], answer["ok"]) == ("diagnosis", False)
    assert [check["name"] for check in answer["checks"]] == LOOKED_AT
    findings = {check["name"]: check for check in answer["checks"]}
    failures = [name for name, check in findings.items() if check["status"] == "fail"]
    assert failures == ["receiver", "processes", "upstream", "callback"]
    assert "another FRAMERELAY_SECRET" in findings["processes"]["message"]
    assert "FRAMERELAY_API_KEY" in findings["receiver"]["advice"]
    assert "FRAMERELAY_UPSTREAM_KEY" in findings["upstream"]["advice"]
    assert "another FRAMERELAY_SECRET" in findings["callback"]["message"]
    assert "sk-not-this-one" not in result.out


def test_run_before_any_start_it_leaves_no_trace(shell: Any, tools: Any) -> None:
    """It says what to start and what to set; no folder, key, server or process is made for it."""
    result = shell.having(PORT=tools.free_port()).run("doctor")

    assert result.code == 1
    assert [line.split()[:2] for line in result.out.splitlines() if not line.startswith(" ")][:-1] == [
        *(["ok", "settings"], ["ok", "data"], ["ok", "redis"], ["ok", "storage"], ["FAIL", "receiver"]),
        *(["FAIL", "worker"], ["--", "processes"], ["FAIL", "upstream"], ["--", "callback"]),
    ]
    assert list(shell.folder.iterdir()) == []
    assert tools.left_over(shell.folder) == []


def test_a_setting_that_cannot_be_read_is_a_finding_like_any_other(shell: Any) -> None:
    """Also for a program that reads JSON."""
    result = shell.having(PORT="many").run("doctor", "--json")
    checks = json.loads(result.out)["checks"]

    assert result.code == 1
    assert "FRAMERELAY_PORT = 'many'" in checks[0]["message"]
    assert [check["status"] for check in checks] == ["fail"] + ["skipped"] * 8


@pytest.mark.anyio
async def test_a_look_that_hangs_or_breaks_keeps_nobody_waiting() -> None:
    """It becomes a finding; the checks after it are made."""

    async def hang(_: Settings) -> Finding:
        await asyncio.Event().wait()
        raise AssertionError

    async def burst(_: Settings) -> Finding:
        raise RuntimeError("a bug of ours")

    async def refuse(_: Settings) -> Finding:
        raise PermissionError(13, "Permission denied", "data/secret")

    for look, within_s, words in (
        (hang, 0.01, "no answer came in time"),
        (burst, 1, "a bug of ours"),
        (refuse, 1, "run this as the user that runs FrameRelay"),
    ):
        finding = await diagnosis._in_time(look, Settings(), within_s)
        assert isinstance(finding, Finding)
        assert_finding(finding, Status.FAIL, words)

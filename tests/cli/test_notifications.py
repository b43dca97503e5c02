"""`framerelay notifications`: what was told, once more, and the secret that signs it."""

import base64
import json
from typing import Any

import pytest

BOARD = "model: m\nshots: [{id: s1, prompt: a, gate: approve}]\nnotify_url: %s/hooks/secret-path\n"


@pytest.fixture(scope="module")
def run_id(relay: Any, tools: Any) -> str:
    """A run that waits, and has notified a server that does not take it (the sandbox); its id."""
    shell = relay
    board = BOARD % shell.settings["FRAMERELAY_UPSTREAM_URL"]
    run = json.loads(shell.run("run", shell.write("told.yaml", board), "--json").out)
    run_id: str = run["id"]
    page = f"/v1/notifications?run={run_id}"
    tools.wait_for(lambda: [len(each["deliveries"]) for each in shell.api(page)["data"]] == [1], "it was tried")
    return run_id


def test_it_lists_notifications_and_their_outcomes(relay: Any, run_id: str) -> None:
    """A line for each, with the reason in words and without the path of the address; the same for programs."""
    result = relay.run("notifications", "--run", run_id)
    page = json.loads(relay.run("notifications", "--run", run_id, "--json").out)["data"]

    (line,) = result.out.splitlines()
    assert result.code == 0
    assert f"run.waiting    {run_id} s1  127.0.0.1: answered 404; next at " in line
    assert "secret-path" not in line
    assert line.startswith(page[0]["id"])
    assert relay.run("notifications", "--run", "run_other").err == (
        "no notifications yet; a storyboard asks for them with notify_url\n"
    )


def test_one_is_sent_again(relay: Any, run_id: str, tools: Any) -> None:
    """Under the same id; an unknown one is one sentence."""
    (notice,) = relay.api(f"/v1/notifications?run={run_id}")["data"]
    result = relay.run("notifications", "replay", notice["id"])

    def tries() -> int:
        return len(relay.api(f"/v1/notifications?run={run_id}")["data"][0]["deliveries"])

    assert (result.code, result.out) == (0, f"{notice['id']}: run.waiting of {run_id} is sent again to 127.0.0.1\n")
    tools.wait_for(lambda: tries() > len(notice["deliveries"]), "it was tried again")
    gone_result = relay.run("notifications", "replay", "ntf_gone")
    assert (gone_result.code, gone_result.sentence) == (1, "there is no such notification, or it is no longer kept")


def test_the_secret_is_printed_for_the_receiver(relay: Any) -> None:
    """The one that follows from ours, always the same; or those of the settings."""
    ours = relay.run("notifications", "--secret").out
    secret = "whsec_" + "A" * 32

    assert len(base64.b64decode(ours.strip().removeprefix("whsec_"))) == 32
    assert relay.run("notifications", "--secret").out == ours
    assert relay.having(NOTIFY_SECRET=secret).run("notifications", "--secret").out == f"{secret}\n"

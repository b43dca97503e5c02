"""`watch` and `callbacks --follow`: what happens, as it happens."""

import json
import signal
import threading
from typing import Any

import httpx

BOARD = "model: seedance-1.5-pro-720p\nshots:\n  - {id: s1, prompt: a}\n"


def test_a_run_can_be_watched_from_anywhere(relay: Any) -> None:
    """As `run --watch` shows it, with the same exit code; --json prints the run when it has ended."""
    run_id = relay.run("run", relay.write("one.yaml", BOARD)).out.removeprefix("run: ").strip()
    result = relay.run("watch", run_id, "--json")
    assert (result.code, json.loads(result.out)["status"]) == (0, "succeeded")
    assert "s1 done" in result.err
    again = relay.run("watch", run_id)
    assert (again.code, again.last[:6]) == (0, "film: ")


def test_callbacks_are_printed_as_they_arrive_until_ctrl_c(relay: Any) -> None:
    """First the last ones, then each as it comes, once, oldest first; exit 130 and not a word more."""
    url = relay.run("callback-url", "followed").out.strip()
    send = {"trust_env": False, "timeout": 120}
    assert httpx.post(url, json={"id": "job_0", "status": "running"}, **send).status_code == 200
    following = relay.start("callbacks", "--follow", "--json", "--limit", "1")
    deadline = threading.Timer(60, following.kill)  # Reading ends then, too.
    deadline.start()
    assert json.loads(following.stdout.readline())["job_id"] == "job_0"
    for number in range(1, 4):
        httpx.post(url, json={"id": f"job_{number}", "status": "running"}, **send)
    events = [json.loads(following.stdout.readline()) for _ in range(3)]
    assert [each["job_id"] for each in events] == ["job_1", "job_2", "job_3"]
    assert {each["hook"] for each in events} == {"followed"}

    following.send_signal(signal.SIGINT)
    out, err = following.communicate(timeout=90)
    deadline.cancel()
    assert (following.returncode, out, err) == (130, "", "")

"""Hooks: a job that somebody submits with plain HTTP becomes a run."""

from pathlib import Path
from typing import Any

import httpx


def submit(provider: Any, callback_url: str) -> str:
    """What the README does with curl; returns the job's id."""
    answer = httpx.post(
        f"{provider.url}/v1/jobs",
        headers={"Authorization": "Bearer sk-sandbox"},
        json={"model": "seedance-1.5-pro-720p", "input": {"prompt": "跑车", "callback_url": callback_url}},
        trust_env=False,
    )
    assert answer.is_success, answer.text
    job_id: str = answer.json()["id"]
    return job_id


def run_of(relay: Any, tools: Any, job_id: str) -> dict[str, Any]:
    """The run that the job has become, once it has ended."""

    def ended() -> dict[str, Any] | None:
        for run in relay.api("/v1/runs?limit=200")["data"]:
            first = run["shots"][0]["takes"][:1]  # Others' runs in this house may have none.
            if [take["job_id"] for take in first] == [job_id] and run["status"] != "running":
                return dict(run)
        return None

    found: dict[str, Any] = tools.wait_for(ended, f"{job_id} becomes a run and ends")
    return found


def test_a_job_submitted_by_hand_becomes_a_run_with_clip_and_frame(relay: Any, provider: Any, tools: Any) -> None:
    """The address that `callback-url` prints is all it takes; any name will do."""
    printed = relay.run("callback-url", "mine")
    assert printed.code == 0
    assert "FRAMERELAY_PUBLIC_URL" in printed.err
    run = run_of(relay, tools, submit(provider, printed.out.strip()))
    assert (run["hook"], run["status"], len(run["shots"])) == ("mine", "succeeded", 1)
    folder = relay.folder / "data" / "media" / run["id"]
    assert (folder / "start.1.mp4").stat().st_size > 1000
    assert (folder / "start.1.last.png").read_bytes().startswith(b"\x89PNG")
    assert "hook mine" in relay.run("callbacks", "--limit", "200").out


def test_a_hook_with_a_storyboard_goes_on_from_that_clip(relay: Any, provider: Any, tools: Any) -> None:
    """framerelay.yaml names the storyboard; its first shot begins with the last frame of the job that called."""
    job_id = submit(provider, relay.run("callback-url", "onward").out.strip())
    run = run_of(relay, tools, job_id)
    assert (run["status"], [shot["id"] for shot in run["shots"]]) == ("succeeded", ["start", "s2"])
    assert run["shots"][1]["takes"][0]["first_frame"]["source"] == "upload"
    shown = relay.run("show", run["id"])
    assert Path(shown.last.removeprefix("film: ")).is_file()


def test_a_name_that_cannot_stand_in_an_address_is_refused(relay: Any) -> None:
    """One sentence says what a name is made of."""
    ended = relay.run("callback-url", "a b")
    assert (ended.code, ended.out) == (1, "")
    assert "letters, digits" in ended.sentence


def test_a_callback_is_replayed_only_when_told_to(relay: Any, provider: Any, tools: Any) -> None:
    """`replay` says what it would do; `--yes` does it, and the callbacks show it."""
    job_id = submit(provider, relay.run("callback-url", "again").out.strip())
    run = run_of(relay, tools, job_id)
    listed = relay.api("/v1/callbacks?limit=200")["data"]
    callback_id = next(each["id"] for each in listed if each["job_id"] == job_id)

    said = relay.run("replay", callback_id)
    assert (said.code, run["id"] in said.out, "--yes" in said.err) == (0, True, True)
    done = relay.run("replay", callback_id, "--yes")
    assert done.code == 0
    listed = relay.api("/v1/callbacks?limit=200")["data"]
    assert [done.out.startswith(each["id"]) for each in listed if each["replay_of"] == callback_id] == [True]

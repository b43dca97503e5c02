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

    run: dict[str, Any] = tools.wait_for(ended, f"{job_id} becomes a run and ends")
    return run


def test_a_job_submitted_by_hand_becomes_a_run_with_clip_and_frame(relay: Any, provider: Any, tools: Any) -> None:
    """The address that `callback-url` prints is all it takes; any name will do."""
    result = relay.run("callback-url", "mine")
    assert result.code == 0
    assert "FRAMERELAY_PUBLIC_URL" in result.err
    run = run_of(relay, tools, submit(provider, result.out.strip()))
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
    result = relay.run("show", run["id"])
    assert Path(result.last.removeprefix("film: ")).is_file()


def test_a_name_that_cannot_be_part_of_an_address_is_refused(relay: Any) -> None:
    """One sentence says what a name is made of."""
    result = relay.run("callback-url", "a b")
    assert (result.code, result.out) == (1, "")
    assert "letters, digits" in result.sentence


def test_a_callback_is_replayed_only_when_told_to(relay: Any, provider: Any, tools: Any) -> None:
    """`replay` says what it would do; `--yes` does it, and the callbacks show it."""
    job_id = submit(provider, relay.run("callback-url", "again").out.strip())
    run = run_of(relay, tools, job_id)
    callbacks = relay.api("/v1/callbacks?limit=200")["data"]
    callback_id = next(each["id"] for each in callbacks if each["job_id"] == job_id)

    result = relay.run("replay", callback_id)
    assert (result.code, run["id"] in result.out, "--yes" in result.err) == (0, True, True)
    done_result = relay.run("replay", callback_id, "--yes")
    assert done_result.code == 0
    callbacks = relay.api("/v1/callbacks?limit=200")["data"]
    assert [done_result.out.startswith(each["id"]) for each in callbacks if each["replay_of"] == callback_id] == [True]

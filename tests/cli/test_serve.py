"""`up`, `receiver`, `worker` and `sandbox`: what stops them from starting, and what they survive."""

import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_sync

from framerelay.store.embedded import find_server

CHAIN = """
model: seedance-1.5-pro-720p
shots:
  - {id: s1, prompt: one}
  - {id: s2, prompt: two}
  - {id: s3, prompt: three}
"""
ONE = "model: seedance-1.5-pro-720p\nshots:\n  - {id: s1, prompt: one}\n"
HASTY = """
import sys
from framerelay.processors import waits
waits.AGAIN_S_MAX = 0.1
from framerelay.cli.main import main
sys.exit(main())
"""
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
def ready(tmp_path: Path, tools: Any) -> Any:
    """A shell in which `up` could start, for a provider that is not there."""
    shell = tools.shell_for(tmp_path / "relay", NOWHERE)
    shell.write("chain.yaml", CHAIN)
    return shell


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"UPSTREAM_URL": "", "UPSTREAM_KEY": ""}, "FRAMERELAY_UPSTREAM_URL and FRAMERELAY_UPSTREAM_KEY must be set"),
        ({"PORT": "many"}, "FRAMERELAY_PORT = 'many': it must be a number"),
        ({"DATA_DIR": "chain.yaml"}, "chain.yaml: it is not a folder"),
        ({"REDIS_URL": "redis://127.0.0.1:9/0"}, "redis://127.0.0.1:9/0: Redis cannot be reached (connection refused)"),
        ({"CONFIG": "chain.yaml"}, 'chain.yaml, line 2, model: unknown key "model"'),
    ],
)
def test_what_stops_the_start_is_one_sentence(ready: Any, settings: dict[str, str], words: str) -> None:
    """A missing or bad setting, a folder that is a file, a Redis that is not there: exit 1, and the name to correct."""
    result = ready.having(**settings).run("up")
    assert (result.code, result.out) == (1, "")
    complaints = [line for line in result.err.splitlines() if not line.startswith("API key ")]
    assert words in complaints[0]


NONE_OF_JOBS = {"UPSTREAM_URL": "", "UPSTREAM_KEY": ""}
NO_REDIS = {"REDIS_URL": "redis://127.0.0.1:9/0"}


@pytest.mark.parametrize("provider", ["FRAMERELAY_PROVIDER", "framerelay.yaml"])
def test_the_key_of_any_provider_is_enough_to_start(ready: Any, provider: str) -> None:
    """With the key of Kling alone nobody needs an address or a key of the jobs API: the start goes on, up to Redis."""
    ready.write(
        ".env", "KLING_API_KEY=k\n" + ("FRAMERELAY_PROVIDER=kling\n" if provider == "FRAMERELAY_PROVIDER" else "")
    )
    if provider == "framerelay.yaml":
        ready.write("framerelay.yaml", "providers: {kling: {}}\n")
    result = ready.having(**NONE_OF_JOBS, **NO_REDIS).run("worker")
    assert result.code == 1
    assert "Redis cannot be reached" in result.err


def test_a_provider_without_a_key_is_named_with_its_variable(ready: Any) -> None:
    """Not the address and key of the jobs API, which nobody asked for; and an unknown name is reported."""
    result = ready.having(**NONE_OF_JOBS, PROVIDER="kling").run("up")
    assert "KLING_API_KEY must be set: address and key of kling" in result.err
    result = ready.having(**NONE_OF_JOBS, PROVIDER="klinge").run("up")
    assert 'FRAMERELAY_PROVIDER: there is no provider "klinge" (did you mean "kling"?)' in result.err


def test_a_port_in_use_is_one_sentence_and_makes_no_keys(ready: Any) -> None:
    """The port comes first: a start that fails leaves nothing behind."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        for words in (("up",), ("receiver",), ("sandbox", "--port", str(port))):
            result = ready.having(PORT=port).run(*words)
            assert result.code == 1
            assert f"port {port} of 127.0.0.1 is in use" in result.sentence
    assert not (ready.folder / "data").exists()


def test_a_wrong_upstream_key_waits_for_a_person_with_one_clear_sentence(
    provider: Any, tmp_path: Path, tools: Any
) -> None:
    """Exit 4, the provider's own words, and what to check."""
    shell = tools.shell_for(tmp_path / "relay", provider.url, UPSTREAM_KEY="wrong")
    with tools.up_in(shell):
        result = shell.run("run", shell.write("chain.yaml", CHAIN), "--watch")
    assert result.code == 4
    assert "HTTP 401" in result.out
    assert "FRAMERELAY_UPSTREAM_KEY" in result.out


def test_an_unreachable_provider_is_waited_for(ready: Any, tools: Any) -> None:
    """
    After a few tries the watch ends with 4 and says that it goes on by itself; and it does.

    Half a minute passes between two tries in the end; here it is a tenth of a second.
    """
    port = tools.free_port()
    settings = {"UPSTREAM_URL": f"http://127.0.0.1:{port}", "TRUSTED_HOSTS": f"127.0.0.1:{port}"}
    shell = replace(ready, program=(sys.executable, "-c", HASTY)).having(**settings)
    with tools.up_in(shell) as up:
        result = shell.run("run", shell.write("one.yaml", ONE), "--watch")
        assert result.code == 4
        assert "the provider cannot be reached; nothing was sent" in result.out
        assert "goes on when the provider is back" in result.out
        run_id = result.out.splitlines()[0].removeprefix("run: ")
        (ready.folder / "sandbox").mkdir()
        with tools.sandbox_in(ready.folder / "sandbox", port=port) as sandbox:
            tools.wait_for(lambda: shell.view(run_id)["status"] == "succeeded", "the run goes on")
            assert list(sandbox.journal()["jobs_per_callback_url"].values()) == [1]
        assert up.end() == 0
    assert tools.left_over(ready.folder) == []


@pytest.mark.slow
def test_killed_and_started_again_the_film_is_finished_and_paid_for_once(tmp_path: Path, tools: Any) -> None:
    """
    `kill -9` with a job in flight: a watch goes on through it, every shot was submitted once, nothing is left.

    A worker that is killed before it kept the submit's answer learns the job's id from a callback, so that must repeat.
    """
    with tools.sandbox_in(_folder(tmp_path, "sandbox"), "--job-s", "0.6", "--callback-retry-s", "20") as sandbox:
        shell = replace(tools.shell_for(tmp_path / "relay", sandbox.url, LOOKUP_AFTER_S=1), program=tools.program)
        shell.write("chain.yaml", CHAIN)
        with tools.up_in(shell) as up:
            watching = shell.start("run", "chain.yaml", "--watch")
            lines = iter(watching.stdout.readline, "")
            assert any(line.startswith("run: ") for line in lines)  # On a busy machine the submit may come before it.
            tools.wait_for(lambda: sandbox.journal()["submits"], "the first submit")
            up.process.kill()
            up.process.wait()
            # The watch asks now and then: a restart that is quicker would not be noticed.
            assert any("the receiver does not answer, asking again" in line for line in lines)
        with tools.up_in(shell):
            _, err = watching.communicate(timeout=90)
        assert (watching.returncode, err) == (0, "")
        assert list(sandbox.journal()["jobs_per_callback_url"].values()) == [1, 1, 1]
    tools.wait_for(lambda: not tools.left_over(shell.folder), "no process is left")


def test_receiver_and_worker_share_one_data_folder(provider: Any, tmp_path: Path, tools: Any) -> None:
    """Two processes, one embedded Redis: either may go first, and after both nothing runs."""
    shell = tools.shell_for(tmp_path / "relay", provider.url)
    with tools.up_in(shell, word="receiver") as receiver:
        worker = shell.start("worker", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert shell.run("run", shell.write("chain.yaml", CHAIN), "--watch").code == 0
        assert receiver.end() == 0
    assert worker.poll() is None
    worker.send_signal(signal.SIGINT)
    assert worker.wait(timeout=90) == 0
    assert tools.left_over(shell.folder) == []


def test_a_redis_url_is_used_instead_of_a_redis_of_our_own(provider: Any, tmp_path: Path, tools: Any) -> None:
    """With FRAMERELAY_REDIS_URL everything is kept there, and no server is started."""
    with redis_on_a_port(_folder(tmp_path, "redis"), tools) as url:
        shell = tools.shell_for(tmp_path / "relay", provider.url, REDIS_URL=url)
        with tools.up_in(shell):
            assert shell.run("run", shell.write("chain.yaml", CHAIN), "--watch").code == 0
        with redis_sync.Redis.from_url(url) as client:
            assert client.dbsize() > 0
        assert not (shell.folder / "data" / "redis").exists()


def test_a_full_disk_is_reported_and_nothing_is_lost(tmp_path: Path, tools: Any) -> None:
    """The clip is fetched again and again, the reason is shown, and with room on the disk the run ends by itself."""
    with tools.sandbox_in(_folder(tmp_path, "sandbox"), "--scale", "0.6", "--clip-s", "1") as sandbox:
        shell = replace(tools.shell_for(tmp_path / "relay", sandbox.url), program=tools.program)
        with tools.up_in(shell) as up:
            limit = (200_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
            resource.prlimit(up.process.pid, resource.RLIMIT_FSIZE, limit)
            run_id = shell.run("run", shell.write("one.yaml", ONE)).out.removeprefix("run: ").strip()
            tools.wait_for(
                lambda: any(take["error"] for take in shell.view(run_id)["shots"][0]["takes"]),
                "the clip cannot be written",
            )
            assert "fetching put off: our disk" in shell.run("show", run_id).out
            for process in tools.left_over(shell.folder):
                resource.prlimit(int(process.split()[0]), resource.RLIMIT_FSIZE, (limit[1], limit[1]))
            assert shell.run("show", run_id, "--watch").code == 0
            assert list(sandbox.journal()["jobs_per_callback_url"].values()) == [1]


@contextmanager
def redis_on_a_port(folder: Path, tools: Any) -> Iterator[str]:
    """A server of the operator's own, reached by TCP."""
    port = tools.free_port()
    command = [str(find_server()), "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        tools.wait_for(lambda: _connects(port), "the server listens")
        yield f"redis://127.0.0.1:{port}/3"
    finally:
        process.terminate()
        process.wait(timeout=90)


def _connects(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def _folder(parent: Path, name: str) -> Path:
    (parent / name).mkdir()
    return parent / name

"""The command as a person runs it: real processes in a folder of their own, against a real sandbox."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

FRAMERELAY = str(Path(sys.executable).with_name("framerelay"))
WARM_START = Path(__file__).with_name("warm_start.py")
WARM_COMMAND = Path(__file__).with_name("warm_command.py")
KEY = "sk-sandbox"
WAIT_S = 90.0
PLAIN: dict[str, Any] = {"trust_env": False, "verify": False}  # Loading certificates takes longer than all the rest.
QUICK = ("--scale", "0.2", "--clip-s", "0.5", "--job-s", "0.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command left: its exit code and its two outputs."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        """The last line on standard output."""
        return self.out.rstrip("\n").rpartition("\n")[2]

    @property
    def sentence(self) -> str:
        """The one line on standard error; more than one, or a traceback, is a failure."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("framerelay: "), self.err
        return lines[0].removeprefix("framerelay: ")


class WarmStart:
    """Starts commands whose libraries are loaded already (warm_start.py), and waits for each."""

    def __init__(self) -> None:
        self._asking, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-I", str(WARM_START), str(theirs.fileno())]
            environ = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
            nothing: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
            self._process = subprocess.Popen(command, env=environ, pass_fds=[theirs.fileno()], **nothing)

    @property
    def command(self) -> tuple[str, ...]:
        """What a child runs to be `framerelay` at once (warm_command.py); it needs the open file *asking*."""
        return (sys.executable, "-I", "-S", str(WARM_COMMAND), str(self.asking))

    @property
    def asking(self) -> int:
        """Where requests are written."""
        return self._asking.fileno()

    def run(self, words: tuple[str, ...], folder: Path, environ: dict[str, str], input: str, within_s: float) -> Result:
        """Run ``framerelay *words*`` to its end."""
        request = json.dumps({"words": words, "folder": str(folder), "environ": environ}).encode()
        exits, tell = os.pipe()
        with open(exits) as telling, _file() as stdin, _file() as out, _file() as err:
            stdin.write(input)
            stdin.seek(0)
            streams = [stdin.fileno(), out.fileno(), err.fileno()]
            socket.send_fds(self._asking, [request], [*streams, tell])
            os.close(tell)
            process = int(telling.readline())
            if not select.select([telling], [], [], within_s)[0]:
                os.kill(process, signal.SIGKILL)
                pytest.fail(f"not within {within_s:.0f} s: framerelay {words} ends")
            code = int(telling.readline())
            out.seek(0)
            err.seek(0)
            return Result(code=code, out=out.read(), err=err.read())

    def end(self) -> None:
        """No more commands."""
        self._asking.close()
        self._process.wait(timeout=90)


def _file() -> Any:
    return tempfile.TemporaryFile("w+", encoding="utf-8")


@cache
def warm_start() -> WarmStart:
    """One for all tests here, from the first that asks."""
    return WarmStart()


@pytest.fixture(scope="session", autouse=True)
def _no_warm_start_is_left() -> Iterator[None]:
    yield
    if warm_start.cache_info().currsize:
        warm_start().end()


@pytest.fixture(scope="session")
def warm_bin(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A folder for PATH with `framerelay` in it, for shells that are given the open file beside it."""
    folder = tmp_path_factory.mktemp("bin")
    words = " ".join(f'"{word}"' for word in warm_start().command)
    (folder / "framerelay").write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
    (folder / "framerelay").chmod(0o700)
    return folder, warm_start().asking


STARTED: list[tuple["subprocess.Popen[str]", Path]] = []


@pytest.fixture(scope="session", autouse=True)
def _what_was_started_ends() -> Iterator[None]:
    """
    A test that fails leaves what it started: a demo that stays would stay for ever.

    What a killed process started ends by itself; a command that outlives its kill was never killed.
    """
    yield
    for process, _ in STARTED:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=90)
    for folder in {folder for _, folder in STARTED}:
        wait_for(lambda folder=folder: not left_over(folder), f"nothing is left that was started in {folder}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A folder and an environment of its own, nothing inherited but PATH."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = ()
    """What `start` starts, if its own id matters; without it the libraries are loaded already."""

    @property
    def environ(self) -> dict[str, str]:
        """What a command in this shell sees."""
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "LANG": "C.UTF-8", **self.settings}

    def having(self, **settings: str | int) -> "Shell":
        """The same folder with more settings, named without ``FRAMERELAY_``."""
        more = {f"FRAMERELAY_{name}": str(value) for name, value in settings.items()}
        return replace(self, settings={**self.settings, **more})

    def run(self, *words: str, within_s: float = 180.0, input: str = "") -> Result:
        """Run ``framerelay *words*`` to its end."""
        result = warm_start().run(words, self.folder, self.environ, input, within_s)
        assert "Traceback" not in result.err, result.err
        return result

    def start(self, *words: str, **arguments: Any) -> "subprocess.Popen[str]":
        """
        Start ``framerelay *words*`` and go on; its outputs are pipes unless *arguments* say otherwise.

        Without a *program* what is returned passes signals on, SIGKILL a moment later, and ends as the command does.
        """
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        warm = {} if self.program else {"pass_fds": [warm_start().asking]}
        command = [*(self.program or warm_start().command), *words]
        process = subprocess.Popen(command, cwd=self.folder, env=self.environ, **{**pipes, **warm, **arguments})
        STARTED.append((process, self.folder))
        return process

    def on_a_terminal(self, *words: str, keys: str = "", ctrl_c_at: str = "") -> tuple[str, int]:
        """
        All that it wrote to a terminal of 80 by 24, escape sequences left out, and its exit code.

        *typed* waits; Ctrl-C is pressed once *ctrl_c_at* is to be read.
        """
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        shell = replace(self, settings={**self.settings, "TERM": "xterm-256color"})
        process = shell.start(*words, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        os.write(ours, keys.encode())
        screen, deadline = b"", time.monotonic() + 90
        while time.monotonic() < deadline:
            if select.select([ours], [], [], 0.1)[0]:
                try:
                    screen += os.read(ours, 65536)
                except OSError:  # Linux says EIO when the last writer has gone.
                    break
                if ctrl_c_at and ctrl_c_at.encode() in screen:
                    ctrl_c_at = ""
                    process.send_signal(signal.SIGINT)
            elif process.poll() is not None:
                break
        os.close(ours)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.decode())
        return text, process.wait(timeout=90)

    def write(self, name: str, text: str) -> str:
        """Write a file into the folder; returns its name."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def api(self, path: str) -> dict[str, Any]:
        """What the receiver of this shell answers; much cheaper than a command where a test has to ask often."""
        key = (self.folder / "data" / "api_key").read_text().strip()
        url = f"http://127.0.0.1:{self.settings['FRAMERELAY_PORT']}{path}"
        answer: dict[str, Any] = httpx.get(url, headers={"Authorization": f"Bearer {key}"}, **PLAIN).json()
        return answer

    def api_post(self, path: str, content: bytes, *, kind: str = "application/octet-stream") -> dict[str, Any]:
        """What the receiver of this shell answers to *content*."""
        key = (self.folder / "data" / "api_key").read_text().strip()
        url = f"http://127.0.0.1:{self.settings['FRAMERELAY_PORT']}{path}"
        headers = {"Authorization": f"Bearer {key}", "Content-Type": kind}
        answer: dict[str, Any] = httpx.post(url, content=content, headers=headers, **PLAIN).json()
        return answer

    def view(self, run_id: str) -> dict[str, Any]:
        """The run as it is now."""
        return self.api(f"/v1/runs/{run_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process that serves; its log lines are in *log*."""

    process: "subprocess.Popen[str]"
    url: str
    log: Path

    def end(self) -> int:
        """Ask it to end, as Ctrl-C does; returns its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=90)

    def journal(self) -> dict[str, Any]:
        """Of a sandbox: what was asked of it."""
        answer: dict[str, Any] = httpx.get(f"{self.url}/sandbox/jobs", **PLAIN).json()
        return answer


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], Any], description: str, *, within_s: float = WAIT_S) -> Any:
    """What *condition* answers as soon as that is true."""
    deadline = time.monotonic() + within_s
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within_s:.0f} s: {description}")
        time.sleep(0.05)
    return value


@contextmanager
def serving(shell: Shell, *words: str, url: str, ready: str) -> Iterator[Service]:
    """A serving command, from the moment it answers at *url* + *ready* (anything below 500)."""
    log = shell.folder / f"{words[0]}.log"
    with log.open("ab") as log_file:
        process = shell.start(*words, stdout=log_file, stderr=log_file, stdin=subprocess.DEVNULL)
    try:
        wait_for(lambda: _answers(process, url + ready, log), f"{words[0]} answers at {url}")
        yield Service(process=process, url=url, log=log)
    finally:
        process.terminate()
        process.wait(timeout=90)


def _answers(process: "subprocess.Popen[str]", url: str, log: Path) -> bool:
    if process.poll() is not None:
        pytest.fail(f"it ended with {process.returncode}: {log.read_text()}")
    try:
        return httpx.get(url, timeout=2, **PLAIN).status_code < 500
    except httpx.TransportError:
        return False


StartSandbox = Callable[..., AbstractContextManager[Service]]
StartUp = Callable[..., AbstractContextManager[Service]]


def sandbox_in(folder: Path, *options: str, port: int | None = None) -> AbstractContextManager[Service]:
    """``framerelay sandbox`` with quick, small clips."""
    port = port or free_port()
    words = ("sandbox", "--port", str(port), "--key", KEY, *QUICK, *options)
    return serving(Shell(folder=folder), *words, url=f"http://127.0.0.1:{port}", ready="/")


def shell_for(folder: Path, upstream_url: str, **settings: str | int) -> Shell:
    """A shell whose settings reach that provider, at a port of its own."""
    folder.mkdir(exist_ok=True)
    defaults = {
        "UPSTREAM_URL": upstream_url,
        "UPSTREAM_KEY": KEY,
        "TRUSTED_HOSTS": upstream_url.removeprefix("http://"),
        "PORT": free_port(),
    }
    return Shell(folder=folder).having(**{**defaults, **settings})


def up_in(shell: Shell, *, word: str = "up") -> AbstractContextManager[Service]:
    """``framerelay up`` (or ``receiver``) in that shell."""
    url = f"http://127.0.0.1:{shell.settings['FRAMERELAY_PORT']}"
    return serving(shell, word, url=url, ready="/readyz")


def left_over(folder: Path) -> list[str]:
    """Command lines of processes that work in *folder* or name it."""
    lines = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            place = os.readlink(process / "cwd")
        except OSError:
            continue
        if words and (str(folder) in words or Path(place).is_relative_to(folder)):
            lines.append(f"{process.name} {words}")
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """The helpers above, for tests that build something of their own."""

    sandbox_in: Callable[..., AbstractContextManager[Service]] = sandbox_in
    shell_for: Callable[..., Shell] = shell_for
    serving: Callable[..., AbstractContextManager[Service]] = serving
    up_in: Callable[..., AbstractContextManager[Service]] = up_in
    left_over: Callable[[Path], list[str]] = left_over
    program: tuple[str, ...] = (FRAMERELAY,)
    wait_for: Callable[..., Any] = wait_for
    free_port: Callable[[], int] = free_port


@pytest.fixture(scope="session")
def tools() -> Tools:
    """Helpers by name."""
    return Tools()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An empty folder and no settings."""
    return Shell(folder=tmp_path)


@pytest.fixture(scope="session")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One sandbox for all tests here."""
    with sandbox_in(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def relay(provider: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """A shell in whose folder ``framerelay up`` runs, with a hook that goes on and nothing else special."""
    shell = shell_for(tmp_path_factory.mktemp("relay"), provider.url)
    shell.write("rest.yaml", "title: Rest\nmodel: seedance-1.5-pro-720p\nshots:\n  - {id: s2, prompt: and on}\n")
    shell.write("framerelay.yaml", "hooks:\n  onward: {storyboard: ./rest.yaml}\n")
    with up_in(shell) as service:
        wait_for(lambda: "worker_ready" in service.log.read_text(), "the worker is ready, too, as doctor expects")
        yield shell

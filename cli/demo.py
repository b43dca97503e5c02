"""`demo`: sandbox, receiver and worker as separate processes, one storyboard, one film."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Final, NoReturn

import httpx

from framerelay.api import shapes
from framerelay.cli.client import Receiver
from framerelay.cli.errors import CommandError, folder_words
from framerelay.cli.keys import invitation, keys_of
from framerelay.cli.output import echo
from framerelay.cli.runs import exit_code
from framerelay.cli.watch import watch
from framerelay.config.settings import Settings, from_environment
from framerelay.storyboards.storyboard import read_storyboard

READY_S: Final = 30.0
END_S: Final = 15.0
FILM: Final = "framerelay-demo.mp4"
ONE_LOST: Final = ("--lose", "0.3", "--seed", "23180")  # The callbacks about the third job, and no others.
JOB: Final = ("--job-s", "2")
LOOKUP_AFTER_S: Final = "4"  # Longer than a job takes; people wait for it.
PR_SET_PDEATHSIG: Final = 1


def run_demo(out: Path, *, keep: bool) -> int:
    """Show four shots become one film; the last line is ``film: PATH``. Returns the exit code."""
    into = _writable(out) / FILM
    folder = Path(tempfile.mkdtemp(prefix="framerelay-demo-"))
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        run = _make(folder, into, keep=keep)
    except (KeyboardInterrupt, BrokenPipeError):  # Nobody is reading any more: `framerelay demo | head`.
        _clear(folder, keep=keep)
        echo("\nStopped.", err=True)
        raise
    except BaseException:
        echo(f"The demo's logs and data stay in {folder}", err=True)
        raise
    _clear(folder, keep=keep)
    if not keep:
        echo(f"To look around on the page: {sys.argv[0]} demo --keep\nYour own film: docs/first-film.md")
    echo(f"film: {into}")
    return exit_code(run)


def _make(folder: Path, into: Path, *, keep: bool) -> shapes.Run:
    """Start everything, make the film, write it to *into*; everything has ended when this returns."""
    with ExitStack() as stack:
        settings = _start(stack, folder)
        echo(f"To watch it in a browser, too:\n{invitation(settings, keys_of(settings))}")
        with Receiver(settings) as receiver:
            run = _show(receiver)
            if run.film is None:
                raise CommandError(f"the demo's run ended as {run.status}: {run.error and run.error.message}")
            receiver.download(run.film.url, into)
        if keep:
            _stay(settings, into)
        return run


def _start(stack: ExitStack, folder: Path) -> Settings:
    """The two processes that a user would start manually, and the settings that reach them."""
    sandbox, port = _free_port(), _free_port()
    key = f"sk-sandbox-{secrets.token_hex(8)}"
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FRAMERELAY_")},
        "FRAMERELAY_UPSTREAM_URL": f"http://127.0.0.1:{sandbox}",
        "FRAMERELAY_UPSTREAM_KEY": key,
        "FRAMERELAY_TRUSTED_HOSTS": f"127.0.0.1:{sandbox}",
        "FRAMERELAY_PORT": str(port),
        "FRAMERELAY_DATA_DIR": str(folder / "data"),
        "FRAMERELAY_CONFIG": str(folder / "framerelay.yaml"),
        "FRAMERELAY_LOOKUP_AFTER_S": LOOKUP_AFTER_S,
    }
    echo("Starting a sandbox as the provider, FrameRelay beside it.")
    echo("It loses the callback about one of four shots, on purpose …")
    words = ["sandbox", "--port", str(sandbox), "--key", key, *ONE_LOST, *JOB]
    provider = stack.enter_context(_process(words, environ, folder))
    relay = stack.enter_context(_process(["up"], environ, folder))
    settings = from_environment(environ, env_file=folder / "none.env")
    _wait_for(f"http://127.0.0.1:{sandbox}/", provider, folder / "sandbox.log")
    _wait_for(f"{settings.listen_url}/readyz", relay, folder / "up.log")
    return settings


@contextmanager
def _process(words: list[str], environ: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One command of ours, its log in *folder*; ended with the demo, however that ends."""
    command = [sys.executable, "-m", "framerelay.cli.main", *words]
    process = None
    with (folder / f"{words[0]}.log").open("wb") as log_file:
        try:
            with _without_signals() as before:
                process = subprocess.Popen(
                    command,
                    env=dict(environ),
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=log_file,
                    start_new_session=True,  # Ctrl-C is for the demo, which ends its processes in order.
                    preexec_fn=lambda: _before_exec(before),
                )
            yield process
        finally:
            if process is not None:
                _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=END_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


@contextmanager
def _without_signals() -> Iterator[set[int | signal.Signals]]:
    """Signals that end the demo are handled after the block: in the middle of a fork Python would swallow them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
    try:
        yield before
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _before_exec(signals: set[int | signal.Signals]) -> None:
    """Between fork and exec: signals as they were, and the kernel ends the child when the demo is killed."""
    signal.pthread_sigmask(signal.SIG_SETMASK, signals)
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """
    Wait until *process* answers at *url*.

    Raises: CommandError with its last words if it ends before that, or takes too long.
    """
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(url, trust_env=False, timeout=2).status_code < 500:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    last_words = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    raise CommandError(f"{url} did not come up; the last line of {log} is: {last_words or '(empty)'}")


def _show(receiver: Receiver) -> shapes.Run:
    storyboard = read_storyboard((resources.files("framerelay.cli") / "demo.yaml").read_bytes(), form="yaml")
    run = receiver.start(storyboard.document)
    return watch(receiver, run.id, out=sys.stdout)


def _stay(settings: Settings, film: Path) -> None:
    with suppress(KeyboardInterrupt):
        echo(f"film: {film}\n")
        echo(f"Still running; Ctrl-C ends it. To look around: {invitation(settings, keys_of(settings))}")
        echo("or in another terminal:")
        echo(f"  export FRAMERELAY_URL={settings.listen_url} FRAMERELAY_DATA_DIR={settings.data_dir}")
        echo(f"  {sys.argv[0]} runs")
        signal.pause()
    echo("\nEnding …")


def _clear(folder: Path, *, keep: bool) -> None:
    if keep:
        echo(f"The demo's logs and data stay in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _writable(folder: Path) -> Path:
    """
    *folder*, made if it is missing; a film must not be lost because a folder cannot hold it.

    Raises: CommandError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".framerelay-"):
            return folder.absolute()
    except OSError as error:
        raise CommandError(f"--out: cannot write the film into {folder}: {folder_words(error)}") from None


def _interrupt(*_: object) -> NoReturn:
    """Being asked to end, or losing the terminal, is like Ctrl-C: everything is cleaned up."""
    raise KeyboardInterrupt


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

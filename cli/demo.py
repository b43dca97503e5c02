"""`demo`: sandbox, receiver and worker as processes of their own, one storyboard, one film."""

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
from contextlib import ExitStack, contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

import click
import httpx

from cli.client import Receiver
from cli.errors import Stop
from cli.runs import exit_code
from cli.watch import watch
from config.settings import Settings, from_environment
from runs.storyboard import read_storyboard

READY_S: Final = 30.0
FILM: Final = "framerelay-demo.mp4"
PR_SET_PDEATHSIG: Final = 1


def run_demo(out: Path, *, keep: bool) -> int:
    """Show four shots become one film; the last line is ``film: PATH``. Returns the exit code."""
    out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="framerelay-demo-"))
    try:
        with ExitStack() as stack:
            settings = _start(stack, folder)
            run = _show(settings)
            if run["status"] != "succeeded":
                raise Stop(f"the demo's run ended as {run['status']}; its logs are in {folder}")
            film = _fetch(settings, run, out / FILM)
            if keep:
                _stay(settings, film)
    except BaseException:
        if not keep:
            _say_where(folder)
        raise
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    click.echo(f"film: {film}")
    return exit_code(run)


def _start(stack: ExitStack, folder: Path) -> Settings:
    """The two processes a user would start by hand, and the settings that reach them."""
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
        "FRAMERELAY_LOOKUP_AFTER_S": "20",
    }
    click.echo("Starting a sandbox that plays the provider, and FrameRelay beside it …")
    stack.enter_context(_process(["sandbox", "--port", str(sandbox), "--key", key], environ, folder))
    stack.enter_context(_process(["up"], environ, folder))
    settings = from_environment(environ, env_file=folder / "none.env")
    for url in (f"http://127.0.0.1:{sandbox}/", f"{settings.listen_url}/readyz"):
        _wait_for(url, folder)
    return settings


@contextmanager
def _process(words: list[str], environ: Mapping[str, str], folder: Path) -> Iterator[None]:
    """One command of ours, its log in *folder*; ended with the demo, however that ends."""
    command = [sys.executable, "-m", "cli.main", *words]
    with (folder / f"{words[0]}.log").open("wb") as log_file:
        process = subprocess.Popen(
            command,
            env=dict(environ),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,  # Ctrl-C is for the demo, which ends its processes in order.
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _die_with_parent() -> None:
    """Between fork and exec: the kernel ends the child when the demo is killed."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _wait_for(url: str, folder: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        try:
            if httpx.get(url, trust_env=False, timeout=2).status_code < 500:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise Stop(f"{url} did not come up within {READY_S:.0f} s; the logs are in {folder}")


def _show(settings: Settings) -> dict[str, Any]:
    storyboard = read_storyboard((resources.files("cli") / "demo.yaml").read_bytes(), form="yaml")
    with Receiver(settings) as receiver:
        run = receiver.post("/v1/runs", json=storyboard.document)
        return watch(receiver, run["id"], out=sys.stdout)


def _fetch(settings: Settings, run: Mapping[str, Any], into: Path) -> Path:
    with Receiver(settings) as receiver:
        receiver.download(run["film"]["url"], into)
    return into.absolute()


def _stay(settings: Settings, film: Path) -> None:
    click.echo(f"film: {film}")
    click.echo(f"Still running at {settings.listen_url}, data in {settings.data_dir}. Ctrl-C ends it.")
    click.echo(f"  FRAMERELAY_DATA_DIR={settings.data_dir} FRAMERELAY_URL={settings.listen_url} framerelay runs")
    try:
        signal.pause()
    except KeyboardInterrupt:
        click.echo()


def _say_where(folder: Path) -> None:
    click.echo(f"The demo's logs and data stay in {folder}", err=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

"""`sandbox`: the generation API on this machine, until it is asked to stop."""

import asyncio
import signal
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import click
import uvloop

from framerelay.cli.http import listening_on, serving
from framerelay.cli.output import echo
from framerelay.config.logs import configure_logging
from framerelay.config.settings import from_environment
from framerelay.sandbox import PATHS, Faults, SandboxOptions, create_sandbox
from framerelay.sandbox.faults import SWITCHES, OptionInvalid
from framerelay.sandbox.options import QUEUE_S
from framerelay.upstream.profile_file import load_shipped


def run_sandbox(
    *,
    host: str,
    port: int,
    key: str,
    folder: Path | None,
    public_url: str | None,
    dialect: Literal["jobs", "ark"],
    webhook_secret: str | None,
    job_s: float,
    clip_s: float | None,
    scale: float,
    bframes: int,
    output_ttl_s: float | None,
    callback_retry_s: float,
    seed: int,
    **rates: Any,
) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code. Raises: click.BadParameter for a meaningless option."""
    configure_logging(from_environment(), program="sandbox")
    with ExitStack() as stack:
        place = folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="framerelay-sandbox-")))
        try:
            options = SandboxOptions(
                key=key,
                folder=place,
                public_url=public_url,
                dialect=dialect,
                webhook_secret=webhook_secret,
                queue_s=min(QUEUE_S, job_s),  # People who want quick jobs want no queue.
                job_s=job_s,
                seconds_per_clip=clip_s,
                scale=scale,
                bframes=bframes,
                output_ttl_s=output_ttl_s,
                callback_retry_s=callback_retry_s,
                faults=Faults(seed=seed, **{name: rates[name] for name in SWITCHES}),
            )
        except OptionInvalid as error:
            name = "clip-s" if error.name == "seconds_per_clip" else error.name.replace("_", "-")
            raise _refuse(name, error.rule) from error
        if not host:
            raise _refuse("host", "must be an address of this machine.")  # An empty one would mean all of them.
        listener = stack.enter_context(listening_on(host, port))
        return uvloop.run(_serve(options, listener, f"http://{host}:{listener.getsockname()[1]}"))


def _refuse(option: str, rule: str) -> click.BadParameter:
    return click.BadParameter(rule, ctx=click.get_current_context(), param_hint=f"'--{option}'")


async def _serve(options: SandboxOptions, listener: socket.socket, url: str) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(create_sandbox(options), listener):
        host = url.removeprefix("http://")
        echo(f"The sandbox answers at {url}. To use it, in another terminal:", err=True)
        echo(f"  export FRAMERELAY_UPSTREAM_URL={url} FRAMERELAY_UPSTREAM_KEY={options.key}", err=True)
        echo(f"  export FRAMERELAY_TRUSTED_HOSTS={host}", err=True)
        echo("  framerelay up", err=True)
        echo("It plays others, too, under the same key (docs/sandbox.md). In framerelay.yaml:", err=True)
        echo("  providers:", err=True)
        for name, path in PATHS.items():
            echo(f"    {name}: {{url: '{url}{path}'}}  # key: {load_shipped(name).key_env[0]}", err=True)
        await stop.wait()
    return 0

"""The owner's end of one decoder process: start it, talk to it, end it; `media.decoder` decides when."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import msgspec
import structlog

from framerelay.media.child.cage import die_with
from framerelay.media.follow import Follower
from framerelay.media.wire import Answer, FrameTaken, Ready, Request, Wants, read_answer, to_json
from framerelay.runs.errors import DecoderFailed

COMMAND = (sys.executable, "-I", "-m", "framerelay.media.child.main")
START_S_MAX = 30.0
LINE_BYTES_MAX = 1024 * 1024
KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")
CAGE = ("memory", "cpu_time", "file_size", "open_files", "network", "processes", "files")

log = structlog.get_logger()


class Child:
    """One decoder process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin and process.stdout  # noqa: S101, PT018  (Both were asked for.)
        self.process = process
        self.requests = process.stdin
        self.answers = process.stdout
        self.jobs_done = 0
        self.holds: list[str] = []

    async def ask(self, request: Request, follower: Follower | None, ending: Callable[[], object]) -> Answer:
        """Send *request* and wait for its answer; DecoderFailed if there is none. *follower* may add messages."""
        try:
            self.requests.write(to_json(request) + b"\n")
            await self.requests.drain()
        except ConnectionError:
            pass  # It died; the empty answer below says how.
        if follower:
            follower.attach(self.write_line, ending)
        answer = await self.next_answer()
        while follower and isinstance(answer, Wants | FrameTaken):
            follower.take_answer(answer)
            answer = await self.next_answer()
        self.jobs_done += 1
        return answer

    def write_line(self, line: bytes) -> None:
        """Add *line* to a request, without waiting; if the process is gone, the missing answer shows it."""
        if not self.requests.is_closing():
            self.requests.write(line)

    async def next_answer(self) -> Answer:
        """The next line of the process."""
        try:
            line = await self.answers.readline()
        except ValueError as error:
            raise DecoderFailed("the decoder process sent a line without end") from error
        if not line:
            raise DecoderFailed(f"the decoder process died ({await self.ending()})")
        try:
            return read_answer(line)
        except msgspec.MsgspecError as error:
            raise DecoderFailed("the decoder process answered nonsense") from error

    async def ending(self) -> str:
        """How the process ended, in words."""
        code = await self.process.wait()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"

    def kill(self) -> None:
        """End the process at once, whatever it is doing; it leads a process group of its own."""
        if self.process.returncode is None:  # Otherwise its number may be somebody else's by now.
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill the process and wait until it and its pipes are gone."""
        self.kill()
        with suppress(ConnectionError):
            await self.process.communicate()


async def start_child() -> Child:
    """Start a process and wait until it is warm."""
    spawning = asyncio.create_task(spawn())
    try:
        child = await asyncio.shield(spawning)  # If this were abandoned halfway, uvloop would leave the process behind.
    except asyncio.CancelledError:
        await (await spawning).close()
        raise
    try:
        async with asyncio.timeout(START_S_MAX):
            answer = await child.next_answer()
        if not isinstance(answer, Ready):
            raise DecoderFailed(f"the decoder process did not start: {answer}")
        child.holds = answer.holds
    except TimeoutError:
        await child.close()
        raise DecoderFailed(f"the decoder process did not start within {START_S_MAX:g} s") from None
    except BaseException:
        await child.close()
        raise
    return child


def log_limits(child: Child) -> None:
    """Logs which of the limits on what a clip may do are enforced on this system, and warns of those that are not."""
    log.info("decoder_caged", holds=child.holds)
    missing = [limit for limit in CAGE if limit not in child.holds]
    if missing:
        log.warning("decoder_not_caged", missing=missing, see="docs/security.md")


async def spawn() -> Child:
    """A new process, still cold."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=LINE_BYTES_MAX,
        env=child_environment(),
        start_new_session=True,
        preexec_fn=partial(die_with, os.getpid()),  # Not a moment later: a child may be stopped while it loads Python.
    )
    return Child(process)


def child_environment() -> dict[str, str]:
    """Without any of our secrets; one arena per thread would use up 64 MB of the process's limit each."""
    environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    return environment | {"MALLOC_ARENA_MAX": "2", "OPENBLAS_NUM_THREADS": "1", "LC_ALL": "C.UTF-8"}


async def end_starting(starting: asyncio.Task[Child]) -> None:
    """End what *starting* started or is about to start."""
    starting.cancel()
    with suppress(asyncio.CancelledError, DecoderFailed, OSError):
        await (await starting).close()


def has_child(starting: asyncio.Task[Child]) -> bool:
    """Whether the task *starting* is done and gave a process, and the process is still alive."""
    if not starting.done() or starting.cancelled() or starting.exception():
        return False
    return starting.result().process.returncode is None

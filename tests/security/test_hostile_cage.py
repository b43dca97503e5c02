"""What a file that has taken over the decoder still cannot do: each job's process is shut in by the kernel."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from framerelay.media import decoder_process
from framerelay.media.child.cage import IS_LINUX
from framerelay.media.child.png import write_png
from framerelay.media.decoder import Decoder
from framerelay.runs.errors import ClipUnusable, DecoderFailed

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not IS_LINUX, reason="The filters are Linux's.")]

TAKEN_OVER = """
import ctypes, os, signal, socket, sys, threading, time
from pathlib import PosixPath
from framerelay.media.child import cage, main
from framerelay.media.wire import Level

X86 = os.uname().machine == 'x86_64'

def call(number, *arguments):
    if ctypes.CDLL(None, use_errno=True).syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")

def grow():
    return bytearray(2 << 30)

def spin():
    while True:
        pass

def poison():
    main.poisoned = True

def work(request):
    given = request.b
    try:
        {attempt}
    except OSError as error:
        return Level(mean=error.errno)
    return Level(mean=0)

close = cage.confine
cage.confine = lambda **limits: close(**(limits | {limits}))
main.load = lambda: work
main.main()
"""
TakeOver = Callable[..., None]

ESCAPES = {
    "talk to the network": "socket.create_connection(('127.0.0.1', 9))",
    "talk by datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "talk to a neighbour": "socket.socketpair()",
    "talk through the kernel's ring": "call(425, 8, ctypes.create_string_buffer(256))",
    "start a process": "os.fork()",
    "start a program": "os.execv('/bin/true', ['true'])",
    "start a program at one go": "os.posix_spawn('/bin/true', ['true'], {})",
    "read a secret": "open('/etc/passwd')",
    "read its own program": "open(cage.__file__)",
    "read the memory of its owner": "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "list a folder": "os.listdir(given.parent)",
    "write where nothing is due": "open(given.with_name('planted'), 'w')",
    "spoil what it reads": "open(given, 'ab')",
    "remove what it reads": "given.unlink()",
    "give rights away": "given.chmod(0o777)",
    "make a device": "os.mknod(given.with_name('device'), 0o600)",
    "kill its owner": "os.kill(os.getppid(), signal.SIGKILL)",
    "watch its owner": "call(101 if X86 else 117, 16, os.getppid(), 0, 0)",
    "loosen a limit": "call(302 if X86 else 261, 0, 0, ctypes.create_string_buffer(16), 0)",
    "enter another world": "call(272 if X86 else 97, 0x10000000)",
}


@pytest.fixture
def take_over(monkeypatch: pytest.MonkeyPatch) -> TakeOver:
    """``take_over("statement", **limits of cage.confine)``: what decoders that start from now on do as their job."""

    def use(attempt: str, **limits: Any) -> None:
        script = TAKEN_OVER.replace("{attempt}", attempt).replace("{limits}", repr(limits))
        monkeypatch.setattr(decoder_process, "COMMAND", (sys.executable, "-I", "-c", script))

    return use


@pytest.fixture
def a_picture(tmp_path: Path) -> Path:
    """What the jobs are allowed to read."""
    write_png(np.zeros((64, 64, 3), np.uint8), tmp_path / "given.png")
    return tmp_path / "given.png"


async def test_no_way_out_is_open(take_over: TakeOver, a_picture: Path) -> None:
    """Sockets, processes, programs, files, signals, limits: the kernel refuses, whatever code runs."""
    cases = "\n".join(
        f"        if given.stem == {str(n)!r}: given = given.with_name('given.png'); {attempt}; return Level(mean=0)"
        for n, attempt in enumerate(ESCAPES.values())
    )
    take_over(cases.strip())
    async with Decoder() as decoder:
        for n, name in enumerate(ESCAPES):
            a_picture.with_name(f"{n}.png").touch()
            code = await decoder.difference(a_picture, a_picture.with_name(f"{n}.png"))
            assert code in (errno.EPERM, errno.EACCES), name
    assert not a_picture.with_name("planted").exists()


async def test_what_a_job_needs_is_left_to_it(take_over: TakeOver, a_picture: Path) -> None:
    """Reading its clip, and threads, which libav makes as it goes."""
    take_over("given.read_bytes(); thread = threading.Thread(target=given.read_bytes); thread.start(); thread.join()")
    async with Decoder() as decoder:
        assert await decoder.difference(a_picture, a_picture) == 0


async def test_computing_without_end_is_the_clips_fault(take_over: TakeOver, a_picture: Path) -> None:
    """Seconds of the processor, not of the clock: a busy machine blames no clip, and the answer is final."""
    take_over("spin()", cpu_s_max=1)
    async with Decoder() as decoder:
        with pytest.raises(ClipUnusable, match="more computing") as failure:
            await decoder.difference(a_picture, a_picture)
    assert failure.value.reason == "not_allowed"


async def test_memory_and_files_have_an_end(take_over: TakeOver, a_picture: Path) -> None:
    """A process that asks for two gigabytes is refused; so is a file past its size."""
    take_over("grow()")
    async with Decoder() as decoder:
        with pytest.raises(DecoderFailed, match="MemoryError"):
            await decoder.difference(a_picture, a_picture)

    write = "out = open(given.with_name('out'), 'wb', 0); out.write(bytes(9)); out.write(bytes(9))"
    take_over(write, file_bytes_max=8, writing=a_picture.parent)
    async with Decoder() as decoder:
        assert await decoder.difference(a_picture, a_picture) == errno.EFBIG
    assert a_picture.with_name("out").stat().st_size == 8


async def test_a_job_that_dies_leaves_its_successors_alone(take_over: TakeOver, a_picture: Path) -> None:
    """A crash is reported as what it was; nothing that one job did to its process is there in the next."""
    take_over("os.abort()")
    async with Decoder() as decoder:
        with pytest.raises(DecoderFailed, match="SIG"):
            await decoder.difference(a_picture, a_picture)

    take_over("assert not hasattr(main, 'poisoned'); poison()")
    async with Decoder() as decoder:
        assert [await decoder.difference(a_picture, a_picture) for _ in range(3)] == [0, 0, 0]


async def test_a_process_that_dies_while_it_waits_fails_no_job(a_picture: Path, wait_until: Any) -> None:
    """The kernel may take it for its memory; its last words are not the next job's answer."""
    async with Decoder() as decoder:
        first = await decoder._warm_child()
        waiting = Path(f"/proc/{first.process.pid}/task/{first.process.pid}/children")
        await wait_until(waiting.read_text, "a process that waits for a job")
        os.kill(int(waiting.read_text()), signal.SIGKILL)
        await wait_until(lambda: first.process.returncode is not None, "the end of the one that made it")

        assert await decoder.check(a_picture) == (64, 64)
        assert await decoder._warm_child() is not first


async def test_the_active_limits_are_logged_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator reads in the log what a clip is kept from, and loudly what it is not."""
    with structlog.testing.capture_logs() as lines:
        async with Decoder():
            pass
    assert [(line["event"], sorted(line["holds"])) for line in lines] == [
        ("decoder_caged", ["cpu_time", "file_size", "files", "memory", "network", "open_files", "processes"])
    ]

    script = "from framerelay.media.child import cage, main; cage.leave_files = lambda *_: None; main.main()"
    monkeypatch.setattr(decoder_process, "COMMAND", (sys.executable, "-I", "-c", script))
    with structlog.testing.capture_logs() as lines:
        async with Decoder():
            pass
    assert (lines[-1]["event"], lines[-1]["log_level"]) == ("decoder_not_caged", "warning")
    assert lines[-1]["missing"] == ["files"]

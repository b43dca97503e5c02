"""Lines of one round of the loop leave together: none lost, torn, out of order or with a secret in it."""

import asyncio
import enum
import fcntl
import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.datastructures import Secret

from framerelay.config import log_lines
from framerelay.config.logs import SECRET_FIELDS, configure_logging, log_context, redact, secrets_of
from framerelay.config.settings import Settings

OURS = ('a "correct" horse\nbattery \\ 霓虹', "1234567890", "plain as can be")
SETTINGS = Settings(api_key=tuple(map(Secret, OURS)))
TOKEN = "dDpydW5fMTpzMTox.AAAAAAAAAAAAAAAAAAAAAAAA"
PIECES = [
    "https://clips.example/a.mp4?sig=1&x=2", "HTTP://user:pass@clips.example/#part", "/webhook/abc.def", TOKEN,
    "Bearer abc", "sk-abcdefghijklmnop", "sk_abcdefghijklmnop", "task_abcdefghijkl", "fr_abcdefghijklmnop",
    "/media/run/film.mp4?expires=1", "signature=abc", "X-Tos-Credential%3dabc", '"cookie":"a"', "token", *OURS,
    OURS[2][:7], OURS[2][7:], "\ud800", "é", "\u2028", " ", "\n", "?", "#", '"', "\\", "/", "a", "_", "-", ".",
]  # fmt: skip
texts = st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
names = st.sampled_from(["text", "reason", "job_id", "K-token", *sorted(SECRET_FIELDS)])
values = st.recursive(
    texts | st.integers() | st.just(1234567890) | st.booleans() | st.none() | st.binary(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | names | st.none(), inner, max_size=3),
    max_leaves=4,
)
events = st.lists(st.dictionaries(names, values, max_size=3), min_size=1, max_size=5)


class CountingStream(io.StringIO):
    """A stream that knows how often it was written to."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        return super().write(text)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Each is a JSON object of its own."""
        return [json.loads(line) for line in self.getvalue().split("\n")[:-1]]


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging belongs to the whole process; leave it as it was found."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in logging.root.manager.loggerDict}
    yield
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    for name in logging.root.manager.loggerDict:
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_lines_of_one_round_are_written_together(log_format: Any) -> None:
    """Ours and those of libraries, in their order; the next round's by themselves; each with the time it was said."""
    stream = CountingStream()
    configure_logging(Settings(log_format=log_format), stream=stream)
    log = structlog.get_logger()

    async def rounds() -> None:
        for number in range(3):
            log.info("thing_said", number=number)
            logging.getLogger("library").warning("hm %d", number)
        assert stream.writes == 0
        await asyncio.sleep(0)
        assert stream.writes == 1
        log.info("thing_said", number=3)
        await asyncio.sleep(0)
        assert stream.writes == 2

    asyncio.run(rounds())
    lines = stream.getvalue().split("\n")[:-1]
    assert ["hm" in line for line in lines] == [False, True] * 3 + [False]
    assert [str(number) in line.rpartition("Z")[0] + line for number, line in enumerate(lines[::2])] == [True] * 4
    if log_format == "json":
        stamps = [line["timestamp"] for line in stream.lines]
        assert stamps == sorted(stamps)
        assert len(set(stamps)) > 3


def test_outside_of_a_loop_a_line_is_written_at_once() -> None:
    """A command that says something and then computes has said it."""
    stream = CountingStream()
    configure_logging(Settings(), stream=stream)
    structlog.get_logger().info("thing_said")

    assert [line["event"] for line in stream.lines] == ["thing_said"]


def test_a_line_of_a_thread_follows_those_that_wait() -> None:
    """It takes them with it."""
    stream = CountingStream()
    configure_logging(Settings(), stream=stream)
    log = structlog.get_logger()

    async def rounds() -> None:
        log.info("thing_said", number=1)
        thread = threading.Thread(target=lambda: log.info("thing_said", number=2))
        thread.start()
        thread.join()  # The loop stands still while this runs.
        assert [line["number"] for line in stream.lines] == [1, 2]
        log.info("thing_said", number=3)

    asyncio.run(rounds())
    assert [line["number"] for line in stream.lines] == [1, 2, 3]


def test_many_threads_and_a_loop_lose_nothing() -> None:
    """Each one's lines in their order."""
    stream = CountingStream()
    configure_logging(Settings(), stream=stream)
    log = structlog.get_logger()

    def say(who: int) -> None:
        for number in range(300):
            log.info("thing_said", who=who, number=number)

    async def rounds() -> None:
        threads = [threading.Thread(target=say, args=(who,)) for who in range(3)]
        for thread in threads:
            thread.start()
        for number in range(300):
            log.info("thing_said", who=3, number=number)
            await asyncio.sleep(0)
        await asyncio.gather(*(asyncio.to_thread(thread.join) for thread in threads))

    asyncio.run(rounds())
    for who in range(4):
        assert [line["number"] for line in stream.lines if line["who"] == who] == list(range(300))


def test_a_long_round_does_not_hold_back_more_and_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """That many lines leave though the round goes on."""
    monkeypatch.setattr(log_lines, "LINES_MAX", 5)
    stream = CountingStream()
    configure_logging(Settings(), stream=stream)

    async def long_round() -> None:
        for number in range(12):
            structlog.get_logger().info("thing_said", number=number)
        assert len(stream.lines) == 10

    asyncio.run(long_round())
    assert [line["number"] for line in stream.lines] == list(range(12))


def test_lines_of_a_stopped_loop_are_written_with_the_next_ones() -> None:
    """A loop that is stopped in the middle of a round does not do what it still had to do."""
    stream = CountingStream()
    configure_logging(Settings(), stream=stream)
    log = structlog.get_logger()

    async def stop(number: int) -> None:
        log.info("thing_said", number=number)
        asyncio.get_running_loop().stop()

    for number in range(2):
        loop = asyncio.new_event_loop()
        task = loop.create_task(stop(number))
        loop.run_forever()
        assert task.done()
        loop.close()
    log.info("thing_said", number=2)

    assert [line["number"] for line in stream.lines] == [0, 1, 2]


def test_lines_before_logging_is_configured_again_are_not_lost() -> None:
    """It goes where it was to go."""
    stream = CountingStream()
    configure_logging(Settings(), stream=stream)

    async def anew() -> None:
        structlog.get_logger().info("thing_said")
        configure_logging(Settings(), stream=io.StringIO())
        assert len(stream.lines) == 1

    asyncio.run(anew())


@settings(max_examples=200)
@given(many=events)
@example(many=[{"job_id": OURS[2][:7]}, {"job_id": OURS[2][7:]}, {"job_id": "x" + OURS[2]}])
@example(many=[{"text": "a"}, {"token": "harmless"}])
@example(many=[{"text": "\ud800"}, {"text": "Bearer abc"}])
@example(many=[{"text": "sk_abcdefghijklmnop"}, {"text": "task_task_"}])
def test_together_lines_say_what_each_says_alone(many: list[dict[str, Any]]) -> None:
    """Nothing that opens anything, in whatever field of whichever line; and nothing else is missing."""
    stream, secrets = CountingStream(), secrets_of(SETTINGS)
    configure_logging(SETTINGS, stream=stream)

    async def say() -> None:
        for fields in many:
            structlog.get_logger().info("thing_said", **fields)

    asyncio.run(say())
    for line, fields in zip(stream.lines, many, strict=True):
        del line["timestamp"]
        fields_in_log = redact({**fields, "event": "thing_said", "level": "info"}, secrets=secrets)
        assert line == json.loads(json.dumps(fields_in_log))


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("secret", OURS)
def test_a_secret_hides_in_no_line_of_a_round(secret: str, log_format: Any) -> None:
    """First, last or in the middle, beside harmless ones, bound or in a traceback, ours or a library's."""
    stream = CountingStream()
    configure_logging(Settings(api_key=(Secret(secret),), log_format=log_format), stream=stream)
    log = structlog.get_logger()

    async def say() -> None:
        for place in range(3):
            for number in range(3):
                log.info("thing_said", **{"text" if number == place else "other": secret if number == place else "x"})
            await asyncio.sleep(0)
        log.info(secret, nested={"deep": [secret, {secret: (secret, {secret})}]}, raw=secret.encode())
        with log_context(run_id=secret):
            logging.getLogger("library").warning("%s", secret, extra={"where": secret})
        try:
            raise RuntimeError(secret)
        except RuntimeError:
            log.exception("thing_broke")
        logging.getLogger("library").warning("%s of %s", secret)

    asyncio.run(say())
    text = stream.getvalue()
    assert text.count("thing_said") == 9
    for shape in (
        secret,
        secret.replace("\n", "\\n"),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False),
    ):
        assert shape not in text


class Word(enum.StrEnum):
    """As the states of a job are."""

    DONE = "done"


class Mute:
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_a_value_that_cannot_be_shown_costs_no_line() -> None:
    """Nor does it stop the code that logs it, nor lose the lines around it."""
    stream = CountingStream()
    configure_logging(Settings(), stream=stream)
    log = structlog.get_logger()
    itself: list[Any] = []
    itself.append(itself)
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]

    values = [Mute(), {"in": [Mute()]}, itself, deep, "\ud800", {None: 1, (1, 2): 2, True: 3}, 2**80, Word.DONE]

    async def say() -> None:
        for value in (*values, signal.SIGTERM):
            log.info("thing_said", value=value)

    asyncio.run(say())
    fields = [line["value"] for line in stream.lines]
    assert fields[:2] == ["[Mute cannot be shown: RuntimeError]", {"in": ["[Mute cannot be shown: RuntimeError]"]}]
    assert fields[4:] == ["\ud800", {"null": 1, "(1, 2)": 2, "true": 3}, 2**80, "done", 15]


def test_a_line_shows_values_as_they_were_when_it_was_logged() -> None:
    """Whatever becomes of it before the round ends."""
    stream = CountingStream()
    configure_logging(Settings(), stream=stream)

    async def say() -> None:
        takes, about = [1], {"state": "rendering"}
        structlog.get_logger().info("thing_said", takes=takes, about=about)
        takes.append(2)
        about["state"] = "done"

    asyncio.run(say())
    (line,) = stream.lines
    assert (line["takes"], line["about"]) == ([1], {"state": "rendering"})


PRELUDE = """
import asyncio, os, signal, sys, time
import structlog
from framerelay.config.logs import configure_logging
from framerelay.config.settings import Settings
configure_logging(Settings())
log = structlog.get_logger()
"""


def lines_of(script: str, *, ends_with: int = 0) -> list[dict[str, Any]]:
    """What a process that runs *script* logs until its end."""
    process = subprocess.run([sys.executable, "-c", PRELUDE + script], capture_output=True, check=False, timeout=60)
    assert process.returncode == ends_with, process.stderr
    lines = [json.loads(line) for line in process.stderr.splitlines() if line.startswith(b"{")]
    return [line for line in lines if line["event"].startswith("thing_")]  # asyncio has its say on some endings, too.


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("sys.exit(3)", 3),
        ("raise ValueError", 1),
        ("asyncio.get_running_loop().stop()", 0),
        ("os.kill(os.getpid(), signal.SIGINT)", 130),
        ("raise SystemExit", 0),
    ],
)
def test_the_last_line_is_written_however_the_process_ends(ending: str, code: int) -> None:
    """In the very round in which it was said."""
    script = f"""
async def main():
    log.info("thing_said", number=1)
    log.info("thing_said", number=2)
    {ending}
try:
    asyncio.run(main())
except KeyboardInterrupt:
    sys.exit(130)
"""
    assert [line["number"] for line in lines_of(script, ends_with=code)] == [1, 2]


def test_a_line_at_the_very_end_is_written() -> None:
    """By what is done at exit, after what a loop that was left in the middle of its round had still to write."""
    script = """
import atexit
atexit.register(lambda: log.info("thing_said", number=2))
async def main():
    log.info("thing_said", number=1)
    loop.stop()
loop = asyncio.new_event_loop()
loop.create_task(main())
loop.run_forever()
"""
    assert [line["number"] for line in lines_of(script)] == [1, 2]


def test_a_process_that_is_told_to_end_has_written_all() -> None:
    """SIGTERM as `cli.serve` hears it: whatever was said before the last round is there."""
    script = """
async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    number = 0
    while not stop.is_set():
        for _ in range(7):
            log.info("thing_said", number=number)
            number += 1
        if number == 700:
            os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)
    log.info("thing_ended", number=number)
asyncio.run(main())
"""
    lines = lines_of(script)
    assert lines[-1]["event"] == "thing_ended"
    assert [line["number"] for line in lines] == list(range(lines[-1]["number"] + 1))


def test_a_forked_process_writes_its_own_lines_alone() -> None:
    """What waited when it was made is its parent's, and is written once."""
    script = """
async def main():
    log.info("thing_said", number=1)
    if (child := os.fork()) == 0:
        log.info("thing_said", number=2)
        sys.exit(0)
    os.waitpid(child, 0)
    log.info("thing_said", number=3)
asyncio.run(main())
"""
    assert sorted(line["number"] for line in lines_of(script)) == [1, 2, 3]


SPEAKER = """
who, blocks, long = int(sys.argv[1]), sys.argv[2] == "blocks", int(sys.argv[3])
os.set_blocking(2, blocks)
async def main():
    for number in range(0, 300, 30):
        for step in range(30):
            log.info("thing_said", who=who, number=number + step, text="x" * (100 if step else long))
        await asyncio.sleep(0)
asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["blocks", "never blocks"])
@pytest.mark.parametrize(("speakers", "long"), [(1, 200_000), (2, 1000)])
def test_a_pipe_that_is_read_slowly_loses_and_mixes_nothing(way: str, speakers: int, long: int) -> None:
    """More is said than it holds: some of it longer than it takes at once, or by two processes at the same time."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    command = [sys.executable, "-c", PRELUDE + SPEAKER]
    processes = [subprocess.Popen([*command, str(who), way, str(long)], stderr=writing) for who in range(speakers)]
    os.close(writing)
    text = b""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        while piece := pipe.read(1500):
            text += piece

    assert [process.wait(60) for process in processes] == [0] * speakers
    lines = [json.loads(line) for line in text.split(b"\n")[:-1]]
    for who in range(speakers):
        assert [line["number"] for line in lines if line["who"] == who] == list(range(300))


def test_after_a_full_disk_no_line_is_glued_to_half_of_another(tmp_path: Path) -> None:
    """And the code that logs does not notice."""
    script = f"""
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
configure_logging(Settings(), stream=open({str(tmp_path / "log")!r}, "w"))
resource.setrlimit(resource.RLIMIT_FSIZE, (250, resource.RLIM_INFINITY))
for number in range(9):
    log.info("thing_said", number=number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.info("thing_said", number=9)
"""
    assert lines_of(script) == []

    first, second, half, last = (tmp_path / "log").read_bytes().splitlines()
    assert [json.loads(line)["number"] for line in (first, second, last)] == [0, 1, 9]
    assert len(half) < len(first)


def test_nobody_who_logs_hears_that_the_reader_is_gone() -> None:
    """As of any log."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stream:
        configure_logging(Settings(), stream=stream)
        structlog.get_logger().info("thing_said")
        logging.getLogger("library").warning("hm")
        root = logging.getLogger()
        root.handlers = []

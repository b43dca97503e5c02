"""One program of the house: how it is started and ended, and how it took that."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.child_process import end_with_parent

LEAVES_WITHIN_S: Final = 120.0  # 8 s for its tasks, 4 s for its connections, and patience with a busy machine.
TOLD_BY_TRAP: Final = "told to end by a trap"


class Fork:
    """
    *program*, given its words, in a process of its own that need not load what we have: that takes a second each time.

    Its methods are those of subprocess.Popen, as far as they are needed.
    """

    def __init__(self, program: Callable[[list[str]], None], words: list[str], environment: dict[str, str], log: int):
        def be_it() -> None:
            end_with_parent()
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.closerange(3, 1024)
            sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
            sys.stderr.reconfigure(line_buffering=True)  # type: ignore[attr-defined]
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL if number is signal.SIGTERM else signal.default_int_handler)
            os.environ.clear()
            os.environ.update(environment)
            program(words)

        self._process = multiprocessing.get_context("fork").Process(target=be_it, daemon=True)
        self._process.start()

    def poll(self) -> int | None:
        """How it ended, negative for a signal."""
        return self._process.exitcode

    def wait(self) -> None:
        """Until it has ended."""
        self._process.join()

    def kill(self) -> None:
        """SIGKILL."""
        self._process.kill()

    def send_signal(self, number: int) -> None:
        """To it alone."""
        if self._process.is_alive() and self._process.pid:
            os.kill(self._process.pid, number)


@dataclass(slots=True)
class Process:
    """
    ``desertions``: how it ended though nobody had ended it so, in words.

    With a *program*, that is forked and given the *command*, which otherwise is one to execute.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    program: Callable[[list[str]], None] | None = None
    running: subprocess.Popen[bytes] | Fork | None = None
    kills: int = 0
    goodbyes: int = 0
    desertions: list[str] = field(default_factory=list)
    _leaves_by: float | None = None
    _log_begins: int = 0
    _is_trapped_gently: bool = False

    @property
    def role(self) -> str:
        """``receiver`` for the second receiver."""
        return self.name.rstrip("0123456789")

    @property
    def is_leaving(self) -> bool:
        """Whether it was told to end and has not yet."""
        return self._leaves_by is not None

    @property
    def is_ready(self) -> bool:
        """Whether it has said so since its start; before that, SIGTERM just kills it."""
        return self._has_said(f"{self.role}_ready")

    def start(self, *more: str) -> None:
        """Start it; *more* is appended to the command this time."""
        self._is_trapped_gently = "--gently" in more
        with self.log.open("ab") as log:
            self._log_begins = log.tell()
            if self.program:
                self.running = Fork(self.program, [*self.command, *more], self.environment, log.fileno())
                return
            self.running = subprocess.Popen(
                [*self.command, *more],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,
            )

    def kill(self) -> None:
        """SIGKILL, and it is gone."""
        if self.running is not None and self.running.poll() is None:
            self.kills += 1
            self.running.kill()
            self.running.wait()
            self.running, self._leaves_by = None, None

    def tell_to_end(self) -> None:
        """SIGTERM; `is_gone` sees to it that it ends by itself, with exit code 0."""
        if self.running is not None and self.running.poll() is None:
            self._expect_end()
            self.running.send_signal(signal.SIGTERM)

    def is_gone(self) -> bool:
        """Whether it is not running now; notes how it ended if that was not what it was told."""
        if self.running is None:
            return True
        if self._is_trapped_gently and self._has_said(TOLD_BY_TRAP):
            self._expect_end()
        code = self.running.poll()
        if code is None:
            if self._leaves_by is None or time.monotonic() < self._leaves_by:
                return False
            self.desertions.append(f"{self.name} did not end within {LEAVES_WITHIN_S:.0f} s of SIGTERM")
            self.kill()
        elif code == -signal.SIGKILL:  # A trap killed it from inside.
            self.kills += 1
        elif code == 0 and self.is_leaving:
            self.goodbyes += 1
        elif code != 1 or self.is_ready or not self._has_said("Redis"):  # A start without Redis ends with 1.
            self.desertions.append(f"{self.name} ended with {code}{' at SIGTERM' if self.is_leaving else ''}")
        self.running, self._leaves_by = None, None
        return True

    def lines(self) -> list[dict[str, Any]]:
        """Its log as fields."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{") and line.endswith("}")]

    def _expect_end(self) -> None:
        self._leaves_by = self._leaves_by or time.monotonic() + LEAVES_WITHIN_S

    def _has_said(self, words: str) -> bool:
        """Since its start."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return words.encode() in log.read()

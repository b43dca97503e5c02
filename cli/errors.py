"""Foreseen errors on standard error: a sentence, or the envelope of the API; with the documented exit code."""

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

import click

from framerelay.cli.interrupts import INTERRUPTED
from framerelay.cli.output import echo_json
from framerelay.config.env_file import SettingInvalid
from framerelay.languages.catalogs import translate
from framerelay.languages.columns import HANGING, wrap
from framerelay.runs.errors import FrameRelayError, StoryboardInvalid
from framerelay.runs.text import printable

FAILED, USAGE = 1, 2


class CommandError(Exception):
    """The command cannot go on; the message is for a person, the code for programs."""

    code: str = "cannot"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.param = param


@contextmanager
def explain_errors(*, as_json: bool = False) -> Iterator[None]:
    """
    Turn errors that a person can fix into a sentence; anything else is a bug of ours and keeps its traceback.

    *as_json*: for programs, as one line ``{"error": {"code", "message", "param", …}}``, as in the API.
    """
    say = _say_json if as_json else _say
    try:
        yield
    except StoryboardInvalid as error:
        mistakes = [{"place": each.place, "line": each.line, "message": each.message} for each in error.mistakes]
        say(USAGE, error.message, code=error.code, param=error.mistakes[0].place, mistakes=mistakes)
    except (CommandError, FrameRelayError) as error:
        say(FAILED, str(error), code=error.code, param=getattr(error, "param", None))
    except SettingInvalid as error:
        say(FAILED, str(error), code="setting_invalid")
    except click.UsageError as error:
        if not as_json:
            raise
        say(USAGE, error.format_message(), code="usage")
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _forget_output()
        sys.exit(FAILED)
    except OSError as error:
        _forget_output()
        say(FAILED, os_words(error), code="system")


def os_words(error: OSError) -> str:
    """What the operating system said, for a person."""
    place = f": {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{place}; nothing is lost, free some space and start again"
    return f"{(error.strerror or str(error)).lower()}{place}"


def folder_words(error: OSError) -> str:
    """Why a folder cannot be used, without its name."""
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "it is not a folder"
    return os_words(error).removesuffix(f": {error.filename}")


def _forget_output(stream: TextIO | None = None) -> None:
    """Output that could not be written is not retried at exit, where it would end in a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


def _say(exit_code: int, message: str, **_: object) -> NoReturn:
    with _ignore_lost_output():
        for line in message.splitlines() or [message]:
            click.echo(_fit_to_terminal(f"framerelay: {printable(translate(line))}"), err=True)
    sys.exit(exit_code)


@contextmanager
def _ignore_lost_output() -> Iterator[None]:
    """If nobody reads what went wrong, that does not change what went wrong."""
    try:
        yield
    except OSError:
        _forget_output(sys.stderr)


def _fit_to_terminal(line: str) -> str:
    """On a terminal it is broken between words, with continuation lines indented."""
    if not sys.stderr.isatty():
        return line
    return f"\n{HANGING}".join(wrap(line, shutil.get_terminal_size().columns - len(HANGING)))


def _say_json(exit_code: int, message: str, *, code: str, param: str | None = None, **more: object) -> NoReturn:
    error = {"code": code, "message": printable("; ".join(message.splitlines())), "param": param, **more}
    with _ignore_lost_output():
        echo_json(json.dumps({"error": error}, ensure_ascii=False), err=True)
    sys.exit(exit_code)

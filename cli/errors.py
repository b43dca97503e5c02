"""Foreseen errors as one sentence on standard error, with the exit code of the contract."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from config.settings import SettingInvalid
from runs.errors import FrameRelayError, StoryboardInvalid
from runs.words import printable

FAILED, USAGE = 1, 2
INTERRUPTED = 130  # As a shell reports a program that SIGINT ended.


class Stop(Exception):
    """The command cannot go on; the message is for a person."""


@contextmanager
def explained() -> Iterator[None]:
    """Turn what a person can mend into a sentence; anything else is a defect of ours and keeps its traceback."""
    try:
        yield
    except StoryboardInvalid as error:
        _say(error.message, USAGE)
    except (Stop, SettingInvalid, FrameRelayError) as error:
        _say(str(error), FAILED)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        _forget_output()
        sys.exit(FAILED)
    except OSError as error:
        _forget_output()
        _say(os_words(error), FAILED)


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


def _forget_output() -> None:
    """What could not be written is not tried again at exit, where it would end in a traceback."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(message: str, code: int) -> None:
    for line in message.splitlines() or [message]:
        click.echo(f"framerelay: {printable(line)}", err=True)
    sys.exit(code)

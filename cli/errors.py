"""Foreseen errors as one sentence on standard error, with the exit code of the contract."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from config.settings import SettingInvalid
from runs.errors import FrameRelayError, StoryboardInvalid

FAILED, USAGE = 1, 2


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
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        _say(_os_words(error), FAILED)


def _os_words(error: OSError) -> str:
    place = f": {error.filename}" if error.filename else ""
    if error.errno == errno.ENOSPC:
        return f"the disk is full{place}; nothing is lost, free some space and start again"
    return f"{(error.strerror or str(error)).lower()}{place}"


def _say(message: str, code: int) -> None:
    for line in message.splitlines() or [message]:
        click.echo(f"framerelay: {line}", err=True)
    sys.exit(code)

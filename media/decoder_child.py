"""
The decoder process: the one place where libav meets a stranger's bytes.

It reads requests from its standard input and writes answers to what was its standard output, one at a time, and ends
when its input does. It has no secrets in its environment, limits on memory and files, and dies with its owner.
"""

import os
import resource
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec

from media.wire import (
    Answer,
    Compare,
    Done,
    Examine,
    Failed,
    Join,
    Level,
    Ready,
    Request,
    SystemFailed,
    read_request,
    to_json,
)
from runs.errors import ClipUnusable, DecoderFailed, FrameRelayError, RequestInvalid

MEMORY_BYTES_MAX = 1_536 * 1024 * 1024
FILES_MAX = 64
PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer requests until there are no more."""
    die_with_owner()
    limit_resources()
    requests, answers = take_pipes()
    work = load()
    answers.write(to_json(Ready()) + b"\n")
    for line in requests:
        answers.write(to_json(reply(read_request(line), work)) + b"\n")


def die_with_owner() -> None:
    """
    Be killed when the owner is, even in the middle of a job.

    Elsewhere than on Linux the end of the input must do, which is noticed after the job.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, 9)


def limit_resources() -> None:
    """Less than a bomb wants, more than a clip needs (a 1080p job has 430 MB mapped at its peak)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES_MAX, FILES_MAX))
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes for ourselves: a library that prints must not be able to write into an answer."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, answers


def load() -> Callable[[Request], Any]:
    """Import libav and its users now, under the limits, so that no job waits for it; what does the work."""
    from media.film import join
    from media.frames import examine
    from media.images import difference

    def work(request: Request) -> Any:
        match request:
            case Examine():
                return examine(request.clip, frame_into=request.frame_into)
            case Compare():
                return Level(mean=difference(request.a, request.b))
            case Join():
                return join(request.parts, request.into)

    return work


def reply(request: Request, work: Callable[[Request], Any]) -> Answer:
    """Do what *request* asks for; every error becomes an answer."""
    try:
        return Done(result=msgspec.Raw(to_json(work(request))))
    except (ClipUnusable, RequestInvalid) as error:
        detail = error.reason if isinstance(error, ClipUnusable) else error.param
        return Failed(code=error.code, message=error.message, detail=detail)
    except FrameRelayError as error:
        return Failed(code=error.code, message=error.message)
    except OSError as error:
        return SystemFailed(number=error.errno or 0, message=error.strerror or str(error), path=error.filename)
    except Exception as error:
        return Failed(code=DecoderFailed.code, message=f"The decoder process met a surprise: {error!r}.")


if __name__ == "__main__":
    main()

"""
The decoder process: the one place where libav and Pillow touch a stranger's bytes.

It loads them once and then, for each job, forks a confined process (media/child/cage.py) that does the job and ends. So
a job starts warm, its limits are its own, and what a hostile file did to it ends with it. The next process is made
while there is nothing to do. Requests come from the standard input and answers go to the original standard output, one
at a time; it ends when its input does. It has no secrets in its environment, and dies with its owner.

On systems other than Linux a process that has loaded system libraries cannot be forked: there it does the jobs itself,
less confined.
"""

import gc
import os
import signal
from collections.abc import Callable
from typing import Any, BinaryIO

import msgspec

from framerelay.media.child import cage
from framerelay.media.child.growing import GrowingFile
from framerelay.media.wire import (
    Answer,
    Check,
    Compare,
    Done,
    Examine,
    Failed,
    Follow,
    FrameTaken,
    GaveWay,
    Has,
    Join,
    Level,
    Open,
    Ready,
    Request,
    Size,
    Stop,
    Stopped,
    SystemFailed,
    Wants,
    Word,
    read_request,
    to_json,
)
from framerelay.media.words import in_words
from framerelay.runs.errors import ClipUnusable, DecoderFailed, FrameRelayError, RequestInvalid

Work = Callable[[Request], Any]

NO_MORE = 3
"""How the process of a job ends when there is no job left."""

NICE = 10
"""For a job that nobody waits for: a submit on its way, or another clip, takes precedence."""


def main() -> None:
    """Answer requests until there are no more."""
    cage.die_with(os.getppid())
    cage.limit_resources()
    requests, answers = take_pipes()
    work, rehearse = load(), prepare()
    answers.write(to_json(Ready(holds=["open_files", *cage.try_out()])) + b"\n")

    def next_job() -> bool:
        rehearse()
        return do_job(requests, answers, work)

    if cage.IS_LINUX:
        gc.freeze()  # Whatever is loaded is shared by all jobs; collecting it would copy it.
        while (ending := run_in_fork(next_job)) in (0, -signal.SIGXCPU):
            if ending:
                answers.write(to_json(answer_for_death(ending)) + b"\n")
        # It may have died before there was a job: the owner starts us again, and nothing is mixed up.
        if ending != NO_MORE:
            answers.write(to_json(answer_for_death(ending)) + b"\n")
    else:
        while do_job(requests, answers, work):
            pass


def run_in_fork(job: Callable[[], bool]) -> int:
    """Do *job* in a fork and wait for it; returns how it ended: 0, NO_MORE, or minus the signal that killed it."""
    ourselves = os.getpid()
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    ending = 1
    try:
        cage.die_with(ourselves)
        ending = 0 if job() else NO_MORE
    finally:
        os._exit(ending)  # The owner's open files and the end of the program are not ours to clean up.


def do_job(requests: BinaryIO, answers: BinaryIO, work: Work) -> bool:
    """Answer one request; False if there is none, or if this process should not get another clip after this one."""
    while line := requests.readline():
        request = read_request(line)
        if not isinstance(request, Has | Stop):  # Otherwise it is about a clip with an answer by now.
            break
    else:
        return False
    if cage.IS_LINUX:
        confine(request)
    answer = reply(request, work_of_follow(request, requests, answers) if isinstance(request, Follow) else work)
    answers.write(to_json(answer) + b"\n")
    return cage.IS_LINUX or isinstance(answer, Done)


def confine(request: Request) -> None:
    """Set the limits that *request* needs; a film takes minutes and gigabytes, a frame neither."""
    match request:
        case Examine(clip=clip, frame_into=into) | Follow(clip=clip, frame_into=into):
            cage.confine(reading=[clip], writing=into.parent, cpu_s_max=300, file_bytes_max=128 * 1024 * 1024)
        case Open(clip=clip, frame_into=into, begun_with=begun_with):
            os.nice(NICE)
            reading = [clip, begun_with] if begun_with else [clip]
            cage.confine(reading=reading, writing=into.parent, cpu_s_max=60, file_bytes_max=128 * 1024 * 1024)
        case Compare(a=a, b=b):
            cage.confine(reading=[a, b], writing=None, cpu_s_max=60, file_bytes_max=0)
        case Check(picture=picture):
            cage.confine(reading=[picture], writing=None, cpu_s_max=60, file_bytes_max=0)
        case Join(parts=parts, into=into):
            clips = [part.path for part in parts]
            cage.confine(reading=clips, writing=into.parent, cpu_s_max=7200, file_bytes_max=16 * 1024 * 1024 * 1024)


def answer_for_death(ending: int) -> Failed:
    """The answer for a process that died before it gave one."""
    if ending == -signal.SIGXCPU:
        message = "the clip takes more computing than a clip may"
        return Failed(code=ClipUnusable.code, message=message, detail="not_allowed")
    how = signal.Signals(-ending).name if ending < 0 else f"exit code {ending}"
    return Failed(code=DecoderFailed.code, message=f"the decoder process died ({how})")


def take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep the two pipes for ourselves: a library that prints must not be able to write into an answer."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    return requests, answers


def load() -> Work:
    """Import libav and its users now, under the limits, so that no job waits for it; returns what does the work."""
    from framerelay.media.child.film import join
    from framerelay.media.child.frames import examine
    from framerelay.media.child.images import check, difference
    from framerelay.media.child.opening import take_opening

    def work(request: Request) -> Any:
        match request:
            case Examine():
                return examine(request.clip, frame_into=request.frame_into)
            case Open():
                return take_opening(
                    request.clip,
                    frame_into=request.frame_into,
                    begun_with=request.begun_with,
                    small=request.small,
                )
            case Compare():
                return Level(mean=difference(request.a, request.b))
            case Check():
                width, height = check(request.picture)
                return Size(width=width, height=height)
            case Join():
                return join(request.parts, request.into)

    return work


def work_of_follow(request: Follow, requests: BinaryIO, answers: BinaryIO) -> Work:
    """Does the work of *request*, during which messages go back and forth."""
    from framerelay.media.child.frames import examine_coming

    def say(answer: Answer) -> None:
        answers.write(to_json(answer) + b"\n")

    def listen() -> Word:
        word = read_request(requests.readline() or to_json(Stop()))  # Without an owner nothing arrives any more.
        if not isinstance(word, Has | Stop):
            raise DecoderFailed("the decoder process was given two jobs at once")
        return word

    def work(_: Request) -> Any:
        clip = GrowingFile(request.clip, request.size, listen=listen, want=lambda at: say(Wants(at=at)))
        try:
            return examine_coming(
                clip, frame_into=request.frame_into, announce=lambda frame: say(FrameTaken(frame=frame))
            )
        except ClipUnusable:
            if clip.is_over:
                raise GaveWay from None  # The clip is not to blame: it was not all there.
            raise

    return work


def prepare() -> Callable[[], None]:
    """What the process for a job does while it waits for one (see media/child/rehearsal.py)."""
    from framerelay.media.child.rehearsal import make_clip, rehearse

    clip = make_clip()
    return lambda: rehearse(clip)


def reply(request: Request, work: Work) -> Answer:
    """Do what *request* asks for; every error becomes an answer."""
    try:
        return Done(result=msgspec.Raw(to_json(work(request))))
    except (ClipUnusable, RequestInvalid) as error:
        detail = error.reason if isinstance(error, ClipUnusable) else error.param
        return Failed(code=error.code, message=error.message, detail=detail)
    except GaveWay:
        return Stopped()
    except FrameRelayError as error:
        return Failed(code=error.code, message=error.message)
    except OSError as error:
        return SystemFailed(number=error.errno or 0, message=error.strerror or str(error), path=error.filename)
    except Exception as error:
        message = f"the decoder process met a surprise: {type(error).__name__}, {in_words(error)}"
        return Failed(code=DecoderFailed.code, message=message)


if __name__ == "__main__":
    main()

"""The owner's end of the decoder process: keep one warm, give it one job at a time, replace it when it fails."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from framerelay.config.metrics import DECODE, JOIN
from framerelay.media.decoder_process import Child, end_starting, has_child, log_limits, start_child
from framerelay.media.follow import Follower
from framerelay.media.model import Examination, FilmFacts, FilmPart, Opening
from framerelay.media.wire import (
    Answer,
    Check,
    Compare,
    Done,
    Examine,
    Failed,
    Follow,
    GaveWay,
    Join,
    Level,
    Open,
    Request,
    Size,
    Stopped,
    SystemFailed,
    read_result,
)
from framerelay.runs.errors import ClipUnusable, DecoderFailed, RequestInvalid

T = TypeVar("T")


class Decoder:
    """
    A decoder process and the queue in front of it; ``async with Decoder() as decoder`` starts and ends it.

    Jobs run one after the other, since each uses all cores, and each is confined separately (media/child/main.py). A
    process whose job crashes, exceeds its time or answers nonsense, or that has done *jobs_max* jobs, is replaced by a
    fresh one, in the background. So is one whose caller was cancelled.
    Raises, from every method: DecoderFailed if the process died or took too long (another try may succeed),
    ClipUnusable for problems of the file, OSError if a file cannot be read or written.
    """

    def __init__(self, *, examine_s_max: float = 120.0, join_s_max: float = 1800.0, jobs_max: int = 200) -> None:
        self._examine_s_max = examine_s_max
        self._join_s_max = join_s_max
        self._jobs_max = jobs_max
        self._free = asyncio.Lock()
        self._follower: Follower | None = None
        self._starting: asyncio.Task[Child] | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._starting = asyncio.create_task(start_child())
        try:
            log_limits(await self._warm_child())
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stop()

    async def examine(self, clip: Path, *, frame_into: Path) -> Examination:
        """Measure *clip* and write its last frame to *frame_into* (see media.child.frames.examine)."""
        request = Examine(clip=clip, frame_into=frame_into)
        return await self._ask(request, Examination, self._examine_s_max)

    async def follow(self, request: Follow, follower: Follower) -> Examination | None:
        """
        Examine a clip while it downloads (see media.child.frames.examine_coming); None if there is, or arrives, other
        work.

        A slow download must not keep others waiting. The time of a job counts from when all of the clip is there.
        """
        if self._free.locked():
            return None
        try:
            return await self._ask(request, Examination, self._examine_s_max, follower)
        except (GaveWay, OSError):  # Any other reason than a file that already got its final name will come up again.
            return None

    async def difference(self, a: Path, b: Path) -> float | None:
        """How far two pictures differ, in levels; None if their sizes do (see media.child.images.difference)."""
        request = Compare(a=a, b=b)
        return (await self._ask(request, Level, self._examine_s_max)).mean

    async def check(self, picture: Path) -> tuple[int, int]:
        """Width and height of a picture that a person gave, if it is one (see media.child.images.check)."""
        size = await self._ask(Check(picture=picture), Size, self._examine_s_max)
        return size.width, size.height

    async def open(
        self, clip: Path, *, frame_into: Path, begun_with: Path | None, small: Sequence[tuple[Path, Path]] = ()
    ) -> Opening:
        """
        Write the first frame of *clip* to *frame_into* (see media.child.opening.take_opening).

        Nobody waits for it: a clip that is being followed takes precedence.
        """
        request = Open(clip=clip, frame_into=frame_into, begun_with=begun_with, small=list(small))
        return await self._ask(request, Opening, self._examine_s_max)

    @property
    def is_well(self) -> bool:
        """Whether there is a process that takes jobs, or one that is just being started."""
        return self._starting is not None and (not self._starting.done() or has_child(self._starting))

    @property
    def is_busy(self) -> bool:
        """Whether another job would have to wait."""
        return self._free.locked()

    async def join(self, parts: Sequence[FilmPart], into: Path) -> FilmFacts:
        """Join the clips of *parts* into one film (see media.child.film.join)."""
        with JOIN.time():
            return await self._ask(Join(parts=list(parts), into=into), FilmFacts, self._join_s_max)

    async def _ask(self, request: Request, kind: type[T], seconds_max: float, follower: Follower | None = None) -> T:
        """Give the job to the process when it is free; replace it unless it answered, if only that the clip is bad."""
        if self._follower and not isinstance(request, Open):
            self._follower.give_way()
        async with self._free:
            self._follower = follower
            child = await self._warm_child()
            try:
                began = time.perf_counter()
                async with asyncio.timeout(None if follower else seconds_max) as patience:
                    answer = await child.ask(request, follower, lambda: patience.reschedule(in_seconds(seconds_max)))
                result = unwrap(answer, kind)
                DECODE.observe(time.perf_counter() - began, type(request).__name__.lower())
            except TimeoutError:
                self._replace(child)
                raise DecoderFailed(f"the decoder process took longer than {seconds_max:g} s") from None
            except (ClipUnusable, RequestInvalid, OSError, GaveWay):
                raise
            except BaseException:
                self._replace(child)
                raise
            finally:
                self._follower = None
                if follower:
                    follower.detach()
            if child.jobs_done >= self._jobs_max:
                self._replace(child)
            return result

    async def _warm_child(self) -> Child:
        """A living process that has everything loaded; a cancelled wait leaves it to the next caller."""
        starting = self._current()
        if starting.done() and not has_child(starting):
            await end_starting(starting)
            starting = self._starting = asyncio.create_task(start_child())
        child = await asyncio.shield(starting)
        self._current()  # It may have been stopped in the meantime.
        return child

    def _current(self) -> asyncio.Task[Child]:
        """The task that starts, or started, the process."""
        if self._starting is None:
            raise DecoderFailed("the decoder was not started, or was stopped")
        return self._starting

    async def _stop(self) -> None:
        """End the process; a job that is running fails, and so do those that wait for it."""
        starting, self._starting = self._starting, None
        if starting is None:
            return
        if has_child(starting):
            starting.result().kill()
        async with self._free:
            await asyncio.gather(*self._ending)
            await end_starting(starting)

    def _replace(self, child: Child) -> None:
        """Kill *child*, and start its successor without waiting for either."""
        child.kill()
        ending = asyncio.create_task(child.close())
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        if self._starting:  # Otherwise the decoder was stopped in the meantime.
            self._starting = asyncio.create_task(start_child())


def in_seconds(seconds: float) -> float:
    """That time, by the clock of the event loop."""
    return asyncio.get_running_loop().time() + seconds


def unwrap(answer: Answer, kind: type[T]) -> T:
    """What the process answered, or its error as the same class that it had there."""
    match answer:
        case Done():
            try:
                return read_result(answer, kind)
            except msgspec.MsgspecError as error:
                raise DecoderFailed("the decoder process answered nonsense") from error
        case Failed(code=ClipUnusable.code, message=message, detail=reason):
            raise ClipUnusable(message, reason=reason or "corrupt")
        case Failed(code=RequestInvalid.code, message=message, detail=param):
            raise RequestInvalid(message, param=param)
        case Failed(message=message):
            raise DecoderFailed(message)
        case SystemFailed(number=number, message=message, path=path):
            raise OSError(number, message, path)
        case Stopped():
            raise GaveWay
        case _:
            raise DecoderFailed("the decoder process answered nonsense")

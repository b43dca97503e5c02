"""Where jobs are done: queued, run a few at a time, rendered off the event loop, reported after each change."""

import asyncio
import hashlib
import random
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import structlog
from msgspec import UNSET
from PIL import Image

from framerelay.sandbox.callback_sender import CallbackSender
from framerelay.sandbox.clip import FRAMES_PER_SECOND, ClipOrder, RenderingStopped, render_clip
from framerelay.sandbox.images import ImageRefused, fetch_image, fit, read_image
from framerelay.sandbox.job import Dialect, Job, JobRequest
from framerelay.sandbox.options import SandboxOptions
from framerelay.sandbox.sizes import clip_size, closest_ratio
from framerelay.sandbox.storage import Storage
from framerelay.upstream.wire import JobInput, JobState

log = structlog.get_logger()

JOBS_KEPT_MAX = 10_000


class Renderer:
    """The jobs of one sandbox. Made inside a running event loop; ``close`` ends everything that it started."""

    def __init__(self, options: SandboxOptions, storage: Storage, client: httpx.AsyncClient) -> None:
        self.jobs: dict[str, Job] = {}
        self._options = options
        self._storage = storage
        self._client = client
        self._callback_sender = CallbackSender(options, client)
        self._places = asyncio.Semaphore(options.concurrency)
        self._threads = ThreadPoolExecutor(options.concurrency, thread_name_prefix="sandbox-render")
        self._stop = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0

    @property
    def is_full(self) -> bool:
        """Whether as many jobs are queued or running as allowed."""
        return sum(not job.state.is_final for job in self.jobs.values()) >= self._options.jobs_max

    def accept(self, request: JobRequest, dialect: Dialect, *, base_url: str) -> Job:
        """Take a job on; it starts at once and its callbacks leave once ``job.answer_sent`` is set."""
        self._number += 1
        seed = request.input.seed
        job = Job(
            id=dialect.new_id(),
            number=self._number,
            dialect=dialect,
            request=request,
            base_url=base_url,
            request_id=f"req_{uuid4().hex[:20]}",
            error=request.error,
            seed=seed if seed is not UNSET and seed >= 0 else random.Random(self._number).getrandbits(32),  # noqa: S311
        )
        self._forget_oldest()
        self.jobs[job.id] = job
        log.info("sandbox_job_accepted", job_id=job.id, number=job.number)
        self._start(self._callback_sender.deliver(job))
        self._start(self._do(job))
        return job

    def cancel(self, job: Job) -> bool:
        """Cancel a job that is still queued; whether it was."""
        if job.state is not JobState.QUEUED:
            return False
        self._change(job, JobState.CANCELLED)
        return True

    def forget(self, job: Job) -> None:
        """Remove the record of a job that has ended."""
        self.jobs.pop(job.id, None)

    async def close(self) -> None:
        """Stop rendering and calling back, and wait until both have stopped."""
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _forget_oldest(self) -> None:
        if len(self.jobs) >= JOBS_KEPT_MAX:
            job_id = next((job.id for job in self.jobs.values() if job.state.is_final), None)
            if job_id is not None:
                del self.jobs[job_id]

    async def _do(self, job: Job) -> None:
        """One job from ``queued`` to its end."""
        self._callback_sender.post(job)
        await asyncio.sleep(self._options.queue_s)
        if self._options.faults.strikes("expire", job.number):
            await asyncio.sleep(self._options.job_s)
            self._change(job, JobState.EXPIRED)
            return
        async with self._places:
            if job.state.is_final:
                return
            self._change(job, JobState.RUNNING)
            start = time.monotonic()
            end = await self._make(job)
            await asyncio.sleep(max(0.0, self._options.job_s - (time.monotonic() - start)))
            self._change(job, end)

    async def _make(self, job: Job) -> JobState:
        """Render the clip; what goes wrong is written into ``job.error``."""
        if job.error is not None:
            return JobState.FAILED
        if self._options.faults.strikes("moderate", job.number):
            job.error = job.dialect.moderation
            return JobState.FAILED
        try:
            first = await self._picture(job, "first_frame", job.request.input.first_frame_url)
            last = await self._picture(job, "last_frame", job.request.input.last_frame_url)
            order = self._order(job, first, last)
            await asyncio.get_running_loop().run_in_executor(self._threads, self._render, job, order)
        except ImageRefused as refusal:
            job.error = (refusal.code, refusal.message)
        except RenderingStopped:
            job.error = ("InternalServiceError", "The sandbox is going down.")
        except Exception as error:
            log.exception("sandbox_render_failed", job_id=job.id)
            job.error = ("InternalServiceError", f"The clip could not be rendered ({type(error).__name__}).")
        return JobState.FAILED if job.error else JobState.SUCCEEDED

    async def _picture(self, job: Job, role: str, url: object) -> Image.Image | None:
        """The picture at *url*, kept as it came so that a test can compare it."""
        if not isinstance(url, str):
            return None
        content = self._find_upload(job, url) or await fetch_image(self._client, url)
        answer = await asyncio.to_thread(read_image, content, scale=self._options.scale)
        name = f"{job.id}-{role.replace('_', '-')}"
        await asyncio.to_thread(self._storage.keep, "inputs", name, content)
        job.pictures[role] = {
            "url": url if len(url) < 2000 else url[:80] + "…",
            "kept_url": f"{job.base_url}/sandbox/inputs/{name}",
            "sha256": hashlib.sha256(content).hexdigest(),
            "width": answer.picture.width,
            "height": answer.picture.height,
        }
        return answer.picture

    def _find_upload(self, job: Job, url: str) -> bytes | None:
        """A file of our own is read from disk: its URL may not be reachable from here, only for others."""
        prefix = f"{job.base_url}/files/"
        path = self._storage.find("uploads", url.removeprefix(prefix)) if url.startswith(prefix) else None
        return path.read_bytes() if path else None

    def _order(self, job: Job, first: Image.Image | None, last: Image.Image | None) -> ClipOrder:
        """What to render, and the facts of it into *job*."""
        job_input = job.request.input
        job.resolution = _text(job_input.resolution, "480p" if job_input.draft is True else "720p")
        ratio = _text(job_input.ratio, _text(job_input.aspect_ratio, "adaptive"))
        if ratio == "adaptive":
            ratio = closest_ratio(*first.size) if first else "16:9"
        job.ratio = ratio
        job.width, job.height = clip_size(job.resolution, ratio, scale=self._options.scale)
        job.frames = _frames(job_input, self._options.seconds_per_clip)
        return ClipOrder(
            number=job.number,
            width=job.width,
            height=job.height,
            frames=job.frames,
            seed=job.seed,
            prompt=job_input.prompt,
            first=fit(first, job.width, job.height) if first else None,
            last=fit(last, job.width, job.height) if last else None,
            sound=job_input.generate_audio is not False,
            still=job_input.camera_fixed is True,
            watermark=job_input.watermark is True,
            bframes=self._options.bframes,
        )

    def _render(self, job: Job, order: ClipOrder) -> None:
        into = self._storage.path("outputs", job.video_name)
        last = self._storage.path("outputs", job.last_frame_name) if job.wants_last_frame else None
        if into is not None:
            render_clip(order, into, last_frame_into=last, stop=self._stop)
            self._storage.prune()

    def _change(self, job: Job, state: JobState) -> None:
        job.state, job.updated, job.ended_at = state, int(time.time()), time.monotonic()
        reason = {"error": job.error[0]} if job.error else {}
        log.info("sandbox_job_changed", job_id=job.id, state=state.value, **reason)
        self._callback_sender.post(job)


def _frames(job_input: JobInput, seconds_per_clip: float | None) -> int:
    """``frames`` wins over ``duration``; a clip of n seconds has one frame more than n * 24."""
    if seconds_per_clip is not None:
        return round(seconds_per_clip * FRAMES_PER_SECOND) + 1
    if job_input.frames is not UNSET:
        return job_input.frames
    seconds = 5 if job_input.duration is UNSET or job_input.duration < 0 else job_input.duration
    return round(seconds * FRAMES_PER_SECOND) + 1


def _text(value: object, default: str) -> str:
    return value if isinstance(value, str) else default

"""
The port of a worker: ``/livez`` its event loop is running · ``/readyz`` it can do its work · ``/metrics``.

It answers in the worker's own event loop, so that a worker that hangs shows by not answering in time; and it says
whether the worker still looks for tasks. No key is required: it is for the internal network.
"""

from collections.abc import Callable, Iterator
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from framerelay.config.exposition import KIND, gauge, labels_text
from framerelay.config.metrics import of_this_process
from framerelay.processors.deps import Deps
from framerelay.processors.worker import RelayWorker
from framerelay.runs.errors import StorageFailed, StoreUnavailable
from framerelay.store.disk import Disk

STILL_S_MAX: Final = 30.0  # A worker looks for tasks every three seconds, and Redis has five to answer.


def health_app(worker: RelayWorker, deps: Deps, disk: Disk) -> Starlette:
    """What answers on the port of *worker*, which works with *deps* on that *disk*."""

    async def live(_: Request) -> Response:
        still_s = worker.still_s()
        if still_s <= STILL_S_MAX:
            return JSONResponse({"status": "ok"})
        return _trouble("stuck", f"the worker has not looked for tasks for {still_s:.0f} s: start it again")

    async def ready(_: Request) -> Response:
        reason = await _obstacle(deps, disk)
        return JSONResponse({"status": "ok"}) if reason is None else _trouble("not_ready", reason)

    async def metrics(_: Request) -> Response:
        lines = [*_of_worker(worker), *_of_store(deps), *of_this_process(disk_free_bytes=await disk.free_bytes())]
        return Response("\n".join(lines) + "\n", media_type=KIND)

    answers: dict[str, Callable[[Request], object]] = {"/livez": live, "/readyz": ready, "/metrics": metrics}
    return Starlette(routes=[Route(path, answer) for path, answer in answers.items()])


async def _obstacle(deps: Deps, disk: Disk) -> str | None:
    """Why it cannot work now, if it cannot."""
    try:
        await deps.inbox.check_writable()
        await disk.check_writable()
    except (StoreUnavailable, StorageFailed) as error:
        return error.message
    if not (deps.frames.is_well and deps.films.is_well):
        return "a decoder process cannot be started: see the log"
    return None


def _trouble(status: str, reason: str) -> Response:
    error = {"code": status, "message": reason, "param": None}
    return JSONResponse({"status": status, "error": error}, status_code=503, headers={"Retry-After": "2"})


def _of_store(deps: Deps) -> Iterator[str]:
    about = "What is on this disk alone and should be in object storage, as far as it was looked at."
    yield from gauge("store_unkept_bytes", about, {"": deps.media.unkept_bytes})


def _of_worker(worker: RelayWorker) -> Iterator[str]:
    light, heavy = worker.at_work()
    busy = {labels_text(("tasks",), (name,)): number for name, number in (("light", light), ("heavy", heavy))}
    yield from gauge("worker_places", "Tasks that this worker runs side by side at most.", {"": worker.max_jobs})
    yield from gauge("worker_places_busy", "Tasks that it runs now.", busy)
    yield from gauge("worker_still_seconds", "Since it last looked for tasks.", {"": round(worker.still_s(), 3)})

"""The installation on two pages: who makes clips, and whether everything that has to run is running."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from framerelay.config.logs import redact
from framerelay.config.marks import SECRET, marks_of
from framerelay.receiver.page.health import health_of
from framerelay.receiver.page.rendering import render_page
from framerelay.receiver.state import State, state_of
from framerelay.runs.errors import StoreUnavailable
from framerelay.runs.machine import NO_PLACE
from framerelay.runs.model import Run, Shot
from framerelay.runs.text import clause
from framerelay.store.figures import Figures, figures
from framerelay.store.places import Places
from framerelay.store.processes import Process, processes
from framerelay.store.redis_messages import redis_answers
from framerelay.upstream.profile_file import profile_names
from framerelay.upstream.providers import Provider
from framerelay.upstream.summary import is_old, summary_of

RUNS_LOOKED_AT: Final = 100
SCARCE_BYTES: Final = 2 << 30  # As in `doctor`: some hundred clips and their film.
FULL_BYTES: Final = 256 << 20
LATE_S: Final = 30.0  # A task that should have run this long ago has no worker, or too few.
# Must be the same wherever they run (`doctor` names each).
EVERYWHERE: Final = ("FRAMERELAY_UPSTREAM_URL", "FRAMERELAY_UPSTREAM_KEY", "FRAMERELAY_PUBLIC_URL", SECRET)


@dataclass(frozen=True, slots=True, kw_only=True)
class LastTrouble:
    """The last failure at a provider, as far as the newest runs show."""

    words: str
    run_id: str
    shot_id: str
    at: float


async def show_providers(request: Request) -> Response:
    """``GET /providers``: which have a key (never which key), what each can do, what it is doing, its last failure."""
    state = state_of(request)
    workers = [each for each in await _processes(state) if each.part == "worker"]
    names = list(dict.fromkeys((state.providers.default, *state.providers.entries)))
    every = list(dict.fromkeys((*names, *profile_names())))
    # Each shipped profile is read from its file, once.
    rows = await run_in_threadpool(lambda: [_row(state.providers.of(name), workers) for name in every])
    places = Places(state.watch_redis)
    busy, limits = await places.tally(), await places.limits(every)
    troubles = _troubles(await state.store.runs(limit=RUNS_LOOKED_AT), state)
    rows = [
        row
        | {"busy": busy.get(name, (0, 0)), "limit": limits[name], "trouble": troubles.get(name)}
        | {"default": name == state.providers.default}
        for name, row in zip(every, rows, strict=True)
    ]
    ours = [row for row in rows if row["keyed"] or row["name"] in names or row["trouble"]]
    others = [row for row in rows if row not in ours]
    return await render_page(request, "providers.html", ours=ours, others=others, workers=len(workers))


async def show_health(request: Request) -> Response:
    """``GET /health``: what /readyz, /metrics and the processes themselves report. It also answers without Redis."""
    state = state_of(request)
    readiness = await state.readiness.find_out()
    totals: Figures | None = None
    there: list[Process] = []
    health = None
    with suppress(StoreUnavailable):
        totals, there = await figures(state.watch_redis), await _processes(state)
        health = health_of(await state.inbox.recent(limit=RUNS_LOOKED_AT), await state.store.runs(limit=RUNS_LOOKED_AT))
    ours = marks_of(state.live.settings, state.live.keys.secret)
    free = await state.disk.free_bytes()
    return await render_page(
        request,
        "health.html",
        readiness=readiness,
        figures=totals,
        processes=[(each, _differing(each, ours)) for each in sorted(there, key=lambda each: (each.part, each.host))],
        workers=sum(each.part == "worker" for each in there),
        late=totals is not None and totals.tasks.late_s > LATE_S,
        late_s=LATE_S,
        health=health,
        spool=state.spool.report,
        free=free,
        room=_room(free),
        is_remote=state.media.is_remote,
        store=state.media.name if state.media.is_remote else None,
        version=version("framerelay"),
    )


def _room(free: int | None) -> str:
    """How the disk is marked; not at all if it does not answer."""
    if free is None or free >= SCARCE_BYTES:
        return ""
    return "bad" if free < FULL_BYTES else "warn"


async def _processes(state: State) -> list[Process]:
    with redis_answers():
        return await processes(state.watch_redis)


def _differing(process: Process, ours: dict[str, str]) -> list[str]:
    """Where *process* has a different value; another secret makes all marks differ, and is named alone."""
    differences = [name for name in EVERYWHERE if process.marks.get(name, ours.get(name)) != ours.get(name)]
    return [SECRET] if SECRET in differences else differences


def _row(provider: Provider, workers: Sequence[Process]) -> dict[str, Any]:
    """With who has its key; a worker that does not say is left out."""
    summary = summary_of(provider, is_default=False)
    key_workers = [each for each in workers if _has_key(each, provider)]
    return {
        **summary,
        "variables": list(provider.key_variables),
        "keyed": provider.key is not None or bool(key_workers),
        "keyed_workers": len(key_workers),
        "limit_given": provider.jobs_at_once is not None,
        "old": is_old(summary),
        "calls_back": provider.calls_back,
    }


def _has_key(worker: Process, provider: Provider) -> bool:
    return provider.name in (worker.keyed or ()) or not set(provider.key_variables).isdisjoint(worker.key_variables)


def _troubles(runs: Iterable[Run], state: State) -> dict[str, LastTrouble]:
    """By provider, the newest."""
    troubles: dict[str, LastTrouble] = {}
    for run, shot in ((each, shot) for each in runs for shot in each.story):
        name, trouble = run.provider_of(shot) or state.providers.default, _trouble(run, shot)
        if trouble and (name not in troubles or trouble.at > troubles[name].at):
            troubles[name] = trouble
    return troubles


def _trouble(run: Run, shot: Shot) -> LastTrouble | None:
    failures = [take for take in shot.takes if take.error]
    error = shot.held_by or (failures[-1].error if failures else None)
    if error is None or error.code == NO_PLACE:
        return None
    at = run.updated_at if shot.held_by or not failures else failures[-1].ended_at or run.updated_at
    return LastTrouble(words=clause(str(redact(error.message))), run_id=run.id, shot_id=shot.name, at=at)

"""The receiver as a Starlette application: its routes, and what it opens at startup."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from framerelay.api import openapi
from framerelay.api.access import Names
from framerelay.api.operations import OPERATIONS
from framerelay.config.keys import Keys
from framerelay.config.live import LiveSettings
from framerelay.config.settings import Settings
from framerelay.receiver import (
    addresses,
    amend_api,
    answers,
    beginning,
    health,
    media,
    metrics,
    notifications,
    plan,
    runs_api,
)
from framerelay.receiver.access import api_route, invite, log_in, log_out, protected_route
from framerelay.receiver.callbacks import receiving, release, replay
from framerelay.receiver.door.keys import KeyCheck
from framerelay.receiver.door.limits import STREAMS_MAX, Limits, Slots
from framerelay.receiver.door.quarantine import Quarantine
from framerelay.receiver.door.strangers import Strangers
from framerelay.receiver.door.verification import Verification
from framerelay.receiver.headers import SecurityHeaders
from framerelay.receiver.page import (
    callback_pages,
    installation,
    listing,
    new,
    notification_pages,
    static_files,
    storyboard,
    views,
)
from framerelay.receiver.page.language import LANGUAGE_NAMES, choose_language
from framerelay.receiver.page.picks import UNDO_NAMES
from framerelay.receiver.page.rendering import page, refused_page
from framerelay.receiver.readers import ReaderLanguage
from framerelay.receiver.readiness import Readiness
from framerelay.receiver.renewal import secrets_to_hide, take_over
from framerelay.receiver.state import STATE, State
from framerelay.runs.errors import FrameRelayError
from framerelay.runs.tokens import Links, Tokens
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.copies import Copies
from framerelay.store.disk import Disk
from framerelay.store.inbox import Inbox
from framerelay.store.media_places import media_store_of
from framerelay.store.outbox import Outbox
from framerelay.store.processes import Presence, this_process
from framerelay.store.runs import Store
from framerelay.store.scratch import keep_scratch
from framerelay.store.spool import Spool
from framerelay.upstream.providers import Providers

ErrorHandler = Callable[[Request, Exception], Awaitable[Response]]


def create_app(
    settings: Settings,
    keys: Keys,
    *,
    redis_url: str,
    verification: Verification | None = None,
    providers: Providers | None = None,
    live: LiveSettings | None = None,
) -> Starlette:
    """
    The receiver; it connects to the Redis at *redis_url* when it starts and knows no other process.

    *verification*: what callbacks must prove beyond their token; None: nothing. *providers*: those whose profiles are
    used to read callbacks; None: only that of the settings. *live*: where keys are read again from.
    """
    providers = providers or Providers(default=settings.provider, entries={})
    verification, live = verification or Verification(), live or LiveSettings(settings, keys)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, State]]:
        async with AsyncExitStack() as stack:
            callers = _Callers(verification=verification, providers=providers)
            state = await _open(stack, settings, keys, redis_url=redis_url, callers=callers, live=live)
            app.state.receiver = state
            yield {STATE: state}

    handlers: dict[type[Exception] | int, ErrorHandler] = {
        FrameRelayError: answers.answer_known_error,
        HTTPException: refused_page,
        500: answers.answer_unknown_error,
    }
    https = (settings.public_url or "").startswith("https://")
    middleware = [Middleware(addresses.OneSpelling), Middleware(SecurityHeaders, https=https)]
    middleware.append(Middleware(ReaderLanguage, setting=settings.lang))
    app = Starlette(routes=[*routes(), *pages()], lifespan=lifespan, exception_handlers=handlers, middleware=middleware)
    app.router.redirect_slashes = False  # A redirect would repeat a callback's token, and senders do not follow it.
    return app


@dataclass(frozen=True, slots=True, kw_only=True)
class _Callers:
    """Who calls back: what they must prove, and by which profile they are read."""

    verification: Verification
    providers: Providers


async def _open(
    stack: AsyncExitStack,
    settings: Settings,
    keys: Keys,
    *,
    redis_url: str,
    callers: "_Callers",
    live: LiveSettings,
) -> State:
    """Everything that the routes work with, and what runs in the background; *stack* ends it in reverse order."""
    redis, watch_redis = _connect(stack, redis_url, timeout_s=2.0), _connect(stack, redis_url, timeout_s=2.0)
    # Each stream holds a connection while it waits; streams have their own, so that nobody else waits for one.
    stream_redis = _connect(stack, redis_url, connections_max=2 * STREAMS_MAX)
    secret = str(keys.secret)
    copies = Copies.of(settings, redis)
    inbox = Inbox(redis, keep_s=settings.callbacks_keep_s, copies=copies)
    spool = Spool(settings.data_dir / "spool")
    stack.callback(spool.close)
    disk = Disk(settings.data_dir)
    stack.callback(disk.close)
    media = media_store_of(settings)
    state = State(
        settings=settings,
        live=live,
        key_check=KeyCheck(keys, settings),
        secrets=secrets_to_hide(settings, keys, callers.verification.verifiers),
        store=Store(redis, notices_keep_s=settings.callbacks_keep_s, copies=copies),
        history=Store(stream_redis),
        streams=Slots(STREAMS_MAX),
        inbox=inbox,
        outbox=Outbox(redis),
        spool=spool,
        readiness=Readiness(inbox, spool),
        strangers=Strangers(inbox),
        limits=Limits(settings),
        verification=callers.verification,
        providers=callers.providers,
        quarantine=Quarantine(inbox),
        files=media.files,
        media=media,
        tokens=Tokens(secret),
        links=Links(secret),
        watch_redis=watch_redis,
        counts=Counter(),
        disk=disk,
    )
    live.on_change(partial(take_over, state))
    presence = Presence(
        watch_redis, lambda: this_process("receiver", live.settings, keys.secret), on_request=live.read_again
    )
    tidying = keep_scratch(media, state.store, bytes_max=settings.scratch_bytes_max)
    beside = [asyncio.create_task(work) for work in (spool.drain_for_ever(inbox), presence.keep(), tidying)]
    stack.push_async_callback(_cancel_all, beside)
    return state


def _connect(stack: AsyncExitStack, redis_url: str, **options: Any) -> RelayRedis:
    redis = connect(redis_url, **options)
    stack.push_async_callback(disconnect, redis)
    return redis


async def _cancel_all(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def routes() -> list[Route]:
    """Every address of the API: those listed in ``/openapi.json``."""
    run_id, shot_id = "/v1/runs/{run}", "/v1/runs/{run}/shots/{shot}"
    return [
        Route("/webhook/{token:path}", receiving.CallbackEndpoint(), methods=["POST"]),
        Route("/webhook/{token:path}", addresses.look),
        protected_route("/v1/runs", runs_api.start, methods=["POST"]),
        protected_route("/v1/runs", runs_api.list_runs),
        protected_route("/v1/plan", plan.plan, methods=["POST"]),
        protected_route(run_id, runs_api.read),
        protected_route(run_id, runs_api.remove, methods=["DELETE"]),
        protected_route(f"{run_id}/events", runs_api.watch),
        protected_route(f"{run_id}/cancel", runs_api.cancel, methods=["POST"]),
        protected_route(f"{run_id}/resume", runs_api.resume, methods=["POST"]),
        protected_route(f"{run_id}/storyboard", amend_api.storyboard),
        protected_route(f"{run_id}/amend", amend_api.amend, methods=["POST"]),
        protected_route(f"{run_id}/promote", beginning.promote, methods=["POST"]),
        protected_route(f"{shot_id}/retake", runs_api.retake, methods=["POST"]),
        protected_route("/v1/jobs/adopt", runs_api.adopt, methods=["POST"]),
        protected_route(f"{shot_id}/approve", runs_api.approve, methods=["POST"]),
        protected_route(f"{shot_id}/pick", runs_api.pick, methods=["POST"]),
        protected_route("/v1/callbacks", runs_api.callbacks),
        protected_route("/v1/callbacks/{callback}/replay", replay.replay, methods=["POST"]),
        protected_route("/v1/callbacks/release", release.release_all, methods=["POST"]),
        protected_route("/v1/callbacks/{callback}/release", release.release, methods=["POST"]),
        protected_route("/v1/notifications", notifications.list_notifications),
        protected_route("/v1/notifications/{notification}/replay", notifications.replay_notification, methods=["POST"]),
        protected_route("/v1/files", runs_api.give_file, methods=["POST"]),
        protected_route("/v1/invitations", invite, methods=["POST"]),
        Route("/media/{path:path}", media.serve),  # A key, a session, or a signed link.
        protected_route("/openapi.json", openapi.serve),
        protected_route("/metrics", metrics.serve),
        page("/login", log_in, methods=["POST"], open_to_all=True, names=OPERATIONS["POST /login"].names),
        page("/logout", log_out, methods=["POST"], open_to_all=True, names=OPERATIONS["POST /logout"].names),
        api_route("/livez", health.live),
        api_route("/readyz", health.ready),
    ]


def pages() -> list[Route]:
    """What a person sees."""
    board_form = Names(fields=new.FIELDS, as_form=True, bytes_max=new.FORM_BYTES_MAX)
    no_fields = Names(fields=(), as_form=True)
    run_id, undo = "/runs/{run}", Names(query=UNDO_NAMES)
    return [
        page("/", listing.list_runs, names=Names(query=("status", "after", "label", "q", "needs", "sort"))),
        page("/new", new.show_new, names=Names(query=("from",))),
        page("/new", new.start_new, methods=["POST"], names=board_form),
        page("/new/plan", new.show_plan, methods=["POST"], names=board_form),
        page(run_id, views.show_run, names=undo),
        page(f"{run_id}/strip", views.show_strip, names=undo),
        page(f"{run_id}/act", views.act, methods=["POST"], names=Names(fields=views.FIELDS, as_form=True)),
        page(f"{run_id}/remove", listing.remove_run, methods=["POST"], names=Names(fields=("revision",), as_form=True)),
        page(f"{run_id}/shots/{{shot}}", views.show_shot),
        page(f"{run_id}/storyboard", storyboard.show_storyboard),
        page(f"{run_id}/storyboard", storyboard.change_storyboard, methods=["POST"]),
        page("/callbacks", callback_pages.show_callbacks, names=Names(query=("outcome", "run", "hours", "after"))),
        page("/callbacks/release", callback_pages.release_callbacks, methods=["POST"], names=no_fields),
        page("/callbacks/{callback}", callback_pages.show_callback),
        page(
            "/callbacks/{callback}/act",
            callback_pages.act_on_callback,
            methods=["POST"],
            names=Names(fields=("action",), as_form=True),
        ),
        page("/notifications", notification_pages.show_notifications, names=Names(query=("run", "state", "after"))),
        page("/notifications/{notification}/replay", notification_pages.redeliver, methods=["POST"], names=no_fields),
        page("/providers", installation.show_providers),
        page("/health", installation.show_health),
        page("/language", choose_language, methods=["POST"], open_to_all=True, names=LANGUAGE_NAMES),
        page("/login", views.log_in_form, open_to_all=True, names=Names(query=("once", "next"))),
        Route("/static/{file:path}", static_files.serve),
    ]

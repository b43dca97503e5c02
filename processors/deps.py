"""What a task works with: built once when a worker starts, and by tests with other addresses."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import httpx

from framerelay.config.keys import Keys
from framerelay.config.settings import Settings, environment
from framerelay.media.decoder import Decoder
from framerelay.media.download import DownloadLimits
from framerelay.network.client import guarded_client
from framerelay.network.signing import signing_secrets
from framerelay.network.tls import tls_of
from framerelay.processors.clients import Clients
from framerelay.processors.keeping import Keeping
from framerelay.processors.look_up_gate import LookUpGate
from framerelay.processors.notify import ANSWER_S, CONNECT_S, HANDS, NotificationSender
from framerelay.runs.tokens import Links, Tokens
from framerelay.store.client import RelayRedis
from framerelay.store.copies import Copies
from framerelay.store.files import MediaFiles
from framerelay.store.frame_times import FrameTimes
from framerelay.store.inbox import Inbox
from framerelay.store.look_ups import LookUps
from framerelay.store.media_places import media_store_of
from framerelay.store.media_store import MediaStore
from framerelay.store.outbox import Outbox
from framerelay.store.pace import Pace
from framerelay.store.processes import has_other_workers
from framerelay.store.runs import Store
from framerelay.storyboards.hooks import Hook
from framerelay.upstream.providers import read_providers


async def _has_none() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deps:
    """
    ``files`` is the layout of this machine's folder, ``media`` where they are kept.

    ``frames`` and ``films`` are two decoder processes, so that a long film never delays the next shot's first frame.
    ``has_another_key`` reads the keys again, and says whether ``clients`` now has outdated ones. ``has_company``:
    whether another worker runs, which may see other files.
    """

    settings: Settings
    store: Store
    files: MediaFiles
    media: MediaStore
    tokens: Tokens
    links: Links
    clients: Clients
    downloads: httpx.AsyncClient
    limits: DownloadLimits
    inbox: Inbox
    pace: Pace
    look_up_gate: LookUpGate
    frames: Decoder
    films: Decoder
    hooks: Mapping[str, Hook]
    sender: NotificationSender
    frame_times: FrameTimes
    keeping: Keeping
    has_another_key: Callable[[], Awaitable[bool]] = _has_none
    has_company: Callable[[], Awaitable[bool]] = _has_none


@asynccontextmanager
async def open_deps(
    settings: Settings, keys: Keys, redis: RelayRedis, *, clients: Clients, hooks: Mapping[str, Hook]
) -> AsyncIterator[Deps]:
    """Everything that tasks need, closed again at the end; *redis* and *clients* still belong to the caller."""
    secret = str(keys.secret)
    async with AsyncExitStack() as stack:
        # A separate client: receivers that hang must not block the connections over which clips arrive.
        notify_client = await stack.enter_async_context(
            guarded_client(
                settings.trusted_hosts,
                connect_timeout_s=CONNECT_S,
                read_timeout_s=ANSWER_S,
                connections_max=HANDS,
                ssl_context=tls_of(settings),
            )
        )
        copies = Copies.of(settings, redis)
        store = Store(redis, notices_keep_s=settings.callbacks_keep_s, copies=copies)
        media, keeping = media_store_of(settings), Keeping()
        stack.push_async_callback(keeping.aclose)
        yield Deps(
            settings=settings,
            store=store,
            files=media.files,
            media=media,
            tokens=Tokens(secret),
            links=Links(secret),
            clients=clients,
            downloads=await stack.enter_async_context(
                guarded_client(settings.trusted_hosts, ssl_context=tls_of(settings))
            ),
            inbox=Inbox(redis, keep_s=settings.callbacks_keep_s, copies=copies),
            pace=Pace(redis),
            look_up_gate=LookUpGate(settings.lookups_max, LookUps(redis)),
            limits=DownloadLimits(size_bytes_max=settings.clip_bytes_max, total_s=settings.download_timeout_s),
            frames=await stack.enter_async_context(Decoder()),
            films=await stack.enter_async_context(Decoder()),
            hooks=hooks,
            keeping=keeping,
            frame_times=FrameTimes(redis),
            has_company=partial(has_other_workers, redis),
            sender=NotificationSender(
                Outbox(redis),
                store,
                notify_client,
                secrets=signing_secrets(settings, keys.secret),
                base_url=settings.reachable_url,
            ),
        )


def open_clients(settings: Settings) -> Clients:
    """
    The providers of the settings and of the settings file, as they are now.

    Raises: RequestInvalid if the address or key of the default provider is missing or unusable; NotFound if
    FRAMERELAY_PROVIDER names no provider; StoryboardInvalid with every mistake in the file.
    """
    return Clients(read_providers(settings, environment()), settings)

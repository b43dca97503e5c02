"""At the start of a process: its files are in the same place as the others', and links live as long as they should."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from framerelay.cli.errors import CommandError
from framerelay.config.env_file import SettingInvalid
from framerelay.config.settings import Settings
from framerelay.runs.errors import StorageFailed
from framerelay.store.bucket_store import LINK_S_MAX
from framerelay.store.client import connect, disconnect
from framerelay.store.media_places import media_store_of
from framerelay.store.media_store import MediaStore
from framerelay.store.one_place import PlaceDiffers, agree
from framerelay.store.redis_messages import REDIS_ERRORS, redis_words

AGAIN_S: Final = 5.0
AT_START_S: Final = 10.0  # Callbacks must not wait for storage that is down.
DIFFERS: Final = (
    "give all machines one folder (FRAMERELAY_DATA_DIR) or one bucket (FRAMERELAY_STORE); if this one is the right "
    "one from now on, docs/storage.md says how"
)

log = structlog.get_logger()


@asynccontextmanager
async def one_place(settings: Settings, redis_url: str) -> AsyncIterator[asyncio.Task[None]]:
    """
    For as long as the block lasts: a task that ends only if files turn out to be in a different place from the others'.

    Storage that is down at the start is asked again and again in the meantime. Raises, as the task does: CommandError
    in words; SettingInvalid for links that should live longer than the storage signs any.
    """
    check_links(settings)
    media = media_store_of(settings)
    is_settled = await _is_agreed(media, redis_url, within_s=AT_START_S)
    if is_settled:
        await _note_short_links(media, settings)
    watching = asyncio.create_task(_agree_later(media, redis_url, is_settled=is_settled))
    try:
        yield watching
    finally:
        watching.cancel()
        await asyncio.wait([watching])


def check_links(settings: Settings) -> None:
    """Raises: SettingInvalid if links to frames would have to live longer than object storage signs them."""
    if settings.store and settings.media == "redirect" and settings.link_life_s > LINK_S_MAX:
        raise SettingInvalid(
            f"FRAMERELAY_LINK_LIFE_S = {settings.link_life_s:g}: object storage signs links for {LINK_S_MAX:,.0f} "
            "seconds at most: set it lower, or FRAMERELAY_MEDIA=proxy"
        )


async def _is_agreed(media: MediaStore, redis_url: str, *, within_s: float) -> bool:
    """False if the storage, or Redis, does not say now. Raises: CommandError."""
    redis = connect(redis_url)
    try:
        async with asyncio.timeout(within_s):
            await agree(redis, media)
    except PlaceDiffers as error:
        raise CommandError(f"{error.message}: {DIFFERS}") from error
    except (StorageFailed, TimeoutError) as error:
        log.warning("storage_away", reason=str(error) or "it does not answer", again_s=AGAIN_S)
        return False
    except REDIS_ERRORS as error:
        log.warning("storage_away", reason=redis_words(error), again_s=AGAIN_S)
        return False
    finally:
        await disconnect(redis)
    return True


async def _agree_later(media: MediaStore, redis_url: str, *, is_settled: bool) -> None:
    while not is_settled:
        await asyncio.sleep(AGAIN_S)
        is_settled = await _is_agreed(media, redis_url, within_s=6 * AT_START_S)
    await asyncio.Event().wait()


async def _note_short_links(media: MediaStore, settings: Settings) -> None:
    """Links signed with a role's credentials end with those: then the provider is given one to the receiver."""
    try:
        lives = await media.signs_for(settings.link_life_s)
    except StorageFailed:
        return
    if not lives:
        log.warning("storage_links_short", reason="links end with the credentials of the role that signs them")

"""
`restore`: a backup, into an empty place; what was submitted since is held, as after `up --after-restore`.

Redis is closed first, so that nothing starts on half of it, and opened last: if anything is interrupted in between, the
same command continues it.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.datastructures import Secret

from framerelay.cli.backup import REDIS_S, process_words
from framerelay.cli.backup_storage import Search, place_id_of, print_search, search
from framerelay.cli.errors import CommandError
from framerelay.cli.output import echo
from framerelay.cli.runs import can_ask, confirms, print_json
from framerelay.cli.serve import redis_at
from framerelay.cli.settings import settings_of_command
from framerelay.config.logs import configure_logging
from framerelay.config.marks import SECRET, marks_of
from framerelay.config.settings import Settings
from framerelay.config.text import read_text, trim
from framerelay.processors.restoration import mark_restored
from framerelay.runs.text import number_of
from framerelay.store import schema
from framerelay.store.addresses import redact_url
from framerelay.store.backup_folder import (
    BackupFolder,
    BackupManifest,
    BackupUnusable,
    destination,
    put_back,
    room_for,
    sources,
)
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.closed import CLOSED, ClosedReason, Closing, RedisClosed, close, closing_of, reopen
from framerelay.store.embedded import is_in_use
from framerelay.store.ledger_file import LedgerEntry, entries_in
from framerelay.store.ledger_load import clear, is_blank, load_ledger, runs_in
from framerelay.store.media_places import media_store_of
from framerelay.store.processes import processes
from framerelay.store.redis_messages import redis_answers
from framerelay.store.run_files import only_copies
from framerelay.store.runs import Store

SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class _Backup:
    """A backup that was read and found correct."""

    folder: BackupFolder
    manifest: BackupManifest

    def entries(self) -> Iterator[LedgerEntry]:
        """Raises: as `store.ledger_file.entries_in`."""
        return entries_in(self.folder.root / self.manifest.ledger.path)

    def only_copies(self) -> Iterator[str]:
        """The files that its runs need."""
        for run in runs_in(self.entries(), prefix=self.manifest.prefix):
            yield from only_copies(run)

    @property
    def words(self) -> str:
        made_at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.manifest.made_at))
        return f"the backup of {made_at}, {number_of('run', self.manifest.runs)}"


def restore(source: Path, *, yes: bool, as_json: bool) -> int:
    """Restore the backup in *source*; returns the exit code. Raises: what `cli.errors` explains."""
    settings = settings_of_command()
    configure_logging(settings, program="restore")
    backup = _verify(source, settings)
    if settings.redis_url is not None and is_in_use(settings.data_dir / "redis"):
        raise CommandError(f"something still runs on FrameRelay's own Redis in {settings.data_dir}: end it first")
    if can_ask(yes, as_json) and not confirms(f"{backup.words}, is restored into {_where(settings)}"):
        return 1
    answer = asyncio.run(_restore(settings, backup))
    if as_json:
        print_json(answer)
    else:
        _print(answer, backup)
    return 0


def _where(settings: Settings) -> str:
    return " · ".join([str(settings.data_dir), *([redact_url(settings.redis_url)] if settings.redis_url else [])])


def _verify(source: Path, settings: Settings) -> _Backup:
    """Anything wrong with it is found before anything is touched. Raises: BackupUnusable; SchemaTooNew."""
    folder = BackupFolder(source)
    manifest = folder.manifest()
    if manifest is None:
        raise BackupUnusable(f"there is no backup in {source}")
    schema.check_readable(manifest.readable_from, manifest.version)
    if wrong := folder.wrong_files(manifest):
        more = f", … {len(wrong)} in all" if len(wrong) > SHOWN else ""
        raise BackupUnusable(
            f"of the backup {', '.join(wrong[:SHOWN])}{more} is gone or not what it was; nothing was touched. Use "
            "another backup, or another copy of this one"
        )
    _check_secret(folder, manifest, settings)
    if missing := room_for(manifest.files, settings.data_dir):
        raise BackupUnusable(f"the disk of {settings.data_dir} lacks {missing / 1e6:,.0f} MB for the backup")
    return _Backup(folder=folder, manifest=manifest)


def _check_secret(folder: BackupFolder, manifest: BackupManifest, settings: Settings) -> None:
    """With another one the callbacks of all jobs under way would be refused. Raises: BackupUnusable."""
    places = [folder.root / "keys" / "secret", settings.data_dir / "secret"]
    texts = [trim(read_text(place)) for place in places if place.is_file()]
    secret = settings.secret or (Secret(texts[0]) if texts else None)
    if secret is None:
        raise BackupUnusable(
            "the backup has no secret, since that was set elsewhere: set FRAMERELAY_SECRET to the one that signed the "
            "addresses of its jobs"
        )
    if marks_of(settings, secret)[SECRET] != manifest.secret:
        raise BackupUnusable(
            "FRAMERELAY_SECRET is not that of the backup, so callbacks of its jobs would be refused: set the one that "
            "it was taken with" + (", or unset it: the backup has it" if texts[:1] and places[0].is_file() else "")
        )


async def _restore(settings: Settings, backup: _Backup) -> dict[str, Any]:
    async with redis_at(settings) as url:
        redis = connect(url, timeout_s=REDIS_S)
        try:
            closing = await _close(redis, settings, backup)
            is_first = backup.manifest.moved and backup.folder.claim(backup.manifest, closing.restore)
            copies = await asyncio.to_thread(_put_files, backup, settings.data_dir)
            await clear(redis, but=CLOSED)
            keys = await load_ledger(redis, backup.entries(), prefix=backup.manifest.prefix)
            await schema.enter(redis)
            holds = 0 if is_first else await mark_restored(Store(redis))
            await reopen(redis)
        finally:
            await disconnect(redis)
    result = await search(media_store_of(settings), backup.only_copies()) if settings.store else Search(missing=[])
    manifest = backup.manifest
    return {
        "object": "restoration",
        "backup": manifest.id,
        "made_at": manifest.made_at,
        "folder": str(settings.data_dir),
        "redis": redact_url(settings.redis_url) if settings.redis_url else None,
        "runs": manifest.runs,
        "held_runs": holds,
        "keys": keys,
        "files": len(manifest.files),
        "copied_files": copies,
        "media": manifest.media,
        "store": settings.store,
        "missing": result.missing,
        "missing_unknown": result.reason,
    }


async def _close(redis: RelayRedis, settings: Settings, backup: _Backup) -> Closing:
    """Nothing is running or stored there, or only a part of this very backup. Raises: CommandError; RedisClosed."""
    with redis_answers():
        running = await processes(redis)
    if running:
        raise CommandError(
            f"{process_words(running)}: end that first (one that was killed is forgotten within 15 seconds)"
        )
    closing = await closing_of(redis)
    if closing and closing.reason is ClosedReason.RESTORE and closing.backup == backup.manifest.id:
        return closing
    if closing:
        raise RedisClosed(closing)
    if not await is_blank(redis):
        raise CommandError(_why_occupied(settings))
    await _check_files(settings, backup)
    closing = Closing(
        reason=ClosedReason.RESTORE, backup=backup.manifest.id, at=time.time(), restore=secrets.token_hex(8)
    )
    if not await close(redis, closing):
        raise CommandError("another restore was begun at the same moment: let it end")
    return closing


def _why_occupied(settings: Settings) -> str:
    if settings.redis_url:
        return (
            f"{redact_url(settings.redis_url)} has runs or callbacks, and a backup is restored into an empty Redis "
            "only: give another database (…/1), or empty this one yourself"
        )
    return (
        f"{settings.data_dir} has runs or callbacks, and a backup is restored into an empty place only: move "
        f"{settings.data_dir / 'redis'} away, or set another FRAMERELAY_DATA_DIR"
    )


async def _check_files(settings: Settings, backup: _Backup) -> None:
    """Files of another installation must not mix with these; those of the same one may still be there."""
    media = media_store_of(settings)
    own, place = await place_id_of(media), backup.manifest.place
    if own is None and place is not None and settings.store != backup.manifest.store:
        raise CommandError(_elsewhere(media.name, backup.manifest))
    if own is None or own == place:
        return
    number = await asyncio.to_thread(lambda: len(list(sources(settings.data_dir, media=True))))
    bare = await asyncio.to_thread(lambda: len(list(sources(settings.data_dir, media=False))))
    if media.is_remote or number > bare:
        raise CommandError(
            f"{media.name} has files of another installation: set another FRAMERELAY_DATA_DIR or FRAMERELAY_STORE, or "
            "move them away"
        )


def _elsewhere(name: str, manifest: BackupManifest) -> str:
    if manifest.store:
        return (
            f"the files of this backup are in {manifest.store}, and {name} has none of them: copy everything there "
            "first, place-id as well, or set FRAMERELAY_STORE to that"
        )
    return (
        f"{name} has none of the files of this backup: copy its folder media there first, place-id as well, or unset "
        "FRAMERELAY_STORE"
    )


def _put_files(backup: _Backup, data_dir: Path) -> int:
    """All of them, the keys first; how many were missing there."""
    copies = 0
    for file in sorted(backup.manifest.files, key=lambda file: not file.path.startswith("keys/")):
        place = destination(file.path, data_dir)
        copies += put_back(backup.folder.root / file.path, file, place)
    return copies


def _print(answer: dict[str, Any], backup: _Backup) -> None:
    where = " · ".join(place for place in (answer["folder"], answer["redis"]) if place)
    echo(f"{backup.words}, is restored into {where}; files copied: {answer['copied_files']}")
    if answer["store"]:
        echo(f"clips, frames and films are those in {answer['store']}")
        print_search(answer)
    elif not answer["media"]:
        echo("clips, frames and films were not in it: put them back before you start")
    if answer["held_runs"]:
        runs = number_of("run", answer["held_runs"])
        echo(f"{runs} not over: what may have been submitted since the backup is asked about, or held, not sent")
    echo("next: framerelay up (or receiver and worker), without --after-restore")

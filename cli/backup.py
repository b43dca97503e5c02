"""`backup`: Redis first, then the files, so that every file that it names is in the copy; while everything runs."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from framerelay.cli.backup_storage import Search, names_in_words, print_search, search
from framerelay.cli.errors import CommandError
from framerelay.cli.output import echo
from framerelay.cli.runs import print_json
from framerelay.cli.serve import redis_at
from framerelay.cli.settings import settings_of_command
from framerelay.config.keys import find_secret
from framerelay.config.logs import configure_logging
from framerelay.config.marks import SECRET, marks_of
from framerelay.config.settings import Settings
from framerelay.runs.model import Run
from framerelay.runs.text import join_names, number_of, printable
from framerelay.store.backup_folder import (
    FORMAT,
    BackupFolder,
    BackupManifest,
    BackupUnusable,
    CopiedFile,
    sources,
    spool_files,
)
from framerelay.store.client import RelayRedis, connect, disconnect
from framerelay.store.closed import ClosedReason, Closing, RedisClosed, close, closing_of, reopen
from framerelay.store.keys import PREFIX
from framerelay.store.ledger import LedgerCounts, copy_ledger
from framerelay.store.ledger_file import LedgerWriter
from framerelay.store.media_places import media_store_of
from framerelay.store.one_place import place_of_all
from framerelay.store.processes import processes
from framerelay.store.redis_messages import redis_answers
from framerelay.store.run_files import only_copies
from framerelay.store.schema import READABLE_FROM, written_by

REDIS_S: Final = 60.0  # For one page of keys; nobody waits for it except this command.


def backup(to: Path, *, media: bool, move: bool, as_json: bool) -> int:
    """Write a backup into the folder *to*; returns the exit code. Raises: what `cli.errors` explains."""
    settings = settings_of_command()
    configure_logging(settings, program="backup")
    mark = _secret_mark(settings)
    if to.resolve().is_relative_to(settings.data_dir.resolve()):
        raise CommandError(f"{to} is in the data folder itself: choose another one, on another disk", param="to")
    answer = asyncio.run(_back_up(settings, BackupFolder(to), mark, media=media, move=move))
    if as_json:
        print_json(answer)
    else:
        _print(answer)
    return 0


def _secret_mark(settings: Settings) -> str:
    secret = find_secret(settings)
    if secret is None or (settings.redis_url is None and not (settings.data_dir / "redis").is_dir()):
        raise CommandError(
            f"there is nothing to back up in {settings.data_dir}: start FrameRelay first, or set FRAMERELAY_DATA_DIR"
        )
    return marks_of(settings, secret)[SECRET]


async def _back_up(settings: Settings, folder: BackupFolder, mark: str, *, media: bool, move: bool) -> dict[str, Any]:
    with folder.lock():
        before = folder.manifest()
        if before and before.secret != mark:
            raise BackupUnusable(f"{folder.root} has the backup of another installation: choose another folder")
        if before and before.media and not media:
            raise BackupUnusable(f"{folder.root} has a backup with clips, which would leave it: choose another folder")
        async with redis_at(settings) as url:
            redis = connect(url, timeout_s=REDIS_S)
            try:
                await _check(redis)
                async with _close_redis(redis) if move else nullcontext():
                    return await _write(settings, folder, before, mark, redis, media=media, move=move)
            finally:
                await disconnect(redis)


async def _check(redis: RelayRedis) -> None:
    """Raises: RedisClosed; SchemaTooNew; CommandError if there is nothing."""
    closing = await closing_of(redis)
    if closing and closing.reason is ClosedReason.RESTORE:
        raise RedisClosed(closing)
    if not await written_by(redis):
        raise CommandError("no FrameRelay of this version was ever started on this Redis: there is nothing to back up")


@asynccontextmanager
async def _close_redis(redis: RelayRedis) -> AsyncIterator[None]:
    """Nothing starts here any more, unless the block fails. Raises: CommandError while something is running."""
    is_new = await close(redis, Closing(reason=ClosedReason.MOVED, backup="", at=time.time()))
    try:
        with redis_answers():
            running = await processes(redis)
        if running:
            raise CommandError(f"--move is for what has ended, and here {process_words(running)}: end that first")
        yield
    except BaseException:
        if is_new:
            await reopen(redis)
        raise


def process_words(running: Iterable[Any]) -> str:
    """The processes, in words."""
    names = sorted({f"a {each.part} runs on {each.host} (pid {each.pid})" for each in running})
    return join_names(names, "and")


async def _write(
    settings: Settings,
    folder: BackupFolder,
    before: BackupManifest | None,
    mark: str,
    redis: RelayRedis,
    *,
    media: bool,
    move: bool,
) -> dict[str, Any]:
    old_files = {file.path: file for file in before.files} if before else {}
    id, made_at = secrets.token_hex(8), time.time()
    is_local = settings.store is None
    # Callbacks that wait for Redis come first: one that reaches it in the meantime is in both, and counts once.
    files = await asyncio.to_thread(_take_files, folder, spool_files(settings.data_dir), old_files)
    paths: set[str] = set()
    ledger, keys, counts = await _ledger(folder, redis, id, paths)
    pairs = sources(settings.data_dir, media=media and is_local)
    files += await asyncio.to_thread(_take_files, folder, pairs, old_files)
    place = await place_of_all(redis)
    manifest = BackupManifest(
        format=FORMAT,
        id=id,
        made_at=made_at,
        version=version("framerelay"),
        schema=await written_by(redis),
        readable_from=READABLE_FROM,
        prefix=PREFIX,
        secret=mark,
        place=place.id if place else None,
        store=settings.store,
        media=media and is_local,
        moved=move,
        runs=counts.runs,
        open_runs=counts.open_runs,
        callbacks=counts.callbacks,
        tasks=counts.tasks,
        keys=keys,
        ledger=ledger,
        files=files,
    )
    await asyncio.to_thread(folder.finish, manifest)
    return _answer(folder, manifest, old_files, await _search(settings, manifest, paths))


async def _ledger(
    folder: BackupFolder, redis: RelayRedis, id: str, paths: set[str]
) -> tuple[CopiedFile, int, LedgerCounts]:
    """The ledger, written; the files that its runs name are added to *paths*."""

    def note(run: Run) -> None:
        paths.update(only_copies(run))

    writer = LedgerWriter(folder.new_ledger(id))
    try:
        counts = await copy_ledger(redis, writer.add, on_run=note)
    finally:
        writer.close()
    return folder.note(folder.new_ledger(id)), writer.keys, counts


async def _search(settings: Settings, manifest: BackupManifest, paths: set[str]) -> Search:
    """Which of *paths* are in neither the backup nor object storage; a ledger without clips lacks none."""
    if settings.store:
        return await search(media_store_of(settings), paths)
    copied = {file.path for file in manifest.files}
    return Search(missing=sorted({f"media/{path}" for path in paths} - copied) if manifest.media else [])


def _take_files(
    folder: BackupFolder, pairs: Iterable[tuple[Path, str]], old_files: dict[str, CopiedFile]
) -> list[CopiedFile]:
    copies = [folder.take(source, path, old_files.get(path)) for source, path in pairs]
    return [file for file in copies if file is not None]


def _answer(
    folder: BackupFolder, manifest: BackupManifest, old_files: dict[str, CopiedFile], result: Search
) -> dict[str, Any]:
    new = [file for file in manifest.files if old_files.get(file.path) is not file]
    return {
        "object": "backup",
        "id": manifest.id,
        "folder": str(folder.root),
        "made_at": manifest.made_at,
        "runs": manifest.runs,
        "open_runs": manifest.open_runs,
        "callbacks": manifest.callbacks,
        "keys": manifest.keys,
        "files": len(manifest.files),
        "bytes": sum(file.bytes for file in manifest.files) + manifest.ledger.bytes,
        "new_files": len(new),
        "new_bytes": sum(file.bytes for file in new) + manifest.ledger.bytes,
        "missing": result.missing,
        "missing_unknown": result.reason,
        "media": manifest.media,
        "store": manifest.store,
        "secret": any(file.path == "keys/secret" for file in manifest.files),
        "moved": manifest.moved,
    }


def _print(answer: dict[str, Any]) -> None:
    runs, going_on = number_of("run", answer["runs"]), answer["open_runs"]
    echo(f"backup in {answer['folder']}: {runs} ({going_on} not over), {number_of('callback', answer['callbacks'])}")
    echo(
        f"{number_of('file', answer['files'])}, {answer['bytes'] / 1e6:,.1f} MB; new of them {answer['new_files']}, "
        f"{answer['new_bytes'] / 1e6:,.1f} MB"
    )
    if answer["store"]:
        echo(f"not in it: what is in {answer['store']}; let that keep versions")
        print_search(answer)
    elif not answer["media"]:
        echo("not in it: clips, frames and films (--no-media)")
    if not answer["secret"]:
        echo("not in it: FRAMERELAY_SECRET, which is set elsewhere; a restore needs it")
    elif answer["missing"]:
        echo(printable(f"gone from the data folder: {names_in_words(answer['missing'])}"))
    if answer["moved"]:
        echo(f"nothing starts on that Redis any more; next: framerelay restore {answer['folder']}")

"""Files of ours that can be made from others are made again when they are gone: frames and films, from their clips."""

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.film import parts_of
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError, NotFound, StorageFailed
from framerelay.runs.model import Run
from framerelay.store.files import publish
from framerelay.store.kept import FileKind, Kept, gone, kept_as
from framerelay.store.progress import record

log = structlog.get_logger()


async def make_again(deps: Deps, *, run: str, path: str) -> str:
    """The task; returns what came of it, for the log. Whoever wants the file asks for it again."""
    loaded = await deps.store.load(run)
    kept = kept_as(loaded, path) if loaded else None
    if loaded is None or kept is None or not kept.made_of or deps.files.has(path):
        return "not_due"
    try:
        await make(deps, loaded, kept)
    except FrameRelayError as error:
        log.warning("file_not_made_again", file=str(kept), reason=error.message)
        return error.code
    return "made_again"


async def ensure(deps: Deps, run: Run, path: str) -> None:
    """Have the file *path* of *run* on disk, made again where it is gone. Raises: as `make`."""
    kept = kept_as(run, path)
    if kept is None:
        raise NotFound(f"there is no such file of run {run.id}")
    if not deps.files.has(path):
        await make(deps, run, kept)


async def make(deps: Deps, run: Run, kept: Kept) -> None:
    """
    Make *kept* of its clips again, under its own name; of the run only the hash of its film may change.

    Raises: NotFound, in words for a person, if one of the clips is gone, too; ClipUnusable; Transient.
    """
    if not kept.made_of or not all(deps.files.has(clip.path) for clip in kept.made_of):
        raise NotFound(gone(kept))
    place, first = deps.files.place(kept.path), deps.files.existing(kept.made_of[0].path)
    try:
        match kept.kind:
            case FileKind.FILM:
                await _join(deps, run, kept)
            case FileKind.OPENING:
                small = deps.files.small_copies([kept.path])
                await deps.films.open(first, frame_into=place, begun_with=None, small=small)
            case _:
                await deps.frames.examine(first, frame_into=place)
    except OSError as error:
        raise StorageFailed.of(error) from error
    log.info("file_made_again", file=str(kept))


async def _join(deps: Deps, run: Run, kept: Kept) -> None:
    draft = deps.files.film_draft(run.id)
    try:
        facts = await deps.films.join(parts_of(deps, run), draft)
        publish(draft, deps.files.place(kept.path))
    finally:
        draft.unlink(missing_ok=True)
    event = events.FilmMadeAgain(path=kept.path, bytes=facts.bytes, sha256=facts.sha256)
    await record(deps.store, run.id, event)

"""Our frames and films that are gone, and are made again from their clips."""

import structlog

from framerelay.processors.deps import Deps
from framerelay.processors.film import parts_of
from framerelay.runs import events
from framerelay.runs.errors import FrameRelayError, NotFound
from framerelay.runs.model import Run
from framerelay.store.files import publish, storing
from framerelay.store.progress import record
from framerelay.store.run_files import FileKind, RunFile, file_at, missing_words

log = structlog.get_logger()


async def make_again(deps: Deps, *, run_id: str, path: str) -> str:
    """The task; returns the outcome for the log. Whoever wants the file asks for it again."""
    run = await deps.store.load(run_id)
    file = file_at(run, path) if run else None
    if run is None or file is None or not file.made_of or await deps.media.has(path):
        return "not_due"
    try:
        await make(deps, run, file)
    except FrameRelayError as error:
        log.warning("file_not_made_again", file=str(file), reason=error.message)
        return error.code
    return "made_again"


async def ensure(deps: Deps, run: Run, path: str) -> None:
    """Make sure that *path* of *run* exists; it is made again if it is gone. Raises: as `make`."""
    file = file_at(run, path)
    if file is None:
        raise NotFound(f"there is no such file of run {run.id}")
    if not await deps.media.has(path):
        await make(deps, run, file)


async def make(deps: Deps, run: Run, file: RunFile) -> None:
    """
    Make *file* again from its clips, under its own name; in the run, only the hash of its film may change.

    Raises: NotFound, in words for a person, if one of the clips is gone, too; ClipUnusable; Transient.
    """
    if not file.made_of or not all([await deps.media.has(clip.path) for clip in file.made_of]):
        raise NotFound(missing_words(file))
    clip = file.made_of[0]
    place, first = deps.files.place(file.path), await deps.media.fetch(clip.path, size=clip.bytes)
    with storing():
        match file.kind:
            case FileKind.FILM:
                await _join(deps, run, file)
            case FileKind.OPENING:
                small = deps.files.small_copies([file.path])
                await deps.films.open(first, frame_into=place, begun_with=None, small=small)
                if deps.files.has(deps.files.small(file.path)):
                    await deps.media.keep(deps.files.small(file.path))
                await deps.media.keep(file.path)
            case _:
                await deps.frames.examine(first, frame_into=place)
                await deps.media.keep(file.path)
    log.info("file_made_again", file=str(file))


async def _join(deps: Deps, run: Run, file: RunFile) -> None:
    draft = deps.files.film_draft(run.id)
    try:
        facts = await deps.films.join(await parts_of(deps, run), draft)
        publish(draft, deps.files.place(file.path))
        await deps.media.keep(file.path)
    finally:
        draft.unlink(missing_ok=True)
    event = events.FilmMadeAgain(path=file.path, bytes=facts.bytes, sha256=facts.sha256)
    await record(deps.store, run.id, event)

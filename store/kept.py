"""Which file of a run an address stands for, in words, and whether it can be made again from others if it is gone."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from framerelay.runs.model import Clip, Run, Shot, Take, TakeStatus
from framerelay.runs.standing import chosen
from framerelay.store.tasks import Task


class FileKind(StrEnum):
    """What is kept of a run."""

    CLIP = "clip"
    LAST_FRAME = "last frame"
    OPENING = "first frame"
    PROVIDER_FRAME = "provider's own last frame"
    FILM = "film"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """
    A file of a run, and of which of its takes; no shot where it is the film.

    ``made_of``: the clips that it can be made of again, none where it came from the provider.
    """

    kind: FileKind
    path: str
    shot: str | None = None
    take: int | None = None
    made_of: tuple[Clip, ...] = ()

    def __str__(self) -> str:
        return "the film" if self.shot is None else f"the {self.kind} of shot {self.shot}, take {self.take}"


def kept_as(run: Run, path: str) -> Kept | None:
    """What *run* keeps under *path*, as `store.files` names it; None if that is no file of its."""
    if run.film and run.film.path == path:
        return Kept(kind=FileKind.FILM, path=path, made_of=tuple(clip for _, clip in clips_of_film(run)))
    for shot in run.shots:
        for take in shot.takes:
            for kind, named in _named(take):
                if named == path:
                    clips = (take.video,) if take.video and kind in (FileKind.LAST_FRAME, FileKind.OPENING) else ()
                    return Kept(kind=kind, path=path, shot=shot.id, take=take.number, made_of=clips)
    return None


def clips_of_film(run: Run) -> list[tuple[Shot, Clip]]:
    """The picked clips in story order; of a run that has its film, or asks for it, every shot has one."""
    clips = []
    for shot in run.shots:
        take = chosen(shot)
        if take is not None and take.status is TakeStatus.DONE and take.video is not None:
            clips.append((shot, take.video))
    return clips


def clip_of(run: Run, clip: Clip) -> Kept:
    """*clip* as what it is in *run*."""
    return kept_as(run, clip.path) or Kept(kind=FileKind.CLIP, path=clip.path)


def gone(kept: Kept) -> str:
    """That its file is missing, in words for a person; what to do about it."""
    advice = "" if kept.kind is FileKind.FILM else ": put it back from a backup, or retake the shot"
    also = ", and so is what it was made of" if kept.made_of else ""
    return f"{kept} is gone from the data folder{also}{advice}"


def task_to_make_again(run: Run, kept: Kept) -> Task:
    """What has a worker make the file again; asked for twice it is done once."""
    name = kept.path.rpartition("/")[2]
    return Task(id=f"again:{run.id}:{name}", function="make_again", arguments={"run": run.id, "path": kept.path})


def _named(take: Take) -> Iterator[tuple[FileKind, str]]:
    if take.video:
        yield FileKind.CLIP, take.video.path
    for kind, frame in (
        (FileKind.LAST_FRAME, take.last_frame),
        (FileKind.OPENING, take.opening),
        (FileKind.PROVIDER_FRAME, take.provider_frame),
    ):
        if frame:
            yield kind, frame.path

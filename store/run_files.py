"""Which file of a run an address stands for, in words, and whether it can be made again from others if it is gone."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from framerelay.runs.model import Clip, Run, Shot, Take, TakeStatus
from framerelay.runs.standing import picked_take
from framerelay.runs.takes import is_unkept
from framerelay.store.tasks import Task


class FileKind(StrEnum):
    """The kinds of files that are kept of a run."""

    CLIP = "clip"
    LAST_FRAME = "last frame"
    OPENING = "first frame"
    PROVIDER_FRAME = "provider's own last frame"
    FILM = "film"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFile:
    """
    A file of a run, and of which of its takes; no shot if it is the film.

    ``made_of``: the clips from which it can be made again, none if it came from the provider.
    """

    kind: FileKind
    path: str
    shot_id: str | None = None
    take: int | None = None
    made_of: tuple[Clip, ...] = ()

    def __str__(self) -> str:
        number = self.take
        return "the film" if self.shot_id is None else f"the {self.kind} of shot {self.shot_id}, take {number}"


def file_at(run: Run, path: str) -> RunFile | None:
    """The file that *run* keeps under *path*, as `store.files` names it; None if that is not one of its files."""
    if run.film and run.film.path == path:
        return RunFile(kind=FileKind.FILM, path=path, made_of=tuple(clip for _, clip in clips_of_film(run)))
    for shot in run.shots:
        for take in shot.takes:
            for kind, name in _files_of(take):
                if name == path:
                    clips = (take.video,) if take.video and kind in (FileKind.LAST_FRAME, FileKind.OPENING) else ()
                    return RunFile(kind=kind, path=path, shot_id=shot.name, take=take.number, made_of=clips)
    return None


def only_copies(run: Run) -> Iterator[str]:
    """
    The files of *run* that cannot be made again from others: clips, and frames that the provider gave.

    Those of a clip that is not kept yet are left out: its provider still has it.
    """
    for shot in run.shots:
        for take in shot.takes:
            if is_unkept(take):
                continue
            lasting = (FileKind.CLIP, FileKind.PROVIDER_FRAME)
            yield from (path for kind, path in _files_of(take) if kind in lasting)


def clips_of_film(run: Run) -> list[tuple[Shot, Clip]]:
    """The picked clips in story order; if a run has its film, or asks for it, every shot has one."""
    clips = []
    for shot in run.story:
        take = picked_take(shot)
        if take is not None and take.status is TakeStatus.DONE and take.video is not None:
            clips.append((shot, take.video))
    return clips


def clip_of(run: Run, clip: Clip) -> RunFile:
    """*clip*, with its role in *run*."""
    return file_at(run, clip.path) or RunFile(kind=FileKind.CLIP, path=clip.path)


def missing_words(run_file: RunFile) -> str:
    """That its file is missing, in words for a person; and what to do about it."""
    if run_file.kind is FileKind.FILM:
        return f"{run_file} is gone from the data folder, and so is what it was made of"
    if run_file.made_of:
        return (
            f"{run_file} is gone from the data folder, and so is what it was made of: put it back from a backup, or "
            "retake the shot"
        )
    return f"{run_file} is gone from the data folder: put it back from a backup, or retake the shot"


def task_to_make_again(run: Run, file: RunFile) -> Task:
    """The task that makes the file again; requested twice, it runs once."""
    name = file.path.rpartition("/")[2]
    return Task(id=f"again:{run.id}:{name}", function="make_again", arguments={"run": run.id, "path": file.path})


def _files_of(take: Take) -> Iterator[tuple[FileKind, str]]:
    if take.video:
        yield FileKind.CLIP, take.video.path
    for kind, frame in (
        (FileKind.LAST_FRAME, take.last_frame),
        (FileKind.OPENING, take.opening),
        (FileKind.PROVIDER_FRAME, take.provider_frame),
    ):
        if frame:
            yield kind, frame.path

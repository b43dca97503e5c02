"""Which parts of a run an export holds, and the manifest that lists them (`docs/export.md`)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from msgspec import Struct, to_builtins

from framerelay.api import shapes
from framerelay.runs.wire_names import WIRE_NAMES

FILM: Final = "film.mp4"
TIMELINE: Final = "film.otio"
MANIFEST: Final = "manifest.json"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportClip:
    """A clip of the run, with its take. *file*: where it is, relative to the folder."""

    shot: shapes.Shot
    take: shapes.Take
    video: shapes.Video

    @property
    def file(self) -> str:
        """No id of a shot leads out of the folder: its pattern excludes the necessary characters."""
        return f"clips/{self.shot.id}.{self.take.number}.mp4"


def clips_of(shot: shapes.Shot) -> list[ExportClip]:
    """Those of its takes that are done."""
    videos = [(take, take.video) for take in shot.takes if take.status == "done"]
    return [ExportClip(shot=shot, take=take, video=video) for take, video in videos if video]


class FileEntry(Struct, kw_only=True):
    """A file of an export; *file* and its hash are missing if there is no clip."""

    file: str | None
    sha256: str | None = None


class TakeEntry(FileEntry, kw_only=True):
    """A take, and the file of its clip."""

    number: int


class ShotEntry(Struct, kw_only=True):
    """A shot with its takes."""

    picked: int | None
    takes: list[TakeEntry]


class Manifest(Struct, kw_only=True, rename=WIRE_NAMES):
    """What an export needs to know about the previous one."""

    object: Literal["manifest"]
    run_id: str
    film: FileEntry | None
    timeline: FileEntry
    shots: list[ShotEntry]

    @property
    def hashes(self) -> dict[str, str]:
        """The SHA-256 of every file that it lists, by name."""
        takes = (take for shot in self.shots for take in shot.takes)
        entries = [self.timeline, *takes, *([self.film] if self.film else [])]
        return {entry.file: entry.sha256 for entry in entries if entry.file and entry.sha256}

    @property
    def film_hashes(self) -> list[str]:
        """The SHA-256 of the clips that its film is made of."""
        takes = [take for shot in self.shots for take in shot.takes if take.number == shot.picked]
        return [take.sha256 for take in takes if take.sha256]


def manifest_of(run: shapes.Run, facts: Callable[[str], Mapping[str, object]]) -> dict[str, object]:
    """
    The manifest of *run*; *facts*: name, hash and size of a file of the export.

    It has no time of its own, so that another export gives the same bytes.
    """
    return {
        "object": "manifest",
        "version": VERSION,
        "run": run.id,
        **_fields(run, "title", "model", "status", "created", "budget", "spent"),
        "film": {**facts(FILM), **_fields(run.film, "duration_s", "frames")} if run.film else None,
        "timeline": facts(TIMELINE),
        "shots": [_shot(shot, facts) for shot in run.shots],
    }


def _shot(shot: shapes.Shot, facts: Callable[[str], Mapping[str, object]]) -> dict[str, object]:
    fields = _fields(shot, "id", "scene", "from", "source", "prompt", "gate", "picked", "status")
    return {**fields, "takes": [_take(shot, take, facts) for take in shot.takes]}


def _take(shot: shapes.Shot, take: shapes.Take, facts: Callable[[str], Mapping[str, object]]) -> dict[str, object]:
    fields = _fields(take, "number", "status", "job_id", "seed", "submitted", "error")
    clip = next((clip for clip in clips_of(shot) if clip.take is take), None)
    if clip is None:
        return {**fields, "file": None}
    return {**fields, **facts(clip.file), **_fields(clip.video, "width", "height", "duration_s", "frames")}


def _fields(shape: Struct, *names: str) -> dict[str, object]:
    """Those of its fields, as JSON has them."""
    fields = to_builtins(shape)
    return {name: fields[name] for name in names}

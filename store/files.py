"""
Names and places of the files that we keep: clips, frames, films and the pictures that people give us.

Names are made only from our own ids. The processors write the files, the receiver serves them; both share this folder.
"""

import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from framerelay.runs.errors import NotFound, RequestInvalid, StorageFailed

PLACE_ID: Final = "place-id"
FIRST_FILM: Final = "film.mp4"
_FILM: Final = re.compile(r"film(?:-(?P<turn>[0-9]{1,9})-[0-9a-f]{8})?\.mp4")
_PATH: Final = re.compile(r"(?:run_[a-z0-9]{20,40}|given)/[A-Za-z0-9_-]{1,80}(?:\.[a-z0-9-]{1,20}){1,3}")
_KINDS: Final = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\x00": ".tiff",
    b"MM\x00*": ".tiff",
}


class MediaFiles:
    """The media folder; every path it accepts or returns is relative to it, with forward slashes."""

    def __init__(self, data_dir: Path) -> None:
        self.root = data_dir / "media"

    def clip(self, run_id: str, shot_id: str, take: int) -> str:
        """The clip of a take."""
        return f"{run_id}/{shot_id}.{take}.mp4"

    def last_frame(self, run_id: str, shot_id: str, take: int) -> str:
        """The last frame that we took of it."""
        return f"{run_id}/{shot_id}.{take}.last.png"

    def provider_frame(self, run_id: str, shot_id: str, take: int) -> str:
        """The last frame that the provider gave for it."""
        return f"{run_id}/{shot_id}.{take}.provider.png"

    def opening(self, run_id: str, shot_id: str, take: int) -> str:
        """The first frame of its clip."""
        return f"{run_id}/{shot_id}.{take}.first.png"

    def small_copies(self, frames: Iterable[str]) -> list[tuple[Path, Path]]:
        """The place of each of *frames*, and of its small copy, which a page shows instead of it."""
        return [(self.place(frame), self.place(_small(frame))) for frame in frames]

    def small(self, frame: str) -> str:
        """The small copy of *frame*."""
        return _small(frame)

    def film_draft(self, run_id: str) -> Path:
        """Where a film is written before it has a name."""
        return self.place(f"{run_id}/film.mp4").with_name(f".film.mp4.{secrets.token_hex(4)}.part")

    def publish_film(self, draft: Path, run_id: str, turn: int, *, is_alone: bool = True) -> str:
        """
        Give the film at *draft*, made in that *turn* of its run, a name that no other film of the run has or had.

        So a join that comes too late cannot replace the film that is shown. *is_alone*: nobody makes films of this run
        in another folder.
        """
        names = (FIRST_FILM,) if turn == 0 and is_alone else ()
        for name in (*names, f"film-{turn}-{secrets.token_hex(4)}.mp4"):
            place = self.place(f"{run_id}/{name}")
            try:
                os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            except FileExistsError:
                continue
            publish(draft, place)
            return f"{run_id}/{name}"
        raise FileExistsError(f"film of turn {turn}")  # Nobody draws the same eight letters twice.

    def remove_old_films(self, run_id: str, *, before_turn: int) -> None:
        """Remove the films of earlier turns; they can be made again from their clips."""
        for place in self.place(f"{run_id}/{FIRST_FILM}").parent.glob("film*.mp4"):
            if is_old_film(place.name, before_turn=before_turn):
                place.unlink(missing_ok=True)

    def place_id(self) -> str | None:
        """What tells this folder from any other (`store.one_place`); None if it has no id yet. Raises: OSError."""
        with suppress(FileNotFoundError):
            return (self.root / PLACE_ID).read_text(encoding="ascii", errors="replace").strip() or None
        return None

    def mark(self, id: str) -> str:
        """Give this folder *id*, unless another process was faster; returns the id that it has. Raises: OSError."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.root / f".{PLACE_ID}.{secrets.token_hex(4)}.part"
        try:
            draft.write_text(f"{id}\n", encoding="ascii")
            sync(draft)
            with suppress(FileExistsError):
                _link(draft, self.root / PLACE_ID)
        finally:
            draft.unlink(missing_ok=True)
        return self.place_id() or id

    def place(self, path: str) -> Path:
        """
        Where *path* is on disk; its folder is made if it is missing.

        Raises: NotFound for anything that is not a name of ours.
        """
        self.check(path)
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place

    def check(self, path: str) -> None:
        """Raises: NotFound for anything that is not a name of ours."""
        if not _PATH.fullmatch(path):
            raise NotFound("there is no such file")

    def existing(self, path: str) -> Path:
        """The file *path*. Raises: NotFound unless it exists and is a plain file."""
        self.check(path)
        place = self.root / path
        if place.is_symlink() or place.parent.is_symlink() or not place.is_file():
            raise NotFound("there is no such file")
        return place

    def has(self, path: str) -> bool:
        """Whether *path* is a file of ours, and exists."""
        try:
            return bool(self.existing(path))
        except NotFound:
            return False

    def keep_picture(self, content: bytes) -> str:
        """
        Keep a picture that a person gives us; the same bytes always get the same name.

        Raises: RequestInvalid unless it begins like a PNG, JPEG, WebP, GIF, BMP or TIFF file, or like a video.
        """
        path = picture_name(content)
        place = self.place(path)
        if not place.exists():
            draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
            try:
                with draft.open("wb") as file:
                    hold(file)
                    file.write(content)
                publish(draft, place)
            finally:
                draft.unlink(missing_ok=True)
        return path


@contextmanager
def storing() -> Iterator[None]:
    """Turns operating system errors about our own files into StorageFailed, which may pass."""
    try:
        yield
    except OSError as error:
        raise StorageFailed.of(error) from error


def publish(draft: Path, place: Path) -> None:
    """
    Give the finished file *draft* the name *place*: first its bytes are made durable, then the name. Raises: OSError.

    A crash leaves all of it under that name, or nothing. The decoder's child syncs its files itself, since this process
    may open no folder for it, and what a person is given (an export, a download) may be fetched again.
    """
    sync(draft)
    draft.replace(place)
    sync(place.parent)


def sync(path: Path) -> None:
    """Sync the file or folder *path* to disk. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hold(file: IO[bytes]) -> None:
    """Mark a half-written *file* as in use while it is open; the kernel releases the mark with the process."""
    with suppress(OSError):  # Some network disks do not support such locks; then only its age protects it.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _link(draft: Path, place: Path) -> None:
    """Give *draft* the name *place* as well: whole, and never over another file. Raises: FileExistsError; OSError."""
    try:
        place.hardlink_to(draft)
    except FileExistsError:
        raise
    except OSError:  # Some network disks do not support hard links; then two that begin at the same moment may differ.
        if place.exists():
            raise FileExistsError from None
        shutil.copyfile(draft, place)


def is_held(path: Path) -> bool:
    """Whether a living process has the file *path* on `hold`. Raises: OSError if it cannot be opened."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def is_old_film(name: str, *, before_turn: int) -> bool:
    """Whether *name* is that of a film of an earlier turn."""
    match = _FILM.fullmatch(name)
    return match is not None and int(match["turn"] or 0) < before_turn


def _small(frame: str) -> str:
    return frame.removesuffix(".png") + ".jpg"


def picture_name(content: bytes) -> str:
    """The name that `MediaFiles.keep_picture` gives this picture. Raises: RequestInvalid."""
    return f"given/{hashlib.sha256(content).hexdigest()[:40]}{_ending(content)}"


def is_video(content: bytes) -> bool:
    """Whether *content* begins like an MP4, MOV or WebM file."""
    return content[4:8] == b"ftyp" or content.startswith(b"\x1a\x45\xdf\xa3")


def _ending(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return ".webp"
    for magic, ending in _KINDS.items():
        if content.startswith(magic):
            return ending
    if is_video(content):
        return ".mp4" if content[4:8] == b"ftyp" else ".webm"
    raise RequestInvalid(
        "the file is not a PNG, JPEG, WebP, GIF, BMP or TIFF picture, nor an MP4, MOV or WebM video", param="file"
    )

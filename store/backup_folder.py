"""
The folder of a backup: a manifest, the ledger, and the files of the data folder that the ledger needs.

    manifest.json           the contents, with the hash of each file; it is replaced last, so the previous backup counts
                            until the new one is complete
    ledger-ID.msgpack.gz    Redis (`store.ledger_file`)
    restored.json           which restore was the first from this backup
    keys/ · spool/ · media/ as in the data folder; existing files are kept, so the next backup only copies what is new
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

import msgspec

from framerelay.runs.errors import NotFound, Permanent
from framerelay.store.files import PLACE_ID, MediaFiles, sync
from framerelay.store.spool import ENDING

MANIFEST_FILE: Final = "manifest.json"
CLAIM_FILE: Final = "restored.json"
FORMAT: Final = 1
KEYS: Final = ("secret", "api_key")
PIECE_BYTES: Final = 1 << 20
_LEDGER: Final = re.compile(r"ledger-[0-9a-f]{16}\.msgpack\.gz")
_DRAFT: Final = re.compile(r"\.(?:manifest|restored)\.json\.[0-9a-f]{8}\.part")
_SPOOLED: Final = re.compile(rf"spool/[A-Za-z0-9_]{{1,80}}{re.escape(ENDING)}")


class BackupUnusable(Permanent):
    """The folder is not a backup, or one that cannot be used here."""

    code = "backup_unusable"


class CopiedFile(msgspec.Struct, frozen=True, kw_only=True):
    """*path* in the backup; *mtime_ns* of the file that it was copied from."""

    path: str
    bytes: int
    sha256: str
    mtime_ns: int = 0


class BackupManifest(msgspec.Struct, frozen=True, kw_only=True):
    """
    What a backup contains. ``prefix``: how its keys begin; ``schema``, ``readable_from``: as in `store.schema`.

    ``secret``: a mark of ``FRAMERELAY_SECRET``, which tells whether another one is the same without revealing it.
    ``place``: the id of the place of files, ``store``: its bucket, if it is one, whose files are not in the backup.
    ``media``: whether those of the data folder are. ``moved``: nothing was submitted since, because nothing may start
    where it was taken.
    """

    format: int
    id: str
    made_at: float
    version: str
    schema: int
    readable_from: int
    prefix: str
    secret: str
    place: str | None
    store: str | None
    media: bool
    moved: bool
    runs: int
    open_runs: int
    callbacks: int
    tasks: int
    keys: int
    ledger: CopiedFile
    files: list[CopiedFile]


class BackupFolder:
    """The backup at *root*. Its calls raise OSError if the disk fails."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextmanager
    def lock(self) -> Iterator[None]:
        """The folder, made for us alone if it is missing. Raises: BackupUnusable; OSError."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with suppress(OSError):  # Some network disks do not support these permissions.
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise BackupUnusable(f"another backup is being written to {self.root}") from None
            yield
        finally:
            os.close(descriptor)

    def manifest(self) -> BackupManifest | None:
        """The manifest of the existing backup; None for an empty folder. Raises: BackupUnusable; OSError."""
        try:
            content = (self.root / MANIFEST_FILE).read_bytes()
        except FileNotFoundError:
            if not self.root.is_dir() or all(_is_ours(entry.name) for entry in self.root.iterdir()):
                return None
            raise BackupUnusable(f"{self.root} has files and is not a backup: choose another folder") from None
        try:
            form = msgspec.json.decode(content)["format"]
            if form == FORMAT:
                return msgspec.json.decode(content, type=BackupManifest)
        except (msgspec.MsgspecError, TypeError, KeyError):
            raise BackupUnusable(f"{self.root / MANIFEST_FILE} is not that of a backup") from None
        raise BackupUnusable(
            f"the backup has format {form}, and this version reads {FORMAT}: use the one that wrote it"
        )

    def new_ledger(self, id: str) -> Path:
        """Where the ledger of a new backup is written."""
        return self.root / f"ledger-{id}.msgpack.gz"

    def note(self, place: Path) -> CopiedFile:
        """What was written to *place*, synced."""
        sync(place)
        return CopiedFile(
            path=place.relative_to(self.root).as_posix(), bytes=place.stat().st_size, sha256=sha256_of(place)
        )

    def take(self, source: Path, path: str, before: CopiedFile | None) -> CopiedFile | None:
        """
        Have a copy of *source* as *path*; None if it no longer exists.

        *before*: its entry in the last backup: a copy of the same length, of a file that has not changed since, is
        kept.
        """
        place = self.root / path
        try:
            with source.open("rb") as file:
                facts = os.fstat(file.fileno())
                if before and _is_same(before, facts, place):
                    return before
                return CopiedFile(
                    path=path, bytes=facts.st_size, sha256=_write(_pieces(file), place), mtime_ns=facts.st_mtime_ns
                )
        except FileNotFoundError:
            return None

    def finish(self, manifest: BackupManifest) -> None:
        """From now on the folder is the backup of *manifest*; files that only the previous one had are removed."""
        _write([msgspec.json.format(msgspec.json.encode(manifest), indent=1)], self.root / MANIFEST_FILE)
        paths = {manifest.ledger.path, *(file.path for file in manifest.files)}
        for place in list(self._copies()):
            if place.relative_to(self.root).as_posix() not in paths:
                place.unlink(missing_ok=True)
                with suppress(OSError):
                    place.parent.rmdir()

    def claim(self, manifest: BackupManifest, restore: str) -> bool:
        """Whether the restore with the id *restore* is the first from this backup; from now on no other one can be."""
        place, ours = self.root / CLAIM_FILE, {"backup": manifest.id, "restore": restore}
        try:
            before = msgspec.json.decode(place.read_bytes()) if place.exists() else {}
            if before.get("backup") == manifest.id:
                return bool(before == ours)
            _write([msgspec.json.encode(ours)], place)
        except (OSError, msgspec.MsgspecError, AttributeError):  # The next restore could not be told.
            return False
        return True

    def wrong_files(self, manifest: BackupManifest) -> list[str]:
        """Files that are missing or have changed."""
        return [file.path for file in (manifest.ledger, *manifest.files) if not self._is_right(file)]

    def _is_right(self, file: CopiedFile) -> bool:
        place = self.root / file.path
        return is_known(file.path) and place.is_file() and not place.is_symlink() and sha256_of(place) == file.sha256

    def _copies(self) -> Iterator[Path]:
        """All files that could belong to a backup, including those that one left half written."""
        yield from (
            place for place in self.root.iterdir() if _LEDGER.fullmatch(place.name) or _DRAFT.fullmatch(place.name)
        )
        for folder, pattern in (("media", "*"), ("media", "*/*"), ("spool", "*"), ("keys", "*")):
            yield from (place for place in (self.root / folder).glob(pattern) if not place.is_dir())


def sources(data_dir: Path, *, media: bool) -> Iterator[tuple[Path, str]]:
    """Files of the data folder and their paths in a backup: keys, and with *media* the files of runs."""
    for name in KEYS:
        yield data_dir / name, f"keys/{name}"
    files = MediaFiles(data_dir)
    yield files.root / PLACE_ID, f"media/{PLACE_ID}"
    if not media:
        return
    for folder in _entries(files.root):
        for name in _entries(files.root / folder):
            if files.has(f"{folder}/{name}"):
                yield files.root / folder / name, f"media/{folder}/{name}"


def spool_files(data_dir: Path) -> Iterator[tuple[Path, str]]:
    """Callbacks that wait for Redis, in the same form."""
    for name in _entries(data_dir / "spool"):
        if _SPOOLED.fullmatch(f"spool/{name}"):
            yield data_dir / "spool" / name, f"spool/{name}"


def destination(path: str, data_dir: Path) -> Path:
    """Where the file *path* of a backup belongs. Raises: BackupUnusable if it is not one of ours."""
    if not is_known(path):
        raise BackupUnusable(f"the backup names a file that is not ours: {path[:80]}")
    return data_dir / path.removeprefix("keys/")


def put_back(copy: Path, file: CopiedFile, place: Path) -> bool:
    """
    Put *copy* at *place*, unless the same bytes are already there; whether it was copied.

    Raises: BackupUnusable if it does not match the manifest; OSError.
    """
    if place.is_file() and not place.is_symlink() and sha256_of(place) == file.sha256:
        return False
    with copy.open("rb") as content:
        if _write(_pieces(content), place, checksum=file.sha256) != file.sha256:
            raise BackupUnusable(f"{file.path} is not what it was: take another backup, or a copy of this one")
    return True


def is_known(path: str) -> bool:
    """Whether a file of a backup may have this name."""
    if path == f"media/{PLACE_ID}" or path in {f"keys/{name}" for name in KEYS}:
        return True
    if _LEDGER.fullmatch(path) or _SPOOLED.fullmatch(path):
        return True
    try:
        MediaFiles(Path()).check(path.removeprefix("media/"))
    except NotFound:
        return False
    return path.startswith("media/")


def sha256_of(place: Path) -> str:
    """In hex. Raises: OSError."""
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_ours(name: str) -> bool:
    return name in ("media", "spool", "keys", CLAIM_FILE) or bool(_LEDGER.fullmatch(name) or _DRAFT.fullmatch(name))


def _is_same(before: CopiedFile, facts: os.stat_result, place: Path) -> bool:
    return (before.bytes, before.mtime_ns) == (facts.st_size, facts.st_mtime_ns) and (
        place.is_file() and not place.is_symlink() and place.stat().st_size == before.bytes
    )


def _write(content: Iterable[bytes], place: Path, *, checksum: str | None = None) -> str:
    """All of *content* under the name *place*, or nothing, including if its hash is not *checksum*."""
    _make(place.parent)
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}.part")
    digest = hashlib.sha256()
    try:
        with open(draft, "xb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            for piece in content:
                digest.update(piece)
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        if checksum in (None, digest.hexdigest()):
            draft.replace(place)
            sync(place.parent)
    finally:
        draft.unlink(missing_ok=True)
    return digest.hexdigest()


def _make(folder: Path) -> None:
    """For us alone, like each missing folder above it."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE_BYTES):
        yield piece


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def room_for(files: Iterable[CopiedFile], folder: Path) -> int:
    """Bytes that are missing on the disk of *folder*, 0 if there is enough space."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    return max(0, sum(file.bytes for file in files) - shutil.disk_usage(there).free)

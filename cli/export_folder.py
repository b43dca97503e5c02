"""The folder of an export: its contents are verified, and files that are not ours are never touched."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from msgspec import Struct

from framerelay.api.manifest import MANIFEST, Manifest
from framerelay.cli.errors import CommandError, folder_words


class ExportedFile(Struct, kw_only=True):
    """A file of this export; *kept*: it already existed."""

    file: str
    sha256: str
    bytes: int
    kept: bool


@dataclass(slots=True, kw_only=True)
class Folder:
    """
    Files by their names relative to *root*.

    ``before``: the manifest that an earlier export of the same run left here; ``ours``: the hashes of the files that it
    lists, which may be replaced.
    """

    root: Path
    before: Manifest | None = None
    ours: dict[str, str] = field(default_factory=dict)
    _files: dict[str, ExportedFile] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path, *, run_id: str) -> "Folder":
        """The folder, made if it is missing. Raises: CommandError if its manifest is not that of this run."""
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(
                f"cannot export into {root}: {folder_words(error)}; choose another folder by --to"
            ) from None
        place = root / MANIFEST
        if not place.exists() and not place.is_symlink():
            return cls(root=root)
        try:
            before = msgspec.json.decode(place.read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError):
            raise _stranger(place) from None
        if before.run_id != run_id or place.is_symlink():
            raise _stranger(place)
        return cls(root=root, before=before, ours={MANIFEST: str(_sha256(place)), **before.hashes})

    def has(self, name: str, sha256: str) -> bool:
        """Whether *name* is there with that hash. Raises: CommandError if something else is there that is not ours."""
        place = self.root / name
        there = _sha256(place)
        if there == sha256:
            self._note(name, sha256, kept=True)
            return True
        self._refuse_stranger(name, there)
        return False

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Where the next content of *name* is written; it is removed afterwards, whatever happened."""
        place = self.root / name
        place.parent.mkdir(exist_ok=True)
        draft = place.with_name(f".{place.name}.new")
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def take_in(self, name: str, draft: Path, *, sha256: str | None = None) -> None:
        """
        Make *draft* the file *name*.

        Raises: CommandError if its hash is not *sha256*, or if a file of somebody else has the name.
        """
        place = self.root / name
        there, new = _sha256(place), str(_sha256(draft))
        if sha256 is not None and new != sha256:
            raise CommandError(
                f"{name} came with another hash than the run says: look at the receiver's disk, then export again"
            )
        if there != new:
            self._refuse_stranger(name, there)
            draft.replace(place)
        self._note(name, new, kept=there == new)

    def write(self, name: str, content: bytes) -> None:
        """Make *content* the file *name*; as `take_in`."""
        with self.draft(name) as draft:
            draft.write_bytes(content)
            self.take_in(name, draft)

    def facts(self, name: str) -> dict[str, object]:
        """Name, hash and size of a file that was checked."""
        file = self._files[name]
        return {"file": name, "sha256": file.sha256, "bytes": file.bytes}

    def report(self) -> list[ExportedFile]:
        """Every file, and whether it already existed."""
        return list(self._files.values())

    def _note(self, name: str, sha256: str, *, kept: bool) -> None:
        size = (self.root / name).stat().st_size
        self._files[name] = ExportedFile(file=name, sha256=sha256, bytes=size, kept=kept)

    def _refuse_stranger(self, name: str, sha256: str | None) -> None:
        if sha256 is not None and sha256 != self.ours.get(name):
            raise _stranger(self.root / name)


def _stranger(place: Path) -> CommandError:
    return CommandError(
        f"{place} is not of this export and is left alone: move it away, or choose another folder by --to"
    )


def _sha256(place: Path) -> str | None:
    """In hex; None if there is nothing, ``-`` for anything that is not a plain file."""
    if place.is_symlink() or (place.exists() and not place.is_file()):
        return "-"
    if not place.exists():
        return None
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

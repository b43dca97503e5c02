"""The folder of an export: what is in it is verified, and what is not ours is never touched."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from framerelay.cli.errors import CommandError, folder_words


@dataclass(slots=True, kw_only=True)
class Folder:
    """
    Files by their names relative to *root*.

    ``before``: the manifest that an earlier export of the same run left here; ``ours``: the hashes of the files that
    it tells of, which may be replaced.
    """

    root: Path
    before: dict[str, Any] | None = None
    ours: dict[str, str] = field(default_factory=dict)
    _found: dict[str, tuple[str, int, bool]] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path, *, run_id: str, manifest: str) -> "Folder":
        """The folder, made if it is missing. Raises: Stop where *manifest* is not that of this run."""
        try:
            root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(
                f"cannot export into {root}: {folder_words(error)}; choose another folder by --to"
            ) from None
        place = root / manifest
        if not place.exists() and not place.is_symlink():
            return cls(root=root)
        try:
            before = msgspec.json.decode(place.read_bytes())
            if before["object"] != "manifest" or before["run"] != run_id or place.is_symlink():
                raise _stranger(place)
            ours = {manifest: str(_sha256(place)), **_hashes_in(before)}
        except (OSError, msgspec.MsgspecError, KeyError, TypeError):
            raise _stranger(place) from None
        return cls(root=root, before=before, ours=ours)

    def has(self, name: str, sha256: str) -> bool:
        """Whether *name* is there with that hash. Raises: Stop if something else is there that is not ours."""
        place = self.root / name
        found = _sha256(place)
        if found == sha256:
            self._found[name] = (sha256, place.stat().st_size, True)
            return True
        self._refuse_stranger(name, found)
        return False

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """Where the next content of *name* is written; it is gone afterwards, whatever happened."""
        place = self.root / name
        place.parent.mkdir(exist_ok=True)
        draft = place.with_name(f".{place.name}.new")
        try:
            yield draft
        finally:
            draft.unlink(missing_ok=True)

    def take_in(self, name: str, draft: Path, *, sha256: str | None = None) -> None:
        """Make *draft* the file *name*. Raises: Stop if its hash is not *sha256*, or a stranger's file has the name."""
        place = self.root / name
        found, given = _sha256(place), _sha256(draft)
        if sha256 is not None and given != sha256:
            raise CommandError(
                f"{name} came with another hash than the run says: look at the receiver's disk, then export again"
            )
        if found != given:
            self._refuse_stranger(name, found)
            draft.replace(place)
        self._found[name] = (str(given), place.stat().st_size, found == given)

    def write(self, name: str, content: bytes) -> None:
        """Make *content* the file *name*; as `take_in`."""
        with self.draft(name) as draft:
            draft.write_bytes(content)
            self.take_in(name, draft)

    def facts(self, name: str) -> dict[str, Any]:
        """Name, hash and size of a file that was looked at."""
        sha256, size, _ = self._found[name]
        return {"file": name, "sha256": sha256, "bytes": size}

    def report(self) -> list[dict[str, Any]]:
        """Every file, and whether it was there already."""
        return [{**self.facts(name), "kept": kept} for name, (_, _, kept) in self._found.items()]

    def _refuse_stranger(self, name: str, found: str | None) -> None:
        if found is not None and found != self.ours.get(name):
            raise _stranger(self.root / name)


def _hashes_in(manifest: Any) -> dict[str, str]:
    files = [manifest["film"], manifest["timeline"], *(take for shot in manifest["shots"] for take in shot["takes"])]
    return {file["file"]: file["sha256"] for file in files if file and file["file"]}


def _stranger(place: Path) -> CommandError:
    return CommandError(
        f"{place} is not of this export and is left alone: move it away, or choose another folder by --to"
    )


def _sha256(place: Path) -> str | None:
    """In hex; None if there is nothing, ``-`` for what is no plain file."""
    if place.is_symlink() or (place.exists() and not place.is_file()):
        return "-"
    if not place.exists():
        return None
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

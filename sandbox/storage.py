"""The folder of a sandbox: what was uploaded, given and rendered; limited by removing the oldest."""

import re
from pathlib import Path

KINDS = ("uploads", "inputs", "outputs")


class Storage:
    """Files by kind and name under *folder*, at most *bytes_max* together (and always the newest file)."""

    def __init__(self, folder: Path, bytes_max: int) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        for kind in KINDS:
            (folder / kind).mkdir(parents=True, exist_ok=True)

    def path(self, kind: str, name: str) -> Path | None:
        """Where the file is or will be; None for a name that is not ours."""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}(\.[a-z0-9]{1,5})?", name):
            return None
        return self._folder / kind / name

    def find(self, kind: str, name: str) -> Path | None:
        """The file, if it is there."""
        path = self.path(kind, name)
        return path if path is not None and path.is_file() else None

    def keep(self, kind: str, name: str, content: bytes) -> Path:
        """Write a file. Raises: ValueError for a name that is not ours; OSError."""
        path = self.path(kind, name)
        if path is None:
            raise ValueError(f"{name!r} is not a name for a file.")
        path.write_bytes(content)
        self.prune()
        return path

    def prune(self) -> None:
        """Remove the oldest files until the rest fits."""
        files = [(path.stat(), path) for kind in KINDS for path in (self._folder / kind).iterdir() if path.is_file()]
        files.sort(key=lambda entry: entry[0].st_mtime)
        too_many = sum(stat.st_size for stat, _ in files) - self._bytes_max
        for stat, path in files[:-1]:
            if too_many <= 0:
                return
            if path.suffix != ".part":
                path.unlink(missing_ok=True)
                too_many -= stat.st_size

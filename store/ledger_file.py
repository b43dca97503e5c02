"""
How the ledger is stored in a backup: a compressed file of entries, each a key of Redis with its contents.

Values, not the server's own dumps: those can only be read by servers of the same version or a newer one.
"""

import gzip
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from framerelay.runs.model import Run
from framerelay.store.layout import run_of

LENGTH_BYTES: Final = 4  # Precedes each entry, big-endian.


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """
    A key of Redis. ``kind`` is its type as Redis calls it.

    ``value``: string: bytes · hash: names and values alternating · list, set: members · zset: members and scores,
    alternating · stream: for each of its entries the id, then names and values alternating.
    ``expires_at_ms``: since 1970; None if it does not expire.
    """

    key: str
    kind: str
    value: Any
    expires_at_ms: int | None = None


def run_in(entry: LedgerEntry) -> Run | None:
    """The run in the hash of *entry*; None if that is only the mark of one that was removed."""
    return run_of(dict(zip(entry.value[::2], entry.value[1::2], strict=True)))


class LedgerWriter:
    """Writes a new ledger; ``keys`` counts them."""

    def __init__(self, place: Path) -> None:
        self.keys = 0
        os.close(os.open(place, os.O_CREAT | os.O_EXCL, 0o600))
        self._file = gzip.GzipFile(place, "wb", compresslevel=1)
        self._encode = msgspec.msgpack.Encoder().encode

    def add(self, entry: LedgerEntry) -> None:
        """Raises: OSError."""
        content = self._encode(entry)
        self._file.write(len(content).to_bytes(LENGTH_BYTES, "big") + content)
        self.keys += 1

    def close(self) -> None:
        """Raises: OSError."""
        self._file.close()


def entries_in(place: Path) -> Iterator[LedgerEntry]:
    """Raises: OSError, also if the file is cut off; msgspec.MsgspecError."""
    decode = msgspec.msgpack.Decoder(LedgerEntry).decode
    with gzip.open(place, "rb") as file:
        while length := file.read(LENGTH_BYTES):
            yield decode(file.read(int.from_bytes(length, "big")))

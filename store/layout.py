"""
How a run is stored in its hash: a field for the run itself and one for each shot, so that a change writes little.

    revision · status    what the scripts in `store/lua/` compare and move by
    saved                a random word of the last save: a process that remembers it need not read the run again
    head                 MessagePack of the `Run` without its shots
    0 · 1 · 2 …          MessagePack of each `Shot`, in the order of the film

Early versions kept the whole `Run` in one field ``body``; it is still read, and the next save splits it.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

import msgspec

from framerelay.runs.model import Run, Shot
from framerelay.runs.standing import changed_places
from framerelay.store.tasks import pack

SHOTS_REMEMBERED: Final = 5_000  # About 15 MB.

# ``index`` follows from the shots, which have their own fields.
_OF_THE_HEAD: Final = tuple(field.name for field in fields(Run) if field.name not in ("shots", "index"))

_decode_run = msgspec.msgpack.Decoder(Run).decode
_decode_shot = msgspec.msgpack.Decoder(Shot).decode


def fields_of(run: Run, *, before: Run | None) -> list[str | bytes]:
    """Names and values, alternating: the head, and the shots that are different objects from *before*, or all."""
    head = {name: getattr(run, name) for name in _OF_THE_HEAD}
    fields: list[str | bytes] = ["head", pack({**head, "shots": ()})]
    if before is not None and len(before.shots) != len(run.shots):
        before = None
    for place in range(len(run.shots)) if before is None else changed_places(run, before=before):
        fields += [str(place), pack(run.shots[place])]
    return fields


def run_of(fields: Mapping[bytes, bytes]) -> Run | None:
    """The run in a hash; None if there is none, or only the mark of one that was removed."""
    if whole := fields.get(b"body"):
        return _decode_run(whole)
    if b"head" not in fields:
        return None
    numbers = sorted(int(name) for name in fields if name.isdigit())
    return replace(
        _decode_run(fields[b"head"]), shots=tuple(_decode_shot(fields[str(number).encode()]) for number in numbers)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEntry:
    """A run as this process last saw it, and the word under which it was saved (``save_id``)."""

    run: Run
    save_id: bytes


class Memory:
    """The most recently seen runs, with at most `SHOTS_REMEMBERED` shots in total."""

    def __init__(self) -> None:
        self._runs: OrderedDict[str, MemoryEntry] = OrderedDict()
        self._shots = 0

    def find(self, run_id: str) -> MemoryEntry | None:
        """What is remembered about it; valid only if its hash still has the same word."""
        if run_id in self._runs:
            self._runs.move_to_end(run_id)
        return self._runs.get(run_id)

    def keep(self, run: Run, save_id: bytes) -> None:
        """Remember *run*, and forget those not requested for longest."""
        self.forget(run.id)
        self._runs[run.id] = MemoryEntry(run=run, save_id=save_id)
        self._shots += len(run.shots)
        while self._shots > SHOTS_REMEMBERED:
            self.forget(next(iter(self._runs)))

    def forget(self, run_id: str) -> None:
        """It is gone, or never existed."""
        entry = self._runs.pop(run_id, None)
        self._shots -= len(entry.run.shots) if entry else 0
